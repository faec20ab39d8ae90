"""A small run of `make proof-forgetting`: strangers, faults, leaky builds, deaths, an onlooker."""

import pytest

from tests.privacy.forgetting import deaths, onlooker, signed
from tests.privacy.forgetting.leaks import BUILDS, CAUGHT
from tests.privacy.forgetting.passage import Passage
from tests.privacy.forgetting.people import pool_of
from tests.privacy.forgetting.reading import no_reading
from tests.simulators.mosquitto import PROGRAM

SMALL = {"around": False, "traced": False, "image": False}
pytestmark = pytest.mark.skipif(
    no_reading() is not None or PROGRAM is None,
    reason=f"SKIPPED: {no_reading() or 'Mosquitto is not here'}",
)


@pytest.fixture(scope="module")
def pool():
    return pool_of(1, 12, 1)


def test_nothing_of_strangers_stays_whatever_fails(pool, scratch):
    outcome = Passage(scratch, 1, 12, pool=pool, image=False).run()
    assert outcome.finds == {}, outcome.told
    assert outcome.rules == []
    assert outcome.faces > 60
    assert outcome.compared > 30
    assert outcome.fired.total() == 2
    assert outcome.planted - outcome.unfound >= 1
    assert (outcome.unfound, outcome.unwiped) == (0, 0)
    assert set(outcome.around) >= {"broker refuses", "broker hangs", "disk full"}


def test_a_device_with_a_signed_list_keeps_nobody_and_no_list(pool, scratch):
    outcome = signed.strangers_pass(scratch, 1, 2, pool=pool)
    assert outcome.clean, (outcome.told, outcome.rules)
    assert outcome.compared > 10
    assert outcome.turned > 10
    assert outcome.verified["check"] == 1


def test_every_build_that_lacks_something_is_known():
    assert CAUGHT.keys() == BUILDS.keys()


def test_the_sound_build_is_clean_in_the_same_small_run(pool, scratch):
    outcome = Passage(scratch, 1, 3, pool=pool, **SMALL).run()
    assert outcome.clean, (outcome.told, outcome.rules)


@pytest.mark.parametrize("build", CAUGHT)
def test_a_build_that_leaks_is_caught_where_it_leaks(pool, scratch, build):
    outcome = Passage(scratch, 1, 3, pool=pool, leak=build, **SMALL).run()
    assert not outcome.clean
    assert CAUGHT[build] in {*outcome.finds, *outcome.rules}


@pytest.mark.parametrize("way", deaths.WAYS)
def test_a_death_with_a_face_in_hand_leaves_nothing(pool, scratch, way):
    death = deaths.die(scratch / "device", way, 1, pool=pool)
    assert death.faces > 6
    assert (death.finds, death.cores, death.rules) == ([], [], [])


def test_what_leaves_does_not_tell_whether_anybody_was_there(pool, scratch):
    found = onlooker.compare(scratch, 1, 5, pool=pool)
    assert found.differences == []
    assert found.figures["nobody"]["faces"] == 0
    assert found.figures["strangers"]["faces"] > 20

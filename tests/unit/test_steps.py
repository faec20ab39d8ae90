"""The table of steps: each line searches by the rule that its name says."""

import numpy as np
import pytest

from tools.lab.step_templates import Templates
from tools.lab.steps import People, measure

DIMENSION = 64
LENGTH = 12
ENROLLED, STRANGERS = 30, 60


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def templates(direction, rng, noise, *, lit=True):
    """Return a picture's templates: the more has been done about it, the nearer to the person."""

    def seen(share):
        return LENGTH * unit(direction + share * noise * rng.normal(size=DIMENSION) / 8)

    return Templates(
        plain=seen(2.0),
        aligned=seen(1.5),
        looked=seen(1.2),
        raised=unit(seen(1.0)),
        mirrored=seen(1.0),
        closer=unit(seen(0.5)),
        reference=seen(0.5),
        acquired=True,
        lit=lit,
        quality=0.5,
    )


@pytest.fixture(scope="module")
def steps():
    rng = np.random.default_rng(3)
    people = unit(rng.normal(size=(ENROLLED, DIMENSION)))
    others = unit(rng.normal(size=(STRANGERS, DIMENSION)))
    owner = np.repeat(np.arange(ENROLLED), 4)
    mated = [templates(people[k], rng, 0.8, lit=n % 4 != 3) for n, k in enumerate(owner)]
    found = measure(
        People(
            [templates(each, rng, 0.8) for each in people],
            mated,
            [templates(each, rng, 0.8) for each in others],
            owner,
            np.arange(STRANGERS),
        ),
        edge=0.2,
    )
    return {step.name: step for step in found}


def tpir(step):
    return step.rates[0].tpir


def test_what_passes_only_with_its_shadows_raised_is_missed_before(steps):
    assert tpir(steps["+ the list as cohort"]) <= 0.75
    assert tpir(steps["+ probes' shadows raised"]) > 0.9


def test_a_second_crop_counts_for_those_that_come_near(steps):
    device = steps["+ a second crop near a reference: the device"]
    assert tpir(device) >= tpir(steps["+ probes' shadows raised"])
    assert device.compared_with == "+ probes' shadows raised"


def test_more_photographs_never_make_people_of_other_lengths(steps):
    names = [name for name in steps if "of each enrolled" in name]
    assert [name.split(", ")[1].split()[0] for name in names] == ["one", "two", "three"]
    assert tpir(steps[names[0]]) > 0.9
    assert tpir(steps[names[2]]) >= tpir(steps[names[0]])

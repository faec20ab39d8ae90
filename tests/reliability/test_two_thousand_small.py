"""The measurement of a full list, on a short one: the whole way, and it finds whom it should."""

import msgspec
import pytest

from tests.reliability.two_thousand import lines, measure, templates, word

ENTRIES = 50


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return measure(tmp_path_factory.mktemp("many"), ENTRIES)


def test_every_reference_is_found_by_its_own_template_and_no_stranger_is(found):
    there = found["find"]
    assert there["found as themselves"] == ENTRIES
    assert there["lowest cosine with oneself"] > 0.9999
    assert there["lowest score of oneself"] > 0.7
    assert there["highest score of a stranger"] < 0.5


def test_the_list_that_was_published_is_the_one_that_the_device_holds(found):
    assert found["open"]["references"] == ENTRIES
    assert found["check"]["targets version"] >= 1
    assert found["bundle"]["bytes"] > found["bundle"]["watchlist.sealed, bytes"]


def test_every_step_is_in_the_table_and_the_json_can_be_written(found):
    table = "\n".join(lines(found))
    for step in ("watchlist seal", "watchlist sign (officer)", "watchlist sign (custodian)",
                 "watchlist publish", "two signatures and publishing", "passerby update",
                 "one comparison"):  # fmt: skip
        assert step in table
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


def test_the_people_of_the_measurement_differ_as_people_do():
    rows = templates(200)
    unit = rows / (rows**2).sum(axis=1, keepdims=True) ** 0.5
    cosines = unit @ unit.T
    cosines[range(200), range(200)] = 0
    assert abs(cosines).max() < 0.5
    assert len({word(number) for number in range(5000)}) == 5000

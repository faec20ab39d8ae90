"""One reference is one person, and one person is one reference."""

import numpy as np

from device.protocol.watchlist import Reference
from tests.simulators.street import template
from tools.desk.conflicts import conflicts


def _reference(name, *hues):
    return Reference(name, [template(hue).tobytes() for hue in hues])


def test_different_people_under_different_ids_are_in_order():
    assert conflicts([_reference("a", 10, 11), _reference("b", 60)], 0.45, 0.95) == {}


def test_two_people_under_one_id_are_refused():
    found = conflicts([_reference("a", 10, 100), _reference("b", 60)], 0.45, 0.95)
    assert list(found) == ["a"]
    assert "do not show one person" in found["a"]


def test_one_person_under_two_ids_is_refused_and_both_are_named():
    found = conflicts([_reference("a", 10), _reference("b", 60), _reference("c", 10)], 0.45, 0.95)
    assert sorted(found) == ["a", "c"]
    assert "same person as c" in found["a"]
    assert "same person as a" in found["c"]


def test_an_empty_list_has_no_conflict():
    assert conflicts([], 0.45, 0.95) == {}


def test_several_photographs_of_one_person_are_no_twins():
    assert np.isclose(template(10) @ template(10), 1)
    assert conflicts([_reference("a", 10, 10)], 0.45, 0.95) == {}

"""Groups of people: what is unknown or too small reads "not evaluated", never nought (R30)."""

from pathlib import Path

import numpy as np
import pytest

from tools.lab.evaluate.figures import NotEvaluated, Rate
from tools.lab.evaluate.groups import (
    Errors,
    Events,
    Thresholds,
    differential_of,
    groups_of,
)
from tools.lab.manifest import Item

AT = Thresholds(0.01, 0.5, 0.3)


def item(name, **said):
    return Item(Path(name), (name,), "", "probe", "", "", **said)


def events(wrong, right, prefix):
    """People by number: `wrong` with an error, `right` without."""
    people = np.array([f"{prefix}{n}" for n in range(wrong + right)])
    return people, np.arange(wrong + right) < wrong


def joined(*parts):
    names, happened = zip(*parts, strict=True)
    return Events.single(np.concatenate(names), np.concatenate(happened))


def errors(fnir, other=None):
    none = Events.single(np.array([], str), np.zeros(0, bool))
    return Errors(other or none, none, fnir, none, none)


def test_what_people_said_is_their_group():
    items = [item("a", gender="Female"), item("b", gender="male "), item("c")]
    assert groups_of(items, "gender") == {"a": "female", "b": "male"}


def test_who_is_said_to_be_two_things_is_in_no_group():
    assert groups_of([item("a", gender="female"), item("a", gender="male")], "gender") == {}
    assert groups_of([item("a", gender="female"), item("a")], "gender") == {"a": "female"}


@pytest.mark.parametrize(
    ("said", "band"),
    [
        ("17", "under 18"),
        ("18", "18 to 29"),
        ("30", "30 to 44"),
        ("59.5", "45 to 59"),
        ("91", "60 and over"),
    ],
)
def test_years_fall_into_bands(said, band):
    assert groups_of([item("a", age=said)], "age") == {"a": band}


@pytest.mark.parametrize("said", ["", "NA", "unknown", "young", "-"])
def test_no_years_are_no_band(said):
    assert groups_of([item("a", age=said)], "age") == {}


def test_each_group_has_its_rate_and_its_ratio():
    one, two = events(20, 30, "a"), events(5, 45, "b")
    group_of = dict.fromkeys(one[0], "one") | dict.fromkeys(two[0], "two")
    made = differential_of("gender", group_of, errors(joined(one, two)), AT)
    first, second = made.groups
    assert (first.group, first.fnir.value, first.fnir.subjects) == ("one", 0.4, 50)
    assert (second.group, second.fnir.value) == ("two", 0.1)
    assert made.everyone.fnir.value == 0.25
    assert first.fnir_ratio.value == pytest.approx(1.6)
    assert first.fnir_ratio.low > 1 > second.fnir_ratio.high
    assert (made.smallest, made.not_known) == (50, 0)


def test_what_was_not_measured_is_not_evaluated():
    one = events(0, 50, "a")
    made = differential_of("gender", dict.fromkeys(one[0], "one"), errors(joined(one)), AT)
    (only,) = made.groups
    assert isinstance(only.fnir, Rate)
    assert only.fnir.value == 0.0
    for figure in (only.fte, only.fta, only.fpir, only.fmr, only.fpir_ratio, only.fmr_ratio):
        assert isinstance(figure, NotEvaluated)


def test_a_group_of_twenty_nine_is_not_evaluated():
    small, large = events(9, 20, "a"), events(9, 21, "b")
    group_of = dict.fromkeys(small[0], "small") | dict.fromkeys(large[0], "large")
    made = differential_of("ethnicity", group_of, errors(joined(small, large)), AT)
    large_figures, small_figures = made.groups
    assert isinstance(small_figures.fnir, NotEvaluated)
    assert small_figures.fnir.subjects == 29
    assert isinstance(small_figures.fnir_ratio, NotEvaluated)
    assert isinstance(large_figures.fnir, Rate)
    assert made.smallest == 30


def test_without_any_group_nothing_is_evaluated():
    made = differential_of("age", {}, errors(joined(events(5, 50, "a"))), AT)
    assert made.groups == []
    assert isinstance(made.everyone.fnir, NotEvaluated)
    assert (made.smallest, made.not_known) == (0, 55)


def test_comparisons_are_counted_per_person():
    names = np.array([f"a{n}" for n in range(40)])
    none = Events.single(np.array([], str), np.zeros(0, bool))
    fmr = Events(names, np.full(40, 2, np.intp), np.full(40, 1000, np.intp))
    made = differential_of(
        "gender", dict.fromkeys(names, "one"), Errors(none, none, none, none, fmr), AT
    )
    figure = made.groups[0].fmr
    assert (figure.value, figure.trials, figure.subjects) == (0.002, 40_000, 40)

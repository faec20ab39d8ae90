"""Heads of rendered people: each parameter does what its name says, and nothing tears."""

import dataclasses

import numpy as np
import pytest

from tools.lab.people import Expression, Person
from tools.lab.people.fields import between, curve, noise, smooth, stretch_rows
from tools.lab.people.grid import (
    CHIN,
    EYE,
    LIP_CORNER,
    LIP_LINE,
    NOSE_TIP,
    grid,
    row_of,
    row_places,
)
from tools.lab.people.modes import SHAPE_NAMES
from tools.lab.people.shape import COLUMNS, ROWS, neutral, normals, posed

EYE_R, EYE_L, NOSE, MOUTH_R, MOUTH_L = range(5)
PLACES = ((-EYE[0], 0), (EYE[0], 0), (0, NOSE_TIP), (-LIP_CORNER, LIP_LINE), (LIP_CORNER, LIP_LINE))


def at(head, across, down):
    """The point of a head at a place of the map."""
    row = round(float(row_of(down, ROWS)))
    middle = slice(COLUMNS // 6, COLUMNS - COLUMNS // 6)
    column = int(np.argmin(np.abs(grid(ROWS, COLUMNS).across[row, middle] - across)))
    return head[row, middle][column]


def points(person, expression=None):
    head = posed(person, expression or Expression())
    return np.array([at(head, *place) for place in PLACES])


def shaped(**values):
    mean = Person.mean()
    shape = [values.get(name, 0.0) for name in SHAPE_NAMES]
    # The seed's random relief would blur what is measured: one seed for all.
    return dataclasses.replace(mean, shape=tuple(shape))


def measures(person):
    """Lengths of a face in millimetres, by what they are called."""
    head, spots = neutral(person), points(person)
    chin, brow = at(head, 0, CHIN - 5), at(head, 28, -18)
    return {
        "eyes": spots[EYE_L][0] - spots[EYE_R][0],
        "mouth": spots[MOUTH_L][0] - spots[MOUTH_R][0],
        "nose_down": spots[NOSE][1],
        "nose_out": spots[NOSE][2] - at(head, 25, NOSE_TIP)[2],
        "mouth_down": spots[MOUTH_L][1],
        "chin_down": chin[1],
        "chin_out": chin[2],
        "brow_down": brow[1],
        "wings": at(head, 15, 41)[0] - at(head, -15, 41)[0],
        "jaw": head[int(row_of(96.0, ROWS)), :, 0].max(),
        "head": head[int(row_of(-40.0, ROWS)), :, 0].max(),
        "cheek": at(head, 42, 58)[2],
        "lopsided": spots[NOSE][0],
    }


@pytest.mark.parametrize(
    ("mode", "measure", "sign"),
    [
        ("eye_spacing", "eyes", 1),
        ("mouth_width", "mouth", 1),
        ("nose_length", "nose_down", 1),
        ("nose_tip_out", "nose_out", 1),
        ("upper_lip_length", "mouth_down", 1),
        ("face_length", "chin_down", 1),
        ("jaw_length", "chin_down", 1),
        ("chin_forward", "chin_out", 1),
        ("brow_height", "brow_down", -1),
        ("nose_wings", "wings", 1),
        ("jaw_width", "jaw", 1),
        ("head_width", "head", 1),
        ("cheek_fill", "cheek", 1),
        ("tip_aside", "lopsided", 1),
    ],
)
def test_a_mode_moves_what_it_is_named_after(mode, measure, sign):
    low, mean, high = (measures(shaped(**{mode: v}))[measure] for v in (-2, 0, 2))
    assert sign * (high - mean) > 0.5
    assert sign * (mean - low) > 0.5


def test_every_mode_changes_a_head():
    mean = neutral(shaped())
    for name in SHAPE_NAMES:
        moved = np.linalg.norm(neutral(shaped(**{name: 1.0})) - mean, axis=-1).max()
        assert 0.3 < moved < 12, name


def test_the_map_is_that_of_a_face():
    spots = points(Person.mean())
    assert spots[EYE_R][0] < 0 < spots[EYE_L][0]
    assert spots[EYE_R][1] < spots[NOSE][1] < spots[MOUTH_R][1]
    assert spots[NOSE][2] == max(spot[2] for spot in spots)
    assert abs((spots[EYE_L][0] - spots[EYE_R][0]) - 62) < 4


def test_rows_never_run_back_and_are_dense_where_a_mouth_opens():
    places = row_places(ROWS)
    steps = np.diff(places)
    assert steps.min() > 0
    assert steps[int(row_of(LIP_LINE, ROWS))] < steps[int(row_of(0.0, ROWS))] / 3


def test_normals_look_outwards_and_are_of_unit_length():
    head = grid(ROWS, COLUMNS).mean
    inner = slice(5, ROWS - 5)
    out = normals(head)[inner]
    assert np.allclose(np.linalg.norm(out, axis=-1), 1, atol=1e-3)
    from_axis = head[inner] * [1, 0, 1] - [0, 0, -95]
    assert ((out * from_axis).sum(axis=-1) > 0).mean() > 0.98


def test_expressions_do_what_they_say():
    person = Person.from_seed(3)
    calm = points(person)
    smile = points(person, Expression(smile=1))
    assert smile[MOUTH_L][0] > calm[MOUTH_L][0] + 2
    assert smile[MOUTH_L][1] < calm[MOUTH_L][1] - 2
    assert np.allclose(smile[:2], calm[:2], atol=1.5)
    pucker = points(person, Expression(pucker=1))
    assert pucker[MOUTH_L][0] - pucker[MOUTH_R][0] < calm[MOUTH_L][0] - calm[MOUTH_R][0] - 4
    brow = [at(posed(person, Expression(raised=v)), 28, -18)[1] for v in (0, 1)]
    assert brow[1] < brow[0] - 3
    lip = [at(posed(person, Expression(mouth=v)), 0, LIP_LINE + 4)[1] for v in (0, 1)]
    upper = [at(posed(person, Expression(mouth=v)), 0, LIP_LINE - 4)[1] for v in (0, 1)]
    assert lip[1] > lip[0] + 8
    assert abs(upper[1] - upper[0]) < 2


def test_the_same_seed_is_the_same_person_and_others_are_others():
    assert Person.from_seed(5) == Person.from_seed(5)
    people = [Person.from_seed(seed) for seed in range(40)]
    assert len({p.shape for p in people}) == 40
    assert len({p.hair.style for p in people}) > 5
    tones = [sum(p.skin.tone) for p in people]
    assert max(tones) > 4 * min(tones)
    assert all(p.years >= 18 for p in people)


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (0.0,)},
        {"hair": {"style": "mohawk"}},
        {"hair": {"beard": "braided"}},
        {"wear": {"glasses": "monocle"}},
        {"wear": {"clothes": "armour"}},
    ],
)
def test_what_cannot_be_drawn_is_refused(change):
    mean = Person.mean()
    made = {
        key: dataclasses.replace(getattr(mean, key), **value) if isinstance(value, dict) else value
        for key, value in change.items()
    }
    with pytest.raises(ValueError, match=r"values of shape|none of"):
        dataclasses.replace(mean, **made)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match=r"negative"):
        Person.from_seed(-1)


def test_a_curve_goes_through_its_knots_without_overshoot():
    knots = ((0, 0.0), (1, 1.0), (2, 1.0), (5, -3.0))
    xs = np.array([k[0] for k in knots], np.float32)
    assert np.allclose(curve(knots, xs), [k[1] for k in knots], atol=1e-6)
    fine = curve(knots, np.linspace(-1, 6, 500, dtype=np.float32))
    assert fine.max() <= 1 + 1e-6
    assert fine.min() >= -3 - 1e-6
    assert curve(knots, np.float32([-9, 9])).tolist() == [0.0, -3.0]


def test_steps_rise_and_fall():
    x = np.linspace(-1, 2, 50, dtype=np.float32)
    assert smooth(0, 1, x)[0] == 0
    assert smooth(0, 1, x)[-1] == 1
    assert np.allclose(smooth(1, 0, x), 1 - smooth(0, 1, x), atol=1e-6)
    assert between(np.float32([5.0]), 0, 10)[0] == 1
    assert between(np.float32([-3.0, 13.0]), 0, 10).tolist() == [0, 0]


def test_noise_has_unit_deviation_and_keeps_its_scale_where_rows_lie_close():
    field = noise(np.random.default_rng(1), (300, 50), (30, 6))
    assert field.std() == pytest.approx(1, abs=0.01)
    places = np.concatenate([np.linspace(0, 10, 200), np.linspace(10.5, 60, 100)])
    moved = stretch_rows(field, places.astype(np.float32))
    assert np.abs(np.diff(moved[:190], axis=0)).mean() < np.abs(np.diff(moved[210:], axis=0)).mean()

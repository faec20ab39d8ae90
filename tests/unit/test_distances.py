"""The distance table follows from the lens's angle alone."""

import argparse
import math

import pytest

from tools.lab.distances import DISTANCES_M, LENSES, pixels, run, table


def rows():
    """The table's body as lists of cells."""
    lines = table().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize("distance_m", [0.5, 1.0, 7.0])
def test_at_ninety_degrees_the_picture_is_twice_as_wide_as_the_distance(distance_m):
    assert pixels(2 * distance_m, distance_m, 90.0, 640) == pytest.approx(640)


def test_what_fills_the_angle_of_view_fills_the_picture():
    seen_m = 2 * 3.0 * math.tan(math.radians(66.0 / 2))
    assert pixels(seen_m, 3.0, 66.0, 2304) == pytest.approx(2304)


def test_twice_the_distance_halves_the_pixels_and_twice_the_stream_doubles_them():
    near = pixels(0.063, 2.0, 66.0, 2304)
    assert pixels(0.063, 4.0, 66.0, 2304) == pytest.approx(near / 2)
    assert pixels(0.063, 2.0, 66.0, 4608) == pytest.approx(near * 2)


def test_the_table_has_a_full_row_for_every_lens_and_distance():
    found = [(row[0].partition(" (")[0], row[1]) for row in rows()]
    assert found == [(lens.name, f"{m} m") for lens in LENSES for m in DISTANCES_M]
    assert all(len(row) == 6 and all(row) for row in rows())


def test_a_row_computed_by_hand():
    # 2304 * 0.063 / (2 * 4 * tan 33°) = 27.9; 640 * 0.15 / (8 * tan 33°) = 18.5.
    row = next(row for row in rows() if row[:2] == ["Camera Module 3 (66°)", "4 m"])
    assert row[2:] == ["28", "18", "9", "yes, at the limit"]


def test_the_verdict_only_worsens_with_distance():
    order = ["yes", "yes, at the limit", "no"]
    for lens in LENSES:
        verdicts = [order.index(row[-1]) for row in rows() if row[0].startswith(f"{lens.name} (")]
        assert verdicts == sorted(verdicts)
        assert verdicts[0] < verdicts[-1]


def test_the_verdict_is_no_below_sixteen_pixels_between_the_eyes():
    assert all((int(row[2]) < 16 or int(row[3]) < 12) == (row[-1] == "no") for row in rows())


def test_the_command_prints_the_table(capsys):
    assert run(argparse.Namespace()) == 0
    assert capsys.readouterr().out.strip() == table()

"""The distance table follows from the lens's angle alone."""

import argparse
import math

import pytest

from tools.lab.distances import DISTANCES_M, LENSES, _verdict, pixels, run, table


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
    assert row[2:] == ["28", "18", "9", "at the limit"]


def test_the_verdict_only_worsens_with_distance():
    order = ["yes", "at the limit", "no"]
    for lens in LENSES:
        verdicts = [order.index(row[-1]) for row in rows() if row[0].startswith(f"{lens.name} (")]
        assert verdicts == sorted(verdicts)
        assert verdicts[0] < verdicts[-1]


@pytest.mark.parametrize(
    ("eyes_px", "face_px", "verdict"),
    [
        (32, 20, "yes"),
        (31.9, 20, "at the limit"),
        (32, 19.9, "at the limit"),
        (16, 14, "at the limit"),
        (15.9, 100, "no"),
        (100, 13.9, "no"),
    ],
)
def test_the_verdict_asks_for_enough_pixels_of_the_eyes_and_of_the_face(eyes_px, face_px, verdict):
    assert _verdict(eyes_px, face_px) == verdict


def test_without_a_data_set_the_command_prints_the_table_and_says_what_is_missing(capsys, tmp_path):
    assert run(argparse.Namespace(data=tmp_path)) == 0
    said = capsys.readouterr().out
    assert said.startswith(table())
    assert f"not measured: {tmp_path} is not here" in said

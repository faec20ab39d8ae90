"""Enrolment with stand-ins: each limit of the quality gate rejects, and says by how much (R12)."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.simulators.street import LENGTH, Person, eye, picture, settings
from tools.desk.enrolment import Report, template_of
from tools.desk.gate import LIMITS


def _enrol(folder, pixels):
    path = folder / "photo.png"
    cv2.imwrite(str(path), pixels)
    report = Report()
    seeing = replace(eye(settings(folder)), limits=LIMITS)
    return template_of(seeing, path, folder, report), report


def _person(size=100):
    return picture([Person(30, 250, size=size)], 0)


def test_a_good_photograph_is_enrolled(tmp_path):
    template, report = _enrol(tmp_path, _person())
    assert np.linalg.norm(np.frombuffer(template, "<f4")) == pytest.approx(LENGTH)
    assert report.rejected == []


def _dark():
    return (_person() * 0.15).astype(np.uint8)


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (_person(size=50), "too small"),
        (_dark(), "too dark"),
        (picture([], 0), "no face was found"),
        (picture([Person(30, 150, size=100), Person(90, 390, size=100)], 0), "not clear whose"),
    ],
    ids=["small", "dark", "nobody", "two people"],
)
def test_a_poor_photograph_is_rejected_with_the_reason(tmp_path, pixels, reason):
    template, report = _enrol(tmp_path, pixels)
    assert template is None
    ((name, sentence),) = report.rejected
    assert name == "photo.png"
    assert reason in sentence


@pytest.mark.parametrize(
    ("limit", "reason"),
    [({"yaw": 0.001, "pitch": 0.0001}, "turned"), ({"sharpness": 9}, "blurred: sharpness")],
    ids=["turned", "blurred"],
)
def test_what_misses_a_limit_is_rejected_with_the_figure(tmp_path, limit, reason):
    seeing = replace(eye(settings(tmp_path)), limits=replace(LIMITS, **limit))
    cv2.imwrite(str(tmp_path / "photo.png"), _person())
    report = Report()
    assert template_of(seeing, tmp_path / "photo.png", tmp_path, report) is None
    assert reason in report.rejected[0][1]

"""What is measured of idle frames: in one row nobody looks, in the other all are searched."""

from collections import Counter

import numpy as np
import pytest

from device.capture.frame import Picture
from device.vision.detector import Detector
from tools.lab.bench import idle, views


def test_with_the_gate_on_nobody_looks_and_without_it_every_frame_is_searched(monkeypatch):
    searched, measured = Counter(), []
    detect, run = Detector.detect, idle._Run.microseconds

    def counted(detector, lores, main_width):
        searched[measured[-1] if measured else "warm"] += 1
        return detect(detector, lores, main_width)

    def named(one):
        measured.append(one.name)
        return run(one)

    monkeypatch.setattr(Detector, "detect", counted)
    monkeypatch.setattr(idle._Run, "microseconds", named)
    monkeypatch.setattr(idle, "_FRAMES", {idle.GATED: 3, idle.SEARCHED: 2})
    found = idle.idle_costs("built-in", 2)
    assert len(found) == 8
    for name, values in found.items():
        assert len(values) == 2
        assert min(values) > 0
        assert searched[name] == (4 if idle.SEARCHED in name else 0)
    # In turn: a noisy moment meets all of them.
    assert measured == [*found, *found]


@pytest.mark.parametrize("wipes", [True, False])
def test_a_frames_buffers_are_overwritten_or_left_as_it_is_said(wipes):
    place = views.street(0, (320, 180))
    frame = place.frame(0, 0.0, wipes=wipes)
    assert frame.main.pixels.any()
    frame.release()
    assert frame.main.pixels.any() == (not wipes)
    assert frame.lores.pixels.any() == (not wipes)


def test_every_layout_shows_the_same_street():
    seen = []
    for layout in views.LAYOUTS:
        frame = views.street(0, (320, 180), layout).frame(0, 0.0)
        picture: Picture = frame.main
        seen.append(picture.region_bgr(0, 0, 320, 180).astype(int))
    assert np.array_equal(seen[0], seen[1])
    assert np.abs(seen[0] - seen[2]).mean() < 8

"""Plots: shares land where their axis says, and nothing else decides what they look like."""

import re
from xml.etree import ElementTree as ET

import pytest

from tools.lab.evaluate.plot import Curve, Whisker, _Scale, det_plot, interval_plot


def curve(label="list of 9", *points):
    default = ((0.001, 0.3, 0.2, 0.4), (0.01, 0.2, 0.1, 0.3), (0.1, 0.1, 0.05, 0.2))
    return Curve(label, points or default)


def parse(markup):
    return ET.fromstring(markup)


def test_a_decade_is_as_wide_as_the_next():
    scale = _Scale(0.001, 0.1, 0.0, 200.0)
    assert scale.at(0.001) == 0.0
    assert scale.at(0.01) == pytest.approx(100.0)
    assert scale.at(0.1) == pytest.approx(200.0)


def test_what_is_beyond_an_axis_stays_at_its_end():
    scale = _Scale(0.001, 0.1, 0.0, 200.0)
    assert scale.at(0.0) == 0.0
    assert scale.at(1.0) == 200.0


def test_ticks_are_ones_and_threes_inside_the_axis():
    assert _Scale(0.002, 0.2, 0, 1).ticks() == [0.003, 0.01, 0.03, 0.1]
    assert _Scale(1e-6, 0.3, 0, 1).ticks() == [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1]


def test_a_det_plot_is_a_picture_with_a_line_and_a_band_for_each_curve():
    markup = det_plot([curve(), curve("list of 99")], "FPIR", "FNIR")
    parse(markup)
    assert markup.count('class="l c0" d="M') == 2  # the curve, and its key
    assert markup.count('class="b c') == 2
    assert "list of 99" in markup
    assert markup == det_plot([curve(), curve("list of 99")], "FPIR", "FNIR")


def test_a_better_curve_lies_lower():
    markup = det_plot([curve()], "FPIR", "FNIR")
    line = re.search(r'class="l c0" d="M([^"]*)"', markup).group(1)
    heights = [float(point.split()[1]) for point in line.split("L")]
    assert heights == sorted(heights)


def test_nothing_to_draw_is_no_plot():
    assert not det_plot([], "a", "b")
    assert not det_plot([Curve("empty", ())], "a", "b")
    assert not interval_plot([Whisker("x", None, 0, 0, "not evaluated")], None, "c")


def test_intervals_have_their_words_and_no_mark_without_a_value():
    whiskers = [Whisker("a<b", 0.2, 0.1, 0.3, "10–30 %"), Whisker("c", None, 0, 0, "not evaluated")]
    markup = interval_plot(whiskers, 0.15, "by group")
    parse(markup)
    assert "a&lt;b" in markup
    assert markup.count("<circle") == 1
    assert "not evaluated" in markup

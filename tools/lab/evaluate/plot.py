"""Plots as inline SVG: curves on two logarithmic axes, and intervals on one. No library, no script.

A page with these opens anywhere, prints, scales to a phone, and is the same to the last character
when it is made again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 640, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 14, 12, 48
_ROW = 24
_LABEL = 190
_FIGURE = 150
_MOST_DECADES = 6
_SMALLEST_ERROR = 1e-3


@dataclass(frozen=True, slots=True)
class Curve:
    """A curve with a band. points: x, y, low, high, all shares above nought, x ascending."""

    label: str
    points: Sequence[tuple[float, float, float, float]]


@dataclass(frozen=True, slots=True)
class Whisker:
    """A value with an interval, or words instead. text: what is printed beside it."""

    label: str
    value: float | None
    low: float
    high: float
    text: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic axis: shares to pixels."""

    low: float
    high: float
    start: float
    end: float

    def at(self, share: float) -> float:
        clipped = min(max(share, self.low), self.high)
        part = math.log(clipped / self.low) / math.log(self.high / self.low)
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Return 1, 3 and 10 of every decade inside the axis; of many decades only the tens."""
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        digits = (1, 3) if len(decades) <= _MOST_DECADES else (1,)
        values = [float(f"{digit}e{decade}") for decade in decades for digit in digits]
        slack = 1e-9
        return [v for v in values if self.low * (1 - slack) <= v <= self.high * (1 + slack)]


def det_plot(curves: Sequence[Curve], across: str, up: str) -> str:
    """Return a DET plot. across, up: names of the axes, rates of errors."""
    drawn = [curve for curve in curves if curve.points]
    if not drawn:
        return ""
    xs = [point[0] for curve in drawn for point in curve.points]
    ys = [
        max(share, _SMALLEST_ERROR)
        for curve in drawn
        for point in curve.points
        for share in point[1:]
    ]
    x = _Scale(min(xs), max(*xs, 10 * min(xs)), _LEFT, _WIDTH - _RIGHT)
    y = _Scale(min(*ys, 0.1), min(1.0, max(*ys, 0.3)), _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, y, across, up)]
    for place, curve in enumerate(drawn):
        parts.append(_band(curve, x, y, place))
    for place, curve in enumerate(drawn):
        parts.append(_line(curve, x, y, place))
    parts.append(_legend(drawn))
    return _svg(_WIDTH, _HEIGHT, f"{up} against {across}", "".join(parts))


def _grid(x: _Scale, y: _Scale, across: str, up: str) -> str:
    lines = []
    for tick in x.ticks():
        at = _n(x.at(tick))
        lines.append(f'<path class="g" d="M{at} {_TOP}V{_HEIGHT - _BOTTOM}"/>')
        lines.append(f'<text class="t" x="{at}" y="{_HEIGHT - _BOTTOM + 16}">{_share(tick)}</text>')
    for tick in y.ticks():
        at = _n(y.at(tick))
        lines.append(f'<path class="g" d="M{_LEFT} {at}H{_WIDTH - _RIGHT}"/>')
        lines.append(
            f'<text class="r" x="{_LEFT - 6}" y="{_n(y.at(tick) + 4)}">{_share(tick)}</text>'
        )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    lines.append(
        f'<text class="a" x="{(_LEFT + _WIDTH - _RIGHT) / 2}" y="{_HEIGHT - 8}">{escape(across)}'
        f'</text><text class="a" transform="translate(14 {middle}) rotate(-90)">{escape(up)}</text>'
    )
    return "".join(lines)


def _band(curve: Curve, x: _Scale, y: _Scale, place: int) -> str:
    upper = [f"{_n(x.at(p[0]))} {_n(y.at(p[3]))}" for p in curve.points]
    lower = [f"{_n(x.at(p[0]))} {_n(y.at(p[2]))}" for p in reversed(curve.points)]
    return f'<path class="b c{place}" d="M{"L".join([*upper, *lower])}Z"/>'


def _line(curve: Curve, x: _Scale, y: _Scale, place: int) -> str:
    points = [f"{_n(x.at(p[0]))} {_n(y.at(p[1]))}" for p in curve.points]
    return f'<path class="l c{place}" d="M{"L".join(points)}"/>'


def _legend(curves: Sequence[Curve]) -> str:
    lines = []
    for place, curve in enumerate(curves):
        at = _HEIGHT - _BOTTOM - 14 - 18 * (len(curves) - 1 - place)
        lines.append(
            f'<path class="l c{place}" d="M{_LEFT + 12} {at}h22"/>'
            f'<text class="k" x="{_LEFT + 40}" y="{at + 4}">{escape(curve.label)}</text>'
        )
    return "".join(lines)


def interval_plot(whiskers: Sequence[Whisker], reference: float | None, caption: str) -> str:
    """Return values with intervals, one below the other, on a linear axis from nought.

    reference: where a line for everybody is drawn.
    """
    shown = [w.high for w in whiskers if w.value is not None]
    if not shown:
        return ""
    largest = max([*shown, reference or 0.0, 1e-6]) * 1.05
    start, end = _LABEL, _WIDTH - _FIGURE
    height = _ROW * len(whiskers) + 8

    def at(value: float) -> str:
        return _n(start + value / largest * (end - start))

    parts = [f'<path class="g" d="M{start} 2V{height - 4}"/>']
    if reference is not None:
        parts.append(f'<path class="m" d="M{at(reference)} 2V{height - 4}"/>')
    for row, whisker in enumerate(whiskers):
        y = _ROW * row + 16
        parts.append(f'<text class="w" x="{start - 8}" y="{y + 4}">{escape(whisker.label)}</text>')
        parts.append(f'<text class="k" x="{end + 8}" y="{y + 4}">{escape(whisker.text)}</text>')
        if whisker.value is not None:
            parts.append(
                f'<path class="l c0" d="M{at(whisker.low)} {y}H{at(whisker.high)}"/>'
                f'<circle class="d c0" cx="{at(whisker.value)}" cy="{y}" r="4"/>'
            )
    return _svg(_WIDTH, height, caption, "".join(parts))


def _svg(width: int, height: int, title: str, inside: str) -> str:
    return (
        f'<div class="scroll"><svg viewBox="0 0 {width} {height}" role="img" '
        f'xmlns="http://www.w3.org/2000/svg"><title>{escape(title)}</title>{inside}</svg></div>'
    )


def _n(value: float) -> str:
    return f"{value:.1f}"


def _share(share: float) -> str:
    value = 100 * share
    return f"{value:g} %"

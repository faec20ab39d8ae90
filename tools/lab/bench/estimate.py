"""What a Raspberry Pi would need: a range from published figures and from this machine's ratios.

Nobody here has a Pi. Two ways lead to one, and a network's estimate is the span of both:

- *operations*: a network's multiply-accumulates over the rate of one Cortex-A72 core, the core of a
  Pi 4. Its rate in float32 is published; int8 is between as fast and `_INT8_GAIN` times as fast.
- *ratio*: what a published program takes on a Pi 4, times how much longer or shorter than that very
  program ours takes here, on one thread. Where the published figure was taken with four threads,
  one thread takes between as long and four times as long: every such figure gives a range of how
  much slower a Pi is, and what lies in all of them is taken; their span where they contradict.

What is no network (NumPy, OpenCV) is scaled by the span of all those ranges. A Pi 5 is between its
clock and `_PI5_GAIN` times as fast as a Pi 4.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from msgspec import Struct

_A72_GMAC_PER_S: Final = 221 / 72
"""MobileFaceNet (221 million) by ncnn in 72 ms on one Cortex-A72 of an RK3399: deepinsight,
insightface wiki, "TVM Benchmark", 2019."""
_INT8_GAIN: Final = 46 / 17
"""MobileNetV2 on a Pi 4, float32 over int8: the table of XNNPACK's README."""
_PI5_CLOCK: Final = 2.4 / 1.8
_PI5_GAIN: Final = 8.7 / 1.5
"""BlazeFace by ncnn, Pi 4 over Pi 5: ../shared/research/edge.md."""
_MOST_THREADS: Final = 4


class Anchor(Struct, frozen=True):
    """Somebody's figure on a Pi 4. ms: per picture. threads: at most so many were used."""

    what: str
    ms: float
    threads: int
    source: str


PUBLISHED: Final = {
    "YuNet 160x120, OpenCV": Anchor(
        "YuNet 160x120, OpenCV", 6.22, _MOST_THREADS, "OpenCV Zoo, README, Pi 4 at 1.5 GHz"
    ),
    "MobileNetV2-224 float, LiteRT": Anchor(
        "MobileNetV2-224 float, LiteRT", 46.0, _MOST_THREADS, "XNNPACK, README, Pi 4"
    ),
    "MobileNetV2-224 int8, LiteRT": Anchor(
        "MobileNetV2-224 int8, LiteRT", 17.0, _MOST_THREADS, "XNNPACK, README, Pi 4"
    ),
    "MobileFaceNet, ncnn": Anchor(
        "MobileFaceNet, ncnn",
        40.0,
        _MOST_THREADS,
        "Q-engineering, Face-Recognition-Raspberry-Pi-64-bits, Pi 4 at 1.5 GHz",
    ),
}
"""Figures whose program `make bench` also runs here, by the name that it gives them."""


class Range(Struct, frozen=True):
    """From low to high."""

    low: float
    high: float

    def times(self, factor: "Range") -> "Range":
        """Return the widest product of two ranges of numbers above nought."""
        return Range(self.low * factor.low, self.high * factor.high)

    def plus(self, other: "Range") -> "Range":
        """Return the sum of two ranges."""
        return Range(self.low + other.low, self.high + other.high)


class Estimate(Struct, frozen=True):
    """Milliseconds of one core. Always an estimate: nothing of it was measured on a Pi.

    here_ms: measured on this machine. mmac: of a network, else None.
    """

    here_ms: float
    mmac: float | None
    pi4_ms: Range
    pi5_ms: Range


def factors(measured: Mapping[str, Sequence[float]]) -> list[Range]:
    """Return how much slower one core of a Pi 4 is than this machine, by each anchor.

    measured: milliseconds here of what `PUBLISHED` names, one thread; others are passed over.
    """
    found = []
    for name, anchor in PUBLISHED.items():
        if measured.get(name):
            here = median(measured[name])
            found.append(Range(anchor.ms / here, anchor.ms * anchor.threads / here))
    return found


def of_network(here_ms: float, mmac: float, slower: Sequence[Range]) -> Estimate:
    """Estimate an int8 network. slower: see `factors`; without one only operations count."""
    ranges = [Range(mmac / (_A72_GMAC_PER_S * _INT8_GAIN), mmac / _A72_GMAC_PER_S)]
    if slower:
        ranges.append(agreed(slower).times(Range(here_ms, here_ms)))
    return _estimate(here_ms, mmac, _span(ranges))


def of_code(here_ms: float, slower: Sequence[Range]) -> Estimate | None:
    """Estimate what is no network; None without an anchor."""
    if not slower:
        return None
    return _estimate(here_ms, None, Range(here_ms, here_ms).times(_span(slower)))


def agreed(slower: Sequence[Range]) -> Range:
    """Return what lies in all ranges, or their span where nothing does."""
    common = Range(max(each.low for each in slower), min(each.high for each in slower))
    return common if common.low <= common.high else _span(slower)


def total(parts: Sequence[Estimate]) -> Estimate:
    """Return the sum of stages."""
    four, five = Range(0, 0), Range(0, 0)
    for part in parts:
        four, five = four.plus(part.pi4_ms), five.plus(part.pi5_ms)
    return Estimate(sum(part.here_ms for part in parts), None, four, five)


def _estimate(here_ms: float, mmac: float | None, four: Range) -> Estimate:
    five = Range(four.low / _PI5_GAIN, four.high / _PI5_CLOCK)
    return Estimate(here_ms, mmac, four, five)


def _span(ranges: Sequence[Range]) -> Range:
    return Range(min(each.low for each in ranges), max(each.high for each in ranges))

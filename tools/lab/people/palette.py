"""Colours, all as linear reflectance in the order blue, green, red."""

from typing import Final

import numpy as np

from tools.lab.people.fields import Floats

Colour = tuple[float, float, float]
"""Blue, green, red, each in [0, 1]; linear, not gamma-coded."""

_GAMMA = 2.2


def srgb(red: int, green: int, blue: int) -> Colour:
    """Return the linear colour of a display value, 0 to 255 each."""
    return (blue / 255) ** _GAMMA, (green / 255) ** _GAMMA, (red / 255) ** _GAMMA


def colour_of(values: Floats) -> Colour:
    """Return an array as a colour that a surface can have."""
    blue, green, red = (float(value) for value in np.clip(values, 0.004, 0.93))
    return blue, green, red


SKIN: Final = np.array(
    [
        srgb(239, 200, 184), srgb(229, 180, 159), srgb(215, 162, 137), srgb(198, 142, 114),
        srgb(178, 124, 91), srgb(146, 96, 66), srgb(112, 71, 49), srgb(82, 51, 37),
        srgb(58, 37, 29),
    ],
    np.float32,
)  # fmt: skip
"""From the lightest to the darkest skin."""

HAIR: Final[dict[str, Colour]] = {
    "black": srgb(28, 24, 23),
    "dark": srgb(46, 34, 27),
    "brown": srgb(78, 54, 38),
    "light": srgb(120, 88, 60),
    "blond": srgb(184, 148, 98),
    "red": srgb(130, 62, 32),
    "grey": srgb(140, 138, 136),
    "white": srgb(208, 206, 202),
}
IRIS: Final[dict[str, Colour]] = {
    "dark": srgb(48, 30, 20),
    "brown": srgb(86, 54, 32),
    "hazel": srgb(112, 84, 46),
    "green": srgb(100, 118, 80),
    "blue": srgb(98, 122, 144),
    "grey": srgb(124, 134, 140),
}
FRAMES: Final = np.array(
    [
        [0.02, 0.02, 0.02], [0.02, 0.04, 0.10], [0.3, 0.3, 0.3], [0.1, 0.02, 0.02],
        [0.15, 0.3, 0.4],
    ],
    np.float32,
)  # fmt: skip
"""Frames of glasses."""


def skin_at(place: float) -> Floats:
    """Return the skin at a place from the lightest (0) to the darkest (1), (3,)."""
    at = min(max(place, 0.0), 1.0) * (len(SKIN) - 1)
    low = min(int(at), len(SKIN) - 2)
    return np.asarray(SKIN[low] + (at - low) * (SKIN[low + 1] - SKIN[low]), np.float32)

"""What a signed configuration may set: nothing looser than the evaluation was made with (R28, R29).

A threshold statement holds for the way in which it was measured: with the default margin, quality
limits and number of shots. A configuration with other values makes false alerts more likely than
the statement says, or hides them; so each that is looser is named, and forbids comparing. Stricter
ones are allowed: they cost matches, and raise no false alert.
"""

from typing import Final

from device.settings import MatchingSettings, VisionSettings

LONGEST_COOLDOWN_S: Final = 600.0
"""A longer one hides false alerts from the verifiers, and so from the stop rule (R32)."""

_AT_LEAST: Final = {
    "matching": ("margin", "shots"),
    "vision": ("detection_threshold", "interocular_px", "sharpness"),
}
_AT_MOST: Final = {"matching": (), "vision": ("yaw", "roll_degrees", "shots_per_track")}


def loosened(
    matching: MatchingSettings, vision: VisionSettings, live: float | None = None
) -> tuple[str, ...]:
    """Return what is looser than the evaluation's settings, one sentence each; empty: nothing.

    live: the attack detector's own live threshold; None where none is used, or not known yet: then
    `vision.live_threshold` is not judged.
    """
    found: list[str] = []
    asked = (("matching", matching, MatchingSettings()), ("vision", vision, VisionSettings()))
    for table, applied, evaluated in asked:
        for name in _AT_LEAST[table]:
            value, least = getattr(applied, name), getattr(evaluated, name)
            # A NaN is neither: `not >=`, rather than `<`.
            if not value >= least:
                found.append(_said(table, name, value, f"at least {least:g}"))
        for name in _AT_MOST[table]:
            value, most = getattr(applied, name), getattr(evaluated, name)
            if not value <= most:
                found.append(_said(table, name, value, f"at most {most:g}"))
    if not matching.cooldown_s <= LONGEST_COOLDOWN_S:
        most = f"at most {LONGEST_COOLDOWN_S:g}"
        found.append(_said("matching", "cooldown_s", matching.cooldown_s, most))
    if live is not None and vision.live_threshold is not None and not vision.live_threshold >= live:
        least = f"at least {live:g}"
        found.append(_said("vision", "live_threshold", vision.live_threshold, least))
    return tuple(found)


def _said(table: str, name: str, value: float, bound: str) -> str:
    return f"{table}.{name} is {value:g}, and the evaluation stands for {bound}"

"""`Effort`: how hard the eye works. The settings say the most; a governor may ask for less."""

from dataclasses import dataclass

from device.settings import VisionSettings


@dataclass(frozen=True, slots=True)
class Effort:
    """How often and how closely frames are looked at.

    searches_per_s: most detections a second while something moves and nobody is followed.
    follows_per_s: most while faces are followed. faces_per_frame: most comparisons in one frame.
    small_detector: detect with the smaller input, where there is one.
    """

    searches_per_s: float
    follows_per_s: float
    faces_per_frame: int
    small_detector: bool = False


def full_effort(vision: VisionSettings) -> Effort:
    """Return what the settings ask for: nothing is spared."""
    return Effort(vision.searches_per_s, vision.follows_per_s, vision.faces_per_frame)

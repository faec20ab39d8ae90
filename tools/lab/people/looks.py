"""Corners of a space of looks; a person is drawn from a blend of two, never from one name.

Names of `SHAPE_NAMES` are in standard deviations; tone is a place in `palette.SKIN`, from 0 to 1;
nose_height, bridge and lips are factors; fold is millimetres; dark, curl and light_eyes are shares.
"""

from typing import Final

LOOKS: Final[tuple[dict[str, float], ...]] = (
    {
        "tone": 0.10, "nose_wings": -0.8, "bridge": 0.93, "nose_height": 1.06, "lips": 0.85,
        "fold": 3.6, "dark": 0.25, "nasion": 0.5, "brow_ridge": 0.4, "curl": 0.15,
        "light_eyes": 0.65, "cheek_fill": -0.2,
    },
    {
        "tone": 0.28, "nose_wings": -0.2, "bridge": 1.02, "nose_height": 1.10, "lips": 0.95,
        "fold": 3.8, "dark": 0.75, "nasion": 0.4, "nose_hump": 0.8, "brow_ridge": 0.3,
        "curl": 0.3, "light_eyes": 0.25, "brow": 0.8,
    },
    {
        "tone": 0.26, "nose_wings": 0.4, "bridge": 1.12, "nose_height": 0.82, "fold": 0.4,
        "dark": 1.0, "nasion": -1.2, "eye_tilt": 0.9, "eye_depth": 1.2, "cheekbones": 0.8,
        "head_width": 0.7, "profile": 0.4, "brow_ridge": -0.8, "eye_upper": -0.9,
        "face_width": 0.8,
    },
    {
        "tone": 0.58, "nose_wings": 0.3, "bridge": 1.05, "nose_height": 1.02, "lips": 1.15,
        "fold": 3.6, "dark": 1.0, "curl": 0.2, "brow": 0.9, "eye_bags": 0.5, "hollows": 0.3,
    },
    {
        "tone": 0.86, "nose_wings": 1.7, "bridge": 1.25, "nose_height": 0.86, "lips": 1.5,
        "fold": 3.2, "dark": 1.0, "nasion": -0.8, "mouth_forward": 1.3, "curl": 1.0,
        "mouth_width": 0.6, "forehead_round": 0.7,
    },
    {
        "tone": 0.42, "nose_wings": 0.7, "bridge": 1.08, "nose_height": 0.96, "lips": 1.15,
        "fold": 2.6, "dark": 0.95, "cheekbones": 0.9, "eye_tilt": 0.3, "curl": 0.15,
        "light_eyes": 0.05, "face_width": 0.6, "nose_hump": 0.4,
    },
)  # fmt: skip
SHARES: Final = (0.27, 0.15, 0.18, 0.13, 0.17, 0.10)
"""How often each corner is drawn."""

MASCULINE: Final[dict[str, float]] = {
    "brow_ridge": 0.7, "brow_height": -0.6, "jaw_width": 0.7, "jaw_length": 0.6,
    "chin_width": 0.7, "cheek_fill": -0.2, "face_length": 0.4, "neck_width": 0.9,
    "eye_depth": -0.4, "head_width": 0.5, "forehead_round": -0.6, "profile": -0.3,
    "eye_size": -0.4, "chin_forward": 0.4, "mouth_width": 0.3, "nose_length": 0.4,
}  # fmt: skip
"""What goes with a more masculine head, in standard deviations per unit."""

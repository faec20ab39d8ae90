"""How people are drawn from a seed: correlated, so that each looks like somebody.

The weights are hand-set for variety, not to resemble any population.
"""

from collections.abc import Mapping

import numpy as np

from tools.lab.people.fields import Floats, Rng
from tools.lab.people.looks import LOOKS, MASCULINE, SHARES
from tools.lab.people.modes import SHAPE_NAMES
from tools.lab.people.palette import FRAMES, HAIR, IRIS, colour_of, skin_at
from tools.lab.people.person import CLOTHES, GLASSES, Brows, Eyes, Hair, Person, Skin, Wear
from tools.lab.people.styles import beard_of, style_of

_SHAPE_DEVIATION = 1.3
_OUTLINE_DEVIATION = 0.9
_OUTLINE = {
    "head_width", "head_depth", "face_length", "jaw_length", "forehead_height", "forehead_width",
    "face_width", "jaw_width", "jaw_drop", "weight", "cheek_fill", "cheekbones", "chin_width",
    "chin_point", "chin_forward", "temples", "neck_width", "midface_length",
}  # fmt: skip
"""Modes of which much makes a caricature."""
_SHAPE_LIMIT = 3.6
_GROWN_UP = 18.0
"""Nobody here is younger (years)."""

Looks = Mapping[str, float]


def person(seed: int) -> Person:
    """Draw a person. Raises ValueError for a negative seed."""
    rng = np.random.default_rng([seed, 0])
    looks = _blend(rng)
    masculine = float(np.clip(rng.choice([-1, 1]) * rng.gamma(6, 1 / 6), -1.8, 1.8))
    years = float(np.clip(_GROWN_UP + rng.gamma(2.0, 9.5), _GROWN_UP, 85))
    tone, grey = _hair_tone(rng, looks, years)
    return Person(
        seed=seed,
        shape=_shape(rng, looks, masculine, years),
        nose=_nose(rng, looks, masculine),
        years=years,
        ears=(_factor(rng, 0.09) * (1 + 0.002 * (years - 30)), float(rng.beta(2, 4))),
        eyes=_eyes(rng, looks, masculine),
        brows=_brows(rng, looks, masculine, np.asarray(tone * (0.7 - 0.4 * (1 - grey)))),
        skin=_skin(rng, looks, masculine, years),
        hair=_hair(rng, looks, masculine, years, tone),
        wear=_wear(rng),
    )


def _likely(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _blend(rng: Rng) -> dict[str, float]:
    """Return a blend of two looks, most often near one of them."""
    one, other = rng.choice(len(LOOKS), 2, p=SHARES)
    share = float(rng.beta(0.5, 0.5))
    return {
        name: share * LOOKS[one].get(name, usual) + (1 - share) * LOOKS[other].get(name, usual)
        for name, usual in _USUAL.items()
    }


_USUAL = {name: 0.0 for look in LOOKS for name in look} | {
    "tone": 0.3, "nose_height": 1.0, "bridge": 1.0, "lips": 1.0, "fold": 3.0, "dark": 0.8,
}  # fmt: skip


def _factor(rng: Rng, deviation: float) -> float:
    return float(np.exp(deviation * np.clip(rng.normal(), -2.6, 2.6)))


def _shape(rng: Rng, looks: Looks, masculine: float, years: float) -> tuple[float, ...]:
    old = max(0.0, (years - 40) / 30)
    later = {
        "weight": 0.4, "eye_bags": 0.8, "nasolabial": 0.9, "cheek_fill": -0.4,
        "mouth_corners": 0.5, "nose_length": 0.3,
    }  # fmt: skip
    values = np.clip(rng.normal(0, 1, len(SHAPE_NAMES)), -2.4, 2.4)
    for index, name in enumerate(SHAPE_NAMES):
        values[index] *= _OUTLINE_DEVIATION if name in _OUTLINE else _SHAPE_DEVIATION
        values[index] += looks.get(name, 0.0) + old * later.get(name, 0.0)
        values[index] += masculine * MASCULINE.get(name, 0.0)
    return tuple(float(v) for v in np.clip(values, -_SHAPE_LIMIT, _SHAPE_LIMIT))


def _nose(rng: Rng, looks: Looks, masculine: float) -> tuple[float, float, float]:
    height = looks["nose_height"] * (1 + 0.04 * np.sign(masculine))
    return (
        float(height * _factor(rng, 0.15)),
        float(looks["bridge"] * _factor(rng, 0.17)),
        float(looks["bridge"] ** 0.7 * _factor(rng, 0.17)),
    )


def _eyes(rng: Rng, looks: Looks, masculine: float) -> Eyes:
    light = _likely(rng, looks["light_eyes"])
    names = ["blue", "grey", "green", "hazel"] if light else ["dark", "brown", "brown", "dark"]
    iris = np.array(IRIS[str(rng.choice(names))]) * np.exp(rng.normal(0, 0.2, 3))
    paint = 0.25 if masculine < 0 else 0.0
    return Eyes(
        upper=float(np.clip(rng.normal(5.3 + 0.5 * looks["eye_upper"], 0.8), 3.2, 7.4)),
        lower=float(np.clip(rng.normal(5.0, 0.6), 3.2, 6.8)),
        peak=float(np.clip(rng.normal(-0.1, 0.5), -1, 1)),
        fold=float(max(0.0, rng.normal(looks["fold"], 0.5 + 0.25 * looks["fold"]))),
        iris=colour_of(iris),
        lashes=float(np.clip(rng.normal(0.3 + paint, 0.18), 0, 1)),
        white=float(np.clip(rng.normal(0.85, 0.07), 0.6, 1)),
    )


def _brows(rng: Rng, looks: Looks, masculine: float, tone: Floats) -> Brows:
    thick = 4.7 + 1.0 * masculine + 0.7 * looks["brow"]
    full = 0.75 + 0.08 * masculine + 0.1 * looks["brow"]
    return Brows(
        thickness=float(np.clip(rng.normal(thick, 1.6), 1.5, 10.5)),
        length=float(np.clip(rng.normal(37, 4.0), 25, 48)),
        arch=float(np.clip(rng.normal(3.0 - 0.9 * masculine, 2.0), -1.5, 8.5)),
        peak=float(np.clip(rng.normal(0.64, 0.1), 0.4, 0.84)),
        density=float(np.clip(rng.normal(full, 0.22), 0.15, 1)),
        height=float(rng.normal(-16.5, 2.0)),
        gap=float(np.clip(rng.normal(11.5 - 1.0 * masculine, 2.6), 4, 19)),
        bridge=float(rng.random()) if _likely(rng, 0.12) else 0.0,
        tone=colour_of(np.minimum(tone * rng.uniform(0.5, 1.1), 0.45)),
    )


def _skin(rng: Rng, looks: Looks, masculine: float, years: float) -> Skin:
    place = looks["tone"] + float(rng.normal(0, 0.07))
    tone = skin_at(place) * np.exp(rng.normal(0, (0.06, 0.035, 0.03)))
    light = float(np.clip(1 - 1.6 * place, 0, 1))
    lips = looks["lips"] * (0.93 if masculine > 0 else 1.08) * (1 - 0.004 * max(0, years - 40))
    return Skin(
        tone=colour_of(tone),
        redness=float(np.clip(rng.normal(0.35 + 0.25 * light, 0.22), 0, 1)),
        freckles=float(rng.random()) if _likely(rng, 0.05 + 0.2 * light) else 0.0,
        blotches=float(rng.beta(1.6, 3)),
        moles=int(rng.poisson(2.5)),
        wrinkles=float(np.clip((years - 30) / 55 + rng.normal(0, 0.12), 0, 1)),
        hollows=float(np.clip(rng.normal(0.28 + looks["hollows"] + 0.003 * years, 0.17), 0, 0.9)),
        oil=float(rng.beta(2, 2.5)),
        lip=colour_of(_lip_tone(rng, tone, painted=masculine < 0 and _likely(rng, 0.4))),
        upper_lip=float(np.clip(7.2 * lips * _factor(rng, 0.26), 2.6, 13)),
        lower_lip=float(np.clip(9.4 * lips * _factor(rng, 0.2), 4.6, 15)),
        bow=float(np.clip(rng.normal(1.3, 0.9), 0, 3.4)),
    )


def _lip_tone(rng: Rng, skin: Floats, *, painted: bool) -> Floats:
    tone = skin * np.array([0.70, 0.56, 0.96]) * np.exp(rng.normal(0, (0.14, 0.12, 0.07)))
    if painted:
        paint = np.array([0.14, 0.09, 0.42]) * np.exp(rng.normal(0, (0.4, 0.4, 0.25)))
        tone = tone + (paint - tone) * rng.uniform(0.2, 0.75)
    return np.asarray(tone, np.float32)


def _hair_tone(rng: Rng, looks: Looks, years: float) -> tuple[Floats, float]:
    """Return the colour of the hair and how grey it is, in [0, 1]."""
    if _likely(rng, looks["dark"]):
        name = rng.choice(["black", "dark", "brown"], p=(0.5, 0.35, 0.15))
    else:
        names = ["brown", "light", "blond", "red", "dark"]
        name = rng.choice(names, p=(0.34, 0.28, 0.2, 0.06, 0.12))
    tone = np.array(HAIR[str(name)]) * np.exp(rng.normal(0, 0.18))
    grey = float(np.clip((years - 42) / 30 + rng.normal(0, 0.25), 0, 1))
    aim = np.array(HAIR[str(rng.choice(["grey", "white"], p=(0.6, 0.4)))])
    return np.asarray(tone + (aim - tone) * grey * 0.9, np.float32), grey


def _hair(rng: Rng, looks: Looks, masculine: float, years: float, tone: Floats) -> Hair:
    curly = _likely(rng, looks["curl"])
    chin = tone * rng.uniform(0.7, 1.1) * np.array([0.9, 0.95, 1.1])
    return Hair(
        style=style_of(rng, masculine, years, curly=curly),
        tone=colour_of(tone),
        line=float(rng.normal(-61, 5.0)),
        peak=float(rng.normal(1, 3)),
        corners=float(np.clip(rng.normal(7 if masculine > 0 else 3, 5), 0, 20)),
        volume=float(np.clip(rng.normal(1, 0.2), 0.5, 1.6)),
        part=float(rng.choice([-1, 0, 1]) * rng.uniform(0.2, 0.7)),
        length=float(rng.uniform(95, 240)),
        beard=beard_of(rng, masculine),
        beard_tone=colour_of(np.asarray(chin)),
        beard_density=float(rng.uniform(0.35, 1)),
    )


def _wear(rng: Rng) -> Wear:
    kind = str(rng.choice(GLASSES, p=(0.78, 0.055, 0.055, 0.055, 0.055)))
    frame = FRAMES[int(rng.integers(len(FRAMES)))] * np.exp(rng.normal(0, 0.2, 3))
    striped = _likely(rng, 0.25)
    return Wear(
        glasses=kind,
        frame=colour_of(frame),
        rim=float(rng.uniform(1.2, 4.0)),
        tint=float(rng.choice([0.03, 0.06, 0.2, 0.75], p=(0.5, 0.35, 0.1, 0.05))),
        clothes=str(rng.choice(CLOTHES)),
        cloth=colour_of(rng.uniform(0.02, 0.75) * np.exp(rng.normal(0, 0.35, 3))),
        pattern=float(rng.uniform(0.1, 1)) if striped else 0.0,
    )

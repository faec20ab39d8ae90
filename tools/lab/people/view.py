"""How a person is seen: pose, expression, light and camera; another one for every picture."""

from dataclasses import dataclass, field

import numpy as np

from tools.lab.people.fields import Rng
from tools.lab.people.palette import Colour


@dataclass(frozen=True)
class Pose:
    """Turn of the head in degrees; all 0: straight into the camera."""

    yaw: float = 0.0
    """Positive: towards the subject's left."""
    pitch: float = 0.0
    """Positive: down."""
    roll: float = 0.0
    """Positive: clockwise in the picture."""


@dataclass(frozen=True)
class Expression:
    """What the face does; each in [0, 1] unless said otherwise."""

    smile: float = 0.0
    mouth: float = 0.0
    """How far the mouth is open."""
    raised: float = 0.0
    """How far the brows are raised."""
    frown: float = 0.0
    pucker: float = 0.0
    closed: float = 0.0
    """How far the lids are closed."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Millimetres that the pupils are off the middle, to the subject's left and down."""


@dataclass(frozen=True)
class Light:
    """One lamp or sun, and the light from everywhere."""

    azimuth: float = -18.0
    """Degrees from the camera's axis; positive: from the picture's right."""
    elevation: float = 30.0
    """Degrees above the camera."""
    key: float = 0.62
    """Strength of the lamp."""
    ambient: float = 0.58
    """Strength of the light from everywhere."""
    key_colour: Colour = (0.94, 1.0, 1.05)
    ambient_colour: Colour = (1.05, 1.0, 0.96)
    shadow: float = 0.55
    """Depth of cast shadows, in [0, 1]."""
    softness: float = 2.0
    """Blur of their edges, grid cells."""


@dataclass(frozen=True)
class Camera:
    """What camera and transmission do to the picture."""

    distance: float = 1500.0
    """From the camera to the face, millimetres: near ones distort."""
    exposure: float = 0.0
    """Steps (EV) over or under."""
    contrast: float = 1.0
    balance: Colour = (1.0, 1.0, 1.0)
    detail: float = 1.0
    """Resolution left, as a share of the picture's; 0.25: four times enlarged."""
    defocus: float = 0.0
    """Standard deviation of the blur in pixels of a 160-pixel picture."""
    motion: tuple[float, float] = (0.0, 0.0)
    """Smear along x and y, in pixels of a 160-pixel picture."""
    noise: float = 0.01
    """Standard deviation of the sensor's noise, of full scale."""
    jpeg: int = 0
    """Quality, 1 to 100; 0: not compressed."""
    grey: bool = False


@dataclass(frozen=True)
class View:
    """Everything of one picture that is not the person's.

    scale: distance between the eyes of a frontal face, as a share of the picture's width.
    centre: where the point between the eyes and the mouth lies, as shares of width and height.
    seed: draws background, noise and the like.
    """

    pose: Pose = field(default_factory=Pose)
    expression: Expression = field(default_factory=Expression)
    light: Light = field(default_factory=Light)
    camera: Camera = field(default_factory=Camera)
    scale: float = 0.22
    centre: tuple[float, float] = (0.5, 0.55)
    glasses: bool = True
    backdrop: str = "plain"
    """What is behind: one of `backdrop.KINDS`, or "any"."""
    stride: float | None = None
    """How far the left foot is ahead, in [-1, 1]; None: arms and legs are not painted."""
    seed: int = 0

    @classmethod
    def frontal(cls, seed: int = 0) -> "View":
        """Return a booking-like view: straight, calm, evenly lit, sharp."""
        return cls(seed=seed)

    @classmethod
    def random(cls, rng: Rng) -> "View":
        """Return any view of a street: yaw to ±45°, lamps, blur, noise, small faces."""
        return cls(
            pose=_random_pose(rng),
            expression=_random_expression(rng),
            light=_random_light(rng),
            camera=_random_camera(rng),
            centre=(0.5 + float(rng.normal(0, 0.02)), 0.55 + float(rng.normal(0, 0.02))),
            scale=0.22 * float(np.exp(rng.normal(0, 0.08))),
            glasses=_likely(rng, 0.85),
            backdrop="any",
            seed=int(rng.integers(2**31)),
        )


def _random_pose(rng: Rng) -> Pose:
    return Pose(
        yaw=float(np.clip(rng.normal(0, 18), -45, 45)),
        pitch=float(np.clip(rng.normal(2, 8), -25, 25)),
        roll=float(np.clip(rng.normal(0, 5), -20, 20)),
    )


def _likely(rng: Rng, share: float) -> bool:
    return bool(rng.random() < share)


def _some(rng: Rng, share: float) -> float:
    """Return up to 1 in a share of the cases, else 0."""
    return float(rng.random()) if _likely(rng, share) else 0.0


def _random_expression(rng: Rng) -> Expression:
    return Expression(
        smile=_some(rng, 0.5),
        mouth=_some(rng, 0.35) * 0.8,
        raised=_some(rng, 0.25),
        frown=_some(rng, 0.2),
        pucker=_some(rng, 0.1) * 0.7,
        closed=1.0 if _likely(rng, 0.03) else _some(rng, 0.3) * 0.45,
        gaze=(float(rng.normal(0, 1.6)), float(rng.normal(0, 0.7))),
    )


def _random_light(rng: Rng) -> Light:
    warm = float(rng.normal(0, 0.10))
    sky = float(rng.normal(0, 0.08))
    key = float(rng.uniform(0.15, 1.1))
    return Light(
        azimuth=float(rng.uniform(-85, 85)),
        elevation=float(np.clip(rng.normal(30, 25), -20, 80)),
        key=key,
        ambient=float(rng.uniform(0.2, 0.75)),
        key_colour=(1 - warm, 1.0, 1 + warm),
        ambient_colour=(1 + sky, 1.0, 1 - sky),
        shadow=float(rng.uniform(0.3, 1.0)),
        softness=float(rng.uniform(0.8, 4)),
    )


def _random_camera(rng: Rng) -> Camera:
    tilt = float(rng.normal(0, 0.05))
    angle, smear = rng.uniform(0, np.pi), _some(rng, 0.25) * 4
    return Camera(
        distance=float(np.exp(rng.uniform(np.log(500), np.log(6000)))),
        exposure=float(rng.normal(0, 0.35)),
        contrast=float(np.exp(rng.normal(0, 0.12))),
        balance=(1 - tilt, 1 + float(rng.normal(0, 0.015)), 1 + tilt),
        detail=float(rng.uniform(0.35, 1)) if _likely(rng, 0.4) else 1.0,
        defocus=_some(rng, 0.4) * 1.4,
        motion=(float(np.cos(angle) * smear), float(np.sin(angle) * smear)),
        noise=float(rng.uniform(0.002, 0.03)),
        jpeg=int(rng.integers(35, 96)) if _likely(rng, 0.7) else 0,
        grey=_likely(rng, 0.04),
    )

"""Who walks where in the benchmark's clips; all from seeds, the same on every machine.

Lengths are millimetres before a lens that sees 39 degrees, as the Pi's camera module in its main
stream nearly does. Nobody here taught the built-in embedder (`tools.lab.people.pool.TRAINED_ON`).
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tools.lab.people.fields import Rng
from tools.lab.people.paint import PUPILS_MM
from tools.lab.people.person import Person
from tools.lab.people.scene import Walker
from tools.lab.people.view import Camera, Expression, Light, Pose, View

SIZE: Final = (1280, 720)
LORES: Final = (640, 360)
RATE: Final = 15.0
FOCAL_PX: Final = 1.4 * SIZE[0]
_STEPS_S = 1.8
"""Steps per second."""
_SHUTTER_S = 1 / 120
_MOST_SMEAR_PX = 6.0
_SPEED_MM_S = 1250.0
_FAR_MM, _NEAR_MM = 4400.0, 1100.0
WALK_S: Final = (_FAR_MM - _NEAR_MM) / _SPEED_MM_S
"""How long one person walks through the picture."""

ENROLLED: Final = tuple(range(700_000, 700_016))
"""Seeds of those who are on the list and walk."""
LISTED: Final = tuple(range(700_100, 700_134))
"""Seeds of those who are on the list and never come."""
STRANGERS: Final = tuple(range(700_200, 700_232))


def reference_id(seed: int) -> str:
    """Return the opaque id under which a person is enrolled."""
    return f"ref-{seed % 10_000:04}"


@dataclass(frozen=True, slots=True)
class Wave:
    """A length that grows evenly and swings: start + per_s * t + swing * sin(2 pi t / period_s)."""

    start: float
    per_s: float = 0.0
    swing: float = 0.0
    period_s: float = 1.0
    phase: float = 0.0

    def at(self, seconds: float) -> float:
        """Return its value, seconds after its start."""
        turn = 2 * np.pi * seconds / self.period_s + self.phase
        return self.start + self.per_s * seconds + self.swing * float(np.sin(turn))


@dataclass(frozen=True, slots=True)
class Manner:
    """How somebody carries the head. phase: of the steps. sway, turned: degrees. smile: 0 to 1."""

    phase: float
    sway: float
    turned: float
    smile: float


@dataclass(frozen=True, slots=True)
class Actor:
    """One person's way through a clip.

    distance, aside: from the camera and from its axis, millimetres. below_mm: of the face under
    the middle line. walks: with steps; otherwise the person stands and sways.
    """

    person: Person
    start_s: float
    end_s: float
    distance: Wave
    aside: Wave
    below_mm: float
    manner: Manner
    walks: bool = True

    def present(self, seconds: float) -> bool:
        """Tell whether the person is to be seen."""
        return self.start_s <= seconds < self.end_s

    def place(self, seconds: float) -> tuple[tuple[float, float], float]:
        """Return where the middle of the face is, and the pixels between the eyes."""
        since = seconds - self.start_s
        scale = FOCAL_PX / self.distance.at(since)
        bob = (
            18.0 * np.sin(2 * np.pi * _STEPS_S * seconds + self.manner.phase) if self.walks else 0.0
        )
        x = SIZE[0] / 2 + scale * self.aside.at(since)
        y = 0.45 * SIZE[1] + scale * (self.below_mm + float(bob))
        return (x, y), PUPILS_MM * scale

    def seen(self, seconds: float, light: Light) -> Walker:
        """Return how the person looks at a moment."""
        middle, eyes_px = self.place(seconds)
        later, _ = self.place(seconds + _SHUTTER_S)
        smear = [float(np.clip(b - a, -_MOST_SMEAR_PX, _MOST_SMEAR_PX))
                 for a, b in zip(middle, later, strict=True)]  # fmt: skip
        steps = np.pi * _STEPS_S * seconds + self.manner.phase
        pose = Pose(
            yaw=self.manner.turned + self.manner.sway * float(np.sin(0.8 * steps)),
            pitch=2 + 2 * float(np.sin(2 * steps)),
            roll=1.5 * float(np.sin(steps)),
        )
        view = View(
            pose=pose,
            expression=Expression(smile=self.manner.smile),
            light=light,
            camera=Camera(distance=self.distance.at(seconds - self.start_s)),
            stride=float(np.sin(steps)) if self.walks else 0.0,
        )
        return Walker(self.person, view, middle, eyes_px, (smear[0], smear[1]))


def walker(seed: int, start_s: float) -> Actor:
    """Return somebody who comes from 4.4 m and leaves beside the camera."""
    rng = np.random.default_rng([seed, 41])
    side = float(rng.choice([-1, 1]))
    far, near = side * float(rng.uniform(0, 350)), side * float(rng.uniform(60, 200))
    return Actor(
        Person.from_seed(seed),
        start_s,
        start_s + WALK_S,
        distance=Wave(_FAR_MM, per_s=-_SPEED_MM_S),
        aside=Wave(far, (near - far) / WALK_S, swing=12.0, period_s=2 / _STEPS_S),
        below_mm=float(rng.uniform(-60, 120)),
        manner=_manner(rng),
    )


def crowd(seeds: list[int], seconds: float, rows: tuple["Row", ...]) -> list[Actor]:
    """Return people who stay in view, stepping to and fro, in rows one behind the other."""
    rng = np.random.default_rng([seeds[0], 43])
    actors = []
    for row, mine in zip(rows, np.array_split(np.array(seeds), len(rows)), strict=True):
        for place, seed in enumerate(mine.tolist()):
            aside = (place - (len(mine) - 1) / 2) * row.apart_mm + row.aside_mm
            actors.append(_standing(int(seed), aside, seconds, row, rng))
    return actors


@dataclass(frozen=True, slots=True)
class Row:
    """Where a row of a crowd stands. swing: to and fro, millimetres; apart_mm: from neighbours."""

    distance_mm: float
    apart_mm: float
    below_mm: float
    swing_mm: float = 150.0
    aside_mm: float = 0.0


def _standing(seed: int, aside: float, seconds: float, row: Row, rng: Rng) -> Actor:
    period = float(rng.uniform(4, 7))
    phases = rng.uniform(0, 2 * np.pi, 2)
    return Actor(
        Person.from_seed(seed),
        0.0,
        seconds,
        distance=Wave(row.distance_mm, 0.0, row.swing_mm, period, float(phases[0])),
        aside=Wave(aside, 0.0, row.apart_mm * 0.12, period * 0.7, float(phases[1])),
        below_mm=row.below_mm + float(rng.uniform(-30, 30)),
        manner=_manner(rng),
        walks=False,
    )


def _manner(rng: Rng) -> Manner:
    return Manner(
        phase=float(rng.uniform(0, 2 * np.pi)),
        sway=float(rng.uniform(3, 9)),
        turned=float(rng.uniform(-8, 8)),
        smile=float(rng.uniform(0, 0.4)),
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """One clip. seconds: of each frame. paintings_s: how often a second a person is painted anew.

    drift: how far the light swings over ten seconds, as a part. packed: kept as JPEG, since it is
    long. laps: how often it is shown, the end joining the start.
    """

    name: str
    seconds: tuple[float, ...]
    actors: tuple[Actor, ...] = ()
    paintings_s: float = 5.0
    drift: float = 0.0
    packed: bool = False
    laps: int = 1
    seed: int = 9
    enrolled: tuple[int, ...] = field(default=ENROLLED)


def plans() -> dict[str, Plan]:
    """Return the clips by the name of their folder."""
    return {plan.name: plan for plan in (_idle(), _timing(), _passages(), _five(), _twenty())}


_TEN_S = tuple(number / RATE for number in range(150))


def _idle() -> Plan:
    return Plan("idle", _TEN_S, drift=0.03, laps=6)


def _timing() -> Plan:
    """Return three people one after the other; the second is on the list."""
    seeds = (STRANGERS[0], ENROLLED[0], STRANGERS[1])
    return Plan("walker", _TEN_S, tuple(walker(s, 0.4 + 3.3 * n) for n, s in enumerate(seeds)))


def _passages() -> Plan:
    """Return people of the list and twice as many strangers by turns, each with a pause."""
    seeds = [*STRANGERS[:28]]
    for number, seed in enumerate(ENROLLED[:14]):
        seeds.insert(number * 3 + 1, seed)
    frames, apart_s = round(WALK_S * RATE) + 2, WALK_S + 3.0
    actors = tuple(walker(seed, number * apart_s) for number, seed in enumerate(seeds))
    seconds = tuple(a.start_s + frame / RATE for a in actors for frame in range(frames))
    return Plan("passages", seconds, actors, packed=True)


def _five() -> Plan:
    seeds = [*STRANGERS[2:4], ENROLLED[1], *STRANGERS[4:6]]
    rows = (Row(2300.0, 300.0, 0.0, swing_mm=250.0),)
    return Plan("five", _TEN_S, tuple(crowd(seeds, 10.0, rows)), paintings_s=3.0)


def _twenty() -> Plan:
    seeds = [*STRANGERS[6:13], ENROLLED[2], *STRANGERS[13:22], ENROLLED[3], *STRANGERS[22:24]]
    rows = (Row(4900.0, 345.0, -420.0, 100.0, 60.0), Row(4000.0, 280.0, 0.0, 100.0))
    return Plan("twenty", _TEN_S, tuple(crowd(seeds, 10.0, rows)), paintings_s=1.5)

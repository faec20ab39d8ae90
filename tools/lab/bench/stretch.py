"""One job of rendering: a stretch of a clip's frames, or a photograph; runs in any process."""

from functools import cache

import numpy as np

from device.capture.frame import Pixels
from device.capture.stills import shrunk
from tools.lab.bench.choreography import LORES, SIZE, Actor, Plan, plans
from tools.lab.bench.clip import i420_of
from tools.lab.bench.packed import packed
from tools.lab.bench.sprites import Sprite, put, sprite_of
from tools.lab.people.camera import develop
from tools.lab.people.person import Person
from tools.lab.people.rendered import render
from tools.lab.people.scene import Stage
from tools.lab.people.view import View

_PHOTO_PX = 480
_DRIFT_S = 10.0
"""Period of the light's drift: that of a lap, whose end then joins its start."""

Job = tuple[str, int, int]
"""Name of a clip, its first frame, and the first that is not wanted."""


def planes(job: Job) -> tuple[Pixels, Pixels]:
    """Return main and small stream of a stretch, (n, h * 3 / 2, w) uint8 I420."""
    frames = _frames(job)
    main = np.stack([i420_of(frame) for frame in frames])
    return main, np.stack([i420_of(shrunk(frame, LORES[0])) for frame in frames])


def pictures(job: Job) -> list[bytes]:
    """Return a stretch as JPEG."""
    return [packed(frame) for frame in _frames(job)]


def photograph(seed: int) -> Pixels:
    """Return a booking photograph, (480, 480, 3) uint8 BGR."""
    return render(Person.from_seed(seed), View.frontal(seed), _PHOTO_PX).image


def _frames(job: Job) -> list[Pixels]:
    name, first, beyond = job
    plan = _plans()[name]
    painter = _Painter(plan)
    return [painter.frame(number) for number in range(first, beyond)]


@cache
def _plans() -> dict[str, Plan]:
    return plans()


class _Painter:
    """Paints the frames of one clip; keeps everybody's newest sprite."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stage = Stage.random(np.random.default_rng([plan.seed, 37]), SIZE, "street")
        self._sprites: dict[int, tuple[float, Sprite]] = {}

    def frame(self, number: int) -> Pixels:
        """Return one frame, (h, w, 3) uint8 BGR."""
        seconds = self._plan.seconds[number]
        stage = self._stage
        drift = 1 + self._plan.drift * np.sin(2 * np.pi * seconds / _DRIFT_S)
        strength = (stage.light.ambient + 0.6 * stage.light.key) * drift
        light = stage.behind * np.float32(strength)
        present = [(i, a) for i, a in enumerate(self._plan.actors) if a.present(seconds)]
        # Near ones hide far ones.
        present.sort(key=lambda pair: pair[1].place(seconds)[1])
        for index, actor in present:
            put(light, self._sprite(index, actor, seconds), *actor.place(seconds))
        rng = np.random.default_rng([self._plan.seed, 31, number])
        return develop(np.asarray(light, np.float32), stage.camera, rng, blur_scale=1.0)

    def _sprite(self, index: int, actor: Actor, seconds: float) -> Sprite:
        """Return the sprite of the stretch of time that holds a moment, painted at its nearer end.

        At one moment of the clip, not of the job: so every process paints the same.
        """
        rate = self._plan.paintings_s
        begin = np.floor((seconds - actor.start_s) * rate) / rate + actor.start_s
        moments = (begin, min(begin + 1 / rate, actor.end_s))
        moment = float(max(moments, key=lambda at: actor.place(at)[1]))
        known = self._sprites.get(index)
        if known is None or known[0] != moment:
            known = (moment, sprite_of(actor.seen(moment, self._stage.light), SIZE[1]))
            self._sprites[index] = known
        return known[1]

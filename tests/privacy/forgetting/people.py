"""Canary frames: rendered people whom no list knows, in pixels that occur in no other frame.

A pool of people is rendered once per seed; a frame pastes some of them on a backdrop and lays fresh
noise over everything, so that any 16 bytes of it belong to this frame. The same seed gives the same
frames. Nobody here exists, and none was shown to a network that learnt or is tested elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from device.opencv import cv2
from tools.lab.people import Camera, Person, Pose, View
from tools.lab.people.backdrop import KINDS, backdrop
from tools.lab.people.camera import develop
from tools.lab.people.fields import shrink
from tools.lab.people.paint import PUPILS_MM, Canvas, paint
from tools.lab.people.rendered import SUPERSAMPLING

SIZE, LORES = (1280, 720), (640, 360)
"""Width and height of the main and of the small stream."""
PEOPLE, VIEWS = 240, 2
"""How many people a pool has, and how often each is rendered."""
_FIRST = 3_000_000
"""Of the seeds of canary people: far from those of training, evaluation, tests and proofs."""
_APART = 10_000
_SIDE, _EYES = 192, 38.0
"""Pixels of a rendered person's picture, and between the eyes in it."""
_BACKDROPS = 6
_DARKEST, _SPAN = 24, 0.8
"""A backdrop's values, so that noise is never clipped."""
_NOISE = 17
"""Levels of noise, evenly drawn: 4 bits in every byte."""
_FAINT = 5
_SMALLEST, _LARGEST = 0.62, 1.1
_CROWDED = (0.46, 0.5)
_FEET = 0.16
"""So much of a picture's lower end fades into the backdrop."""


@dataclass(frozen=True, slots=True)
class CanaryFrame:
    """One moment as the camera delivers it.

    main: (1080, 1280) uint8, I420 of 1280 x 720. lores: (540, 640) uint8, I420 of 640 x 360.
    faces: identity and box (x, y, width, height in pixels of the main stream) of each person.
    """

    seed: int
    number: int
    main: np.ndarray
    lores: np.ndarray
    faces: tuple

    @property
    def name(self):
        """What finds call it."""
        return f"seed {self.seed}, frame {self.number}"

    def picture(self):
        """Return the main stream as (720, 1280, 3) uint8 BGR, to be looked at."""
        return cv2.cvtColor(self.main, cv2.COLOR_YUV2BGR_I420)


@dataclass(frozen=True, slots=True)
class Pool:
    """What the frames of a seed are put together from.

    cutouts: (n, side, side, 4) uint8, BGR and how opaque it is. boxes: (n, 4) of the face in it.
    identities: (n,). backdrops: (m, 720, 1280, 3) uint8 BGR.
    """

    cutouts: np.ndarray
    boxes: np.ndarray
    identities: np.ndarray
    backdrops: np.ndarray


def frames(seed, number, *, faces=6, pool=None) -> Iterator[CanaryFrame]:
    """Yield `number` frames of a seed, each with other people at other places than the last.

    pool: see `pool_of`, which renders it where none is given.
    """
    pool = pool or pool_of(seed)
    for place in range(number):
        yield _frame(pool, seed, place, faces, (_SMALLEST, _LARGEST))


def crowd(seed, faces=80, *, pool=None):
    """Return a frame with more faces than the tracker follows (64)."""
    return _frame(pool or pool_of(seed), seed, 900_000, faces, _CROWDED)


def empty(seed, number=0, *, pool=None):
    """Return a frame in which nobody is, numbered from 910,000."""
    return _frame(pool or pool_of(seed), seed, 910_000 + number, 0, (1.0, 1.0))


def poor(seed, *, pool=None):
    """Return a frame of faces that are too flat, too bright or too small.

    Its noise is weaker: more of it would pass for the sharpness and contrast that they lack.
    """
    pool = pool or pool_of(seed)
    rng = np.random.default_rng([seed, 920_000, 61])
    image = _behind(pool, rng)
    faces = []
    cells = _cells(rng, len(_SPOILERS))
    for place, spoil in enumerate(_SPOILERS):
        one = place % len(pool.cutouts)
        cutout, box = pool.cutouts[one].copy(), pool.boxes[one]
        spoilt, box = spoil(cutout, box)
        faces.append((int(pool.identities[one]), _paste(image, spoilt, box, cells[place], rng)))
    return CanaryFrame(seed, 920_000, *_streams(image, rng, _FAINT), tuple(faces))


@lru_cache(maxsize=1)
def pool_of(seed, people=PEOPLE, views=VIEWS, cache=None):
    """Render, or read from the folder `cache`, the pool of a seed; the last one stays in memory.

    About 0.05 s for each of `people` times `views` on a desktop's core.
    """
    if cache is None:
        return _rendered(seed, people, views)
    file = Path(cache) / f"canaries-{seed}-{people}-{views}.npz"
    if not file.is_file():
        pool = _rendered(seed, people, views)
        file.parent.mkdir(parents=True, exist_ok=True)
        parts = {name: getattr(pool, name) for name in Pool.__slots__}
        unfinished = file.with_suffix(".part.npz")
        np.savez(unfinished, **parts)
        unfinished.replace(file)
        return pool
    with np.load(file) as kept:
        return Pool(**{name: kept[name] for name in Pool.__slots__})


def _rendered(seed, people, views):
    rng = np.random.default_rng([seed, 60])
    cutouts, boxes, identities = [], [], []
    for _ in range(views):
        for one in range(_FIRST + seed * _APART, _FIRST + seed * _APART + people):
            cutout, box = _cutout(one, _view(rng))
            cutouts.append(cutout)
            boxes.append(box)
            identities.append(one)
    kinds = [KINDS[place % len(KINDS)] for place in range(_BACKDROPS)]
    behind = np.stack([_backdrop(kind, rng) for kind in kinds])
    return Pool(np.stack(cutouts), np.array(boxes), np.array(identities), behind)


def _view(rng):
    """Return a view that a face can be compared from: nearly straight, sharp."""
    yaw, pitch, roll = (float(rng.uniform(-most, most)) for most in (12, 6, 5))
    return View(
        pose=Pose(yaw, pitch, roll),
        camera=Camera(distance=2500.0, noise=0.0),
        seed=int(rng.integers(2**31)),
    )


def _cutout(identity, view):
    """Return a person as (side, side, 4) uint8, and the face's box in it."""
    side = _SIDE * SUPERSAMPLING
    canvas = Canvas((side, side), (side / 2, 0.57 * side), _EYES * SUPERSAMPLING / PUPILS_MM)
    painting = paint(Person.from_seed(identity), view, canvas)
    light, alpha = (shrink(part, (_SIDE, _SIDE)) for part in (painting.light, painting.alpha))
    # Light is premultiplied: without this a person's edge would be dark.
    light = light / np.maximum(alpha, 0.05)[..., None]
    image = develop(np.asarray(light, np.float32), view.camera, np.random.default_rng(view.seed))
    opaque = np.clip(255 * alpha, 0, 255).astype(np.uint8)
    fade = np.clip((_SIDE - np.arange(_SIDE)) / (_FEET * _SIDE), 0, 1)
    opaque = (opaque * fade[:, None]).astype(np.uint8)
    return np.dstack([image, opaque]), tuple(value / SUPERSAMPLING for value in painting.box)


def _backdrop(kind, rng):
    light = backdrop(kind, SIZE, rng)
    image = develop(np.asarray(light, np.float32), Camera(noise=0.0), rng, blur_scale=1.0)
    return cv2.convertScaleAbs(image, alpha=_SPAN, beta=_DARKEST)


def _frame(pool, seed, number, count, sizes):
    rng = np.random.default_rng([seed, number, 61])
    image = _behind(pool, rng)
    faces = []
    for one, cell in zip(_people(pool, seed, number, count), _cells(rng, count), strict=False):
        size = float(rng.uniform(*sizes))
        cutout, box = _resized(pool.cutouts[one], pool.boxes[one], size)
        if rng.random() < 0.5:
            cutout, box = _mirrored(cutout, box)
        cutout[..., :3] = cv2.convertScaleAbs(cutout[..., :3], alpha=rng.uniform(0.85, 1.05))
        faces.append((int(pool.identities[one]), _paste(image, cutout, box, cell, rng)))
    return CanaryFrame(seed, number, *_streams(image, rng, _NOISE), tuple(faces))


def _people(pool, seed, number, count):
    """Return who is in a frame: one after the other in an order that is drawn for each round."""
    found = []
    for place in range(number * count, (number + 1) * count):
        turn, one = divmod(place, len(pool.cutouts))
        found.append(int(_order(seed, turn, len(pool.cutouts))[one]))
    return found


@lru_cache(maxsize=4)
def _order(seed, turn, count):
    return np.random.default_rng([seed, turn, 62]).permutation(count)


def _behind(pool, rng):
    image = pool.backdrops[int(rng.integers(len(pool.backdrops)))]
    image = image[:, ::-1] if rng.random() < 0.5 else image
    shifted = np.roll(image, int(rng.integers(SIZE[0])), axis=1)
    return cv2.convertScaleAbs(shifted, alpha=float(rng.uniform(0.75, 1.0)), beta=4)


def _cells(rng, count):
    """Return `count` cells of a grid over the picture: left, top, width, height, in any order."""
    if not count:
        return []
    columns = int(np.ceil(np.sqrt(count * SIZE[0] / SIZE[1])))
    rows = int(np.ceil(count / columns))
    width, height = SIZE[0] / columns, SIZE[1] / rows
    cells = [(x * width, y * height, width, height) for y in range(rows) for x in range(columns)]
    return [cells[place] for place in rng.permutation(len(cells))[:count]]


def _resized(cutout, box, size):
    side = round(len(cutout) * size)
    method = cv2.INTER_AREA if size < 1 else cv2.INTER_LINEAR
    small = cv2.resize(cutout, (side, side), interpolation=method)
    return small, tuple(float(value) * side / len(cutout) for value in box)


def _mirrored(cutout, box):
    x, y, width, height = box
    return np.ascontiguousarray(cutout[:, ::-1]), (len(cutout) - x - width, y, width, height)


def _paste(image, cutout, box, cell, rng):
    """Lay a person over the picture, the face somewhere in a cell; return the face's box there."""
    left, top = (
        cell[axis] + float(rng.uniform(0, max(1.0, cell[2 + axis] - box[2 + axis]))) - box[axis]
        for axis in (0, 1)
    )
    left = round(np.clip(left, -box[0] + 2, SIZE[0] - box[0] - box[2] - 2))
    top = round(np.clip(top, -box[1] + 2, SIZE[1] - box[1] - box[3] - 2))
    height, width = cutout.shape[:2]
    rows, columns = slice(max(0, top), top + height), slice(max(0, left), left + width)
    target = image[rows, columns]
    part = cutout[max(0, -top) :, max(0, -left) :][: len(target), : target.shape[1]]
    opaque = part[..., 3:].astype(np.uint16)
    mixed = part[..., :3] * opaque + target * (255 - opaque)
    target[...] = (mixed // 255).astype(np.uint8)
    return (left + box[0], top + box[1], box[2], box[3])


def _streams(image, rng, levels):
    """Return the main and the small stream of a picture, I420 with noise."""
    lores = cv2.resize(image, LORES, interpolation=cv2.INTER_AREA)
    return [
        _noisy(cv2.cvtColor(each, cv2.COLOR_BGR2YUV_I420), rng, levels) for each in (image, lores)
    ]


def _noisy(planes, rng, levels):
    """Lay noise over the planes themselves, as they lie in memory: no byte is without it.

    OpenCV's Y, U and V end at 16 and 240, so that nothing is clipped.
    """
    noise = rng.integers(0, levels, planes.shape, np.uint8)
    planes += noise
    planes -= np.uint8(levels // 2)
    return planes


def _flat(cutout, box):
    cutout[..., :3] = cv2.convertScaleAbs(cutout[..., :3], alpha=0.17, beta=45)
    return cutout, box


def _bright(cutout, box):
    cutout[..., :3] = cv2.convertScaleAbs(cutout[..., :3], alpha=0.2, beta=215)
    return cutout, box


def _tiny(cutout, box):
    return _resized(cutout, box, 0.3)


_SPOILERS = 4 * (_flat, _bright, _tiny)

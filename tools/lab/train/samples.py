"""Samples for the embedder, without end and never twice: two views each of somebody new."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tools.lab.train.blend import person
from tools.lab.train.paint import painted
from tools.lab.train.sources import Pixels, Sources
from tools.lab.train.tone import hidden, lit, photographed
from tools.lab.train.warp import CROP_SIDE, UNBENT, Shape, view

VIEWS = 2


@dataclass(frozen=True)
class Recipe:
    """How wild the samples are. Every step can be turned off, to see what it is worth.

    rendered_share: how many of the sources are rendered people. mix: several faces in one.
    strength: pixels by which a face is distorted. turn: radians of the head's turn.
    paint: how often marks are drawn on a face. tone: light, covers and cameras.
    met: rendered people of each batch who are learnt by who they are, in two views each.
    """

    rendered_share: float = 0.35
    mix: bool = True
    strength: float = 2.5
    turn: float = 0.22
    paint: float = 0.6
    tone: bool = True
    met: int = 16


@dataclass(frozen=True)
class Batch:
    """seen: what the student sees; taught: what the teacher sees; (n, 128, 128, 3) uint8 BGR.

    The teacher sees the same pixels, or, half of the time, those before the camera spoilt them.
    met: (m, 128, 128, 3) uint8 BGR, rendered people as they are; people: (m,) int64, who it is.
    """

    seen: Pixels
    taught: Pixels
    met: Pixels
    people: NDArray[np.int64]


def batches(sources: Sources, recipe: Recipe, seed: tuple[int, ...], size: int) -> Iterator[Batch]:
    """Yield batches of `size` samples for ever; the same ones for the same seed."""
    number = 0
    while True:
        rng = np.random.default_rng((*seed, number))
        pairs = [pair for _ in range(size // VIEWS) for pair in _views(rng, sources, recipe)]
        met, people = _met(rng, sources, recipe)
        seen, taught = (np.stack(crops) for crops in zip(*pairs, strict=True))
        yield Batch(seen, taught, met, people)
        number += 1


def _met(
    rng: np.random.Generator, sources: Sources, recipe: Recipe
) -> tuple[Pixels, NDArray[np.int64]]:
    """Return views of rendered people; nothing that would make somebody else of them."""
    if not (recipe.met and len(sources.people)):
        return np.empty((0, CROP_SIDE, CROP_SIDE, 3), np.uint8), np.empty(0, np.int64)
    places = [
        place
        for person in rng.choice(1 + int(sources.people.max()), recipe.met)
        for place in _views_of(rng, np.flatnonzero(sources.people == person))
    ]
    crops = [_as_is(rng, sources.pixels[sources.photographs + place], recipe) for place in places]
    return np.stack(crops), sources.people[places]


def _views_of(rng: np.random.Generator, places: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return places of different views, if there are so many."""
    return rng.choice(places, VIEWS, replace=len(places) < VIEWS)


def _as_is(rng: np.random.Generator, face: Pixels, recipe: Recipe) -> Pixels:
    mirrored = face[:, ::-1] if rng.random() < 0.5 else face  # noqa: PLR2004 - a coin
    crop = view(rng, mirrored, UNBENT, 0.0)
    return photographed(rng, crop) if recipe.tone and rng.random() < 0.5 else crop  # noqa: PLR2004


def _views(
    rng: np.random.Generator, sources: Sources, recipe: Recipe
) -> Iterator[tuple[Pixels, Pixels]]:
    if recipe.mix:
        face = person(rng, sources, recipe.rendered_share)
    else:
        face = sources.draw(rng, recipe.rendered_share)
    if rng.random() < recipe.paint:
        face = painted(rng, face)
    shape = Shape.random(rng, recipe.strength)
    for _ in range(VIEWS):
        crop = view(rng, face, shape, recipe.turn)
        if not recipe.tone:
            yield crop, crop
            continue
        clean = lit(rng, crop)
        if rng.random() < 0.12:  # noqa: PLR2004 - how often a face is partly covered
            clean = hidden(rng, clean)
        seen = photographed(rng, clean)
        yield seen, (seen if rng.random() < 0.5 else clean)  # noqa: PLR2004 - a coin

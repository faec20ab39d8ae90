"""Watchlists of a wanted size: drawn from the gallery, or filled up with imposed impostors.

A list smaller than the gallery is drawn often, so that the figure is no accident of one list: the
gallery is shuffled and cut into lists, again and again, and everybody is on about as many. A larger
one holds the whole gallery and people who are never searched for in it: the strangers are dealt
into parts, and while the probes of one part are searched, people of the other parts fill the list.
So every stranger is searched for once, in a list that does not hold them.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.lab.evaluate.resampling import SEED, Codes

_FEWEST_DRAWN = 20
_MOST_PARTS = 10


@dataclass(frozen=True, slots=True)
class DrawnList:
    """One watchlist. members: places of its references. strangers: who is searched for in it.

    strangers: (people,) bool over the people who are not in the gallery.
    """

    members: Codes
    strangers: npt.NDArray[np.bool_]


def draw(size: int, gallery: int, fillers: npt.NDArray[np.bool_]) -> list[DrawnList]:
    """Return lists of `size` references; none where too few people are there to fill one.

    gallery: how many references the gallery has; their places are 0 to gallery - 1. fillers: which
    strangers can be enrolled, (people,); the reference of stranger k has the place gallery + k.
    """
    generator = np.random.Generator(np.random.PCG64([SEED, size, gallery]))
    everyone = np.ones(len(fillers), np.bool_)
    if size == gallery:
        return [DrawnList(np.arange(gallery), everyone)]
    if size < gallery:
        return [DrawnList(m, everyone) for m in _cut(size, gallery, generator)]
    return _filled(size, gallery, fillers, generator)


def _cut(size: int, gallery: int, generator: np.random.Generator) -> list[Codes]:
    lists: list[Codes] = []
    while len(lists) < _FEWEST_DRAWN:
        order = generator.permutation(gallery)
        lists += [np.sort(order[k : k + size]) for k in range(0, gallery - size + 1, size)]
    return lists


def _filled(
    size: int, gallery: int, fillers: npt.NDArray[np.bool_], generator: np.random.Generator
) -> list[DrawnList]:
    wanted = size - gallery
    for parts in range(2, _MOST_PARTS + 1):
        part_of = generator.permutation(np.arange(len(fillers)) % parts)
        others = [np.flatnonzero(fillers & (part_of != part)) for part in range(parts)]
        if min(len(places) for places in others) >= wanted:
            return [
                DrawnList(
                    np.concatenate(
                        [
                            np.arange(gallery),
                            gallery + np.sort(generator.choice(places, wanted, replace=False)),
                        ]
                    ),
                    part_of == part,
                )
                for part, places in enumerate(others)
            ]
    return []

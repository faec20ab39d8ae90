"""Runs everything, prints a table for people, writes all figures."""

import argparse
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from device import __version__
from device.files import write_atomically
from device.protocol.watchlist import MOST_REFERENCES
from tools.console import console, notes
from tools.lab.manifest import MANIFEST
from tools.lab.protection.accuracy import Agreement, Renewal, agreement, renewal
from tools.lab.protection.cost import Cost, cost
from tools.lab.protection.linkage import (
    KEYS,
    Link,
    Lists,
    Whole,
    link,
    linked,
    linked_levels,
    whole,
)
from tools.lab.protection.people import People, of_data, rendered
from tools.lab.protection.schemes import SCHEMES
from tools.lab.statistics import proportion

SIZES = (100, 500, 1000, MOST_REFERENCES)
_SAME, _OTHER = "same photographs", "other photographs"
_VERSIONS = "same key, two versions of the list"


class Figures(Struct, frozen=True):
    """All of it. people: references of the data; models: what made their templates."""

    passerby: str
    numpy: str
    cryptography: str
    models: str
    people: int
    links: list[Link]
    wholes: list[Whole]
    agreements: list[Agreement]
    renewal: Renewal
    costs: list[Cost]


def run(options: argparse.Namespace) -> int:
    """Measure, print, write JSON; 0."""
    if (options.data / MANIFEST).is_file():
        people = of_data(options.data, options.cache)
    else:
        notes.print(
            f"NO REAL FACES: there is no data set at {options.data}; {options.people} rendered "
            "people and the built-in models take their place.",
            style="bold",
            markup=False,
        )
        people = rendered(options.people)
    figures = measure(people, SIZES, np.random.default_rng(options.seed))
    for line in lines(figures):
        console.print(line, markup=False)
    if options.json is not None:
        content = msgspec.json.format(msgspec.json.encode(figures))
        write_atomically(Path(options.json), content, 0o644)
    return 0


def measure(people: People, sizes: tuple[int, ...], rng: np.random.Generator) -> Figures:
    """Return all figures. sizes: of the lists; longer ones than there are people are left out."""
    references = people.references[:MOST_REFERENCES]
    count = len(references)
    sizes = tuple(size for size in sizes if size <= count) or (count,)
    # People are in the order of their data; a list is a draw of them.
    drawn = references[rng.permutation(count)]
    both = len(people.again)
    links = [
        each
        for size in sorted({sizes[0], sizes[-1]})
        for each in _links(Lists(_SAME, drawn[:size], drawn[:size]), rng)
    ]
    links += _links(Lists(_OTHER, people.references[:both], people.again), rng)
    again = Lists(_VERSIONS, drawn[: sizes[-1]], drawn[: sizes[-1]], (KEYS[0],) * 2, (1, 2))
    links += [link(scheme, "stored rows", again, rng) for scheme in SCHEMES]
    mated = people.owner >= 0
    mated &= people.owner < count
    return Figures(
        __version__,
        version("numpy"),
        version("cryptography"),
        people.models,
        count,
        links,
        [whole(drawn[: sizes[-1]], sizes[-1] // 2, scheme) for scheme in SCHEMES],
        [
            agreement(references[:size], people.probes, people.scale.threshold, people.margin)
            for size in sizes
        ],
        renewal(references, people.probes[mated], people.owner[mated]),
        [cost(drawn[:size]) for size in sizes],
    )


def _links(lists: Lists, rng: np.random.Generator) -> list[Link]:
    return [*linked(lists, rng), linked_levels(lists, rng)]


def lines(figures: Figures) -> Iterator[str]:
    """Return the figures for people."""
    yield (
        f"passerby {figures.passerby}, NumPy {figures.numpy}, cryptography {figures.cryptography}; "
        f"{figures.models}; {figures.people} people"
    )
    yield from map(_of_link, figures.links)
    yield from map(_of_whole, figures.wholes)
    yield from map(_of_agreement, figures.agreements)
    new = figures.renewal
    yield (
        f"another key: list {'refused' if new.refused else 'OPENED'}; unchecked, AUC {new.auc:.3f} "
        f"and {proportion(new.best, new.mated)} at rank 1 of {new.references}"
    )
    yield from map(_of_cost, figures.costs)


def _of_link(one: Link) -> str:
    return (
        f"{one.lists}, {one.scheme}, {one.attack}: linked {proportion(one.hits, one.people)}; "
        f"AUC {one.auc:.3f}; D_sys {one.d_sys:.3f} (chance gives up to {one.chance:.3f})"
    )


def _of_whole(one: Whole) -> str:
    return (
        f"whole lists of {one.people}, {one.scheme}: resemblances agree by {one.correlation:+.4f}, "
        f"stripped {one.stripped:+.4f} (sigma {one.sigma:.4f}); {one.known} known templates tell "
        f"{one.learnt:+.3f} of the others"
    )


def _of_agreement(one: Agreement) -> str:
    return (
        f"{one.references} references, {one.probes} probes: largest difference of "
        f"{one.comparisons} scores {one.largest:.1e}; same best reference {one.same_best}, same "
        f"candidates at {one.threshold} {one.same_candidates}"
    )


def _of_cost(one: Cost) -> str:
    return (
        f"{one.references} references of {one.dimension}: file {one.file_bytes} bytes, seal "
        f"{one.seal_s:.2f} s, open {1000 * one.open_s:.0f} ms, {one.rss_kb} kB more memory, "
        f"{'locked' if one.locked else 'NOT locked'}; one probe {one.plain_us:.0f} µs plain, "
        f"{one.protected_us:.0f} µs protected, {one.ratio:.1f} times"
    )

"""How far an attack links two lists: hits at rank 1, AUC, and ISO/IEC 30136's question as a number.

`d_sys` is the global unlinkability measure of Gomez-Barrero, Galbally, Rathgeb and Busch, "General
framework to evaluate unlinkability in biometric template protection systems", IEEE TIFS 13, 2018: 0
for templates that cannot be linked, 1 for those that always can. Estimated from a sample it is
never quite 0, so the figure that chance alone would give is reported beside it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from device.matching import Gallery
from device.matching.protection import Floats
from device.protocol.watchlist import DemonstrationList, Reference
from tools.lab.protection.attacks import ATTACKS, correlation, learnt, strip
from tools.lab.protection.schemes import SCHEMES
from tools.lab.statistics import wilson

_BINS = 20
_DRAWS = 100
_NON_MATED = 200_000
KEYS = (b"\x01" * 32, b"\x02" * 32)


class Link(Struct, frozen=True):
    """One attack on one scheme. hits: people of `people` whose own row was ranked first.

    low, high: 95 % interval of that rate after Wilson. auc: 0.5 is chance. chance: the d_sys that
    is not exceeded in 95 of 100 draws without any link.
    """

    scheme: str
    attack: str
    lists: str
    hits: int
    people: int
    low: float
    high: float
    auc: float
    d_sys: float
    chance: float


class Whole(Struct, frozen=True):
    """What is left of two whole lists whose order the attacker knows.

    correlation, stripped: of resemblances, as stored and without the strongest directions; sigma:
    the standard deviation of either for lists without anything in common. learnt: mean cosine of
    guessed and true templates when `known` of `people` are known.
    """

    scheme: str
    people: int
    correlation: float
    stripped: float
    sigma: float
    known: int
    learnt: float


def gallery_of(templates: Floats) -> Gallery:
    """Return the plain list of these templates, (n, dimension) float32; named by their places."""
    named = [Reference(str(k), [row.astype("<f4").tobytes()]) for k, row in enumerate(templates)]
    dimension = templates.shape[1]
    return Gallery(DemonstrationList("list", 1, "", "lab", "lab", dimension, named), "lab")


@dataclass(frozen=True, slots=True)
class Lists:
    """Two lists of the same people. one, other: (n, dimension) templates in the same order.

    keys, versions: of the two lists. what: in words.
    """

    what: str
    one: Floats
    other: Floats
    keys: tuple[bytes, bytes] = KEYS
    versions: tuple[int, int] = (1, 1)


def link(scheme: str, attack: str, lists: Lists, rng: np.random.Generator) -> Link:
    """Return what an attack makes of a scheme. The second list is in an order of its own."""
    order = rng.permutation(len(lists.other))
    one, other = (
        SCHEMES[scheme](gallery_of(templates), key, version)
        for templates, key, version in zip(
            (lists.one, lists.other[order]), lists.keys, lists.versions, strict=True
        )
    )
    return _judged((scheme, attack, lists.what), ATTACKS[attack](one, other), order, rng)


def linked(lists: Lists, rng: np.random.Generator) -> list[Link]:
    """Return all attacks on all schemes."""
    return [link(scheme, attack, lists, rng) for scheme in SCHEMES for attack in ATTACKS]


def linked_levels(lists: Lists, rng: np.random.Generator) -> Link:
    """Return the attack on levels, if they travelled beside the rows."""
    order = rng.permutation(len(lists.other))
    one, other = gallery_of(lists.one).offsets(), gallery_of(lists.other[order]).offsets()
    scores = -np.abs(one[:, np.newaxis] - other)
    return _judged(("any, levels beside the rows", "levels", lists.what), scores, order, rng)


def whole(templates: Floats, known: int, scheme: str) -> Whole:
    """Return what remains of two whole lists of the same people, known and in the same order."""
    plain = gallery_of(templates)
    one, other = (SCHEMES[scheme](plain, key, 1) for key in KEYS)
    count = len(templates)
    return Whole(
        scheme,
        count,
        correlation(one, other),
        correlation(strip(one), strip(other)),
        (count * (count - 1) / 2) ** -0.5,
        known,
        float(learnt(one, plain.matrix, known).mean()),
    )


def _judged(
    names: tuple[str, str, str],
    scores: Floats,
    order: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> Link:
    count, own = len(scores), np.argsort(order)
    mine = np.arange(count), own
    hits = int((scores.argmax(axis=1) == own).sum())
    mated = scores[mine]
    others = np.ones(scores.shape, bool)
    others[mine] = False
    non_mated = rng.permutation(scores[others])[:_NON_MATED]
    null = [d_sys(rng.choice(non_mated, count), non_mated) for _ in range(_DRAWS)]
    low, high = wilson(hits, count)
    return Link(
        *names,
        hits,
        count,
        low,
        high,
        auc(mated, non_mated),
        d_sys(mated, non_mated),
        float(np.quantile(null, 0.95)),
    )


def auc(mated: Floats, non_mated: Floats) -> float:
    """Return the chance that a mated score is higher than a non-mated one."""
    ordered = np.sort(non_mated)
    below = np.searchsorted(ordered, mated, "left") + np.searchsorted(ordered, mated, "right")
    return float(below.mean() / 2 / len(ordered))


def d_sys(mated: Floats, non_mated: Floats) -> float:
    """Return the global unlinkability measure, 0 (cannot be linked) to 1, priors equal."""
    edges = np.unique(np.quantile(mated, np.linspace(0, 1, _BINS + 1)))
    # The last bin is closed: so one value alone makes a bin, too.
    edges = np.append(edges, np.nextafter(edges[-1], np.inf)) if len(edges) == 1 else edges
    of_mated, of_non_mated = (_shares(each, edges) for each in (mated, non_mated))
    # D = 2 LR / (1 + LR) - 1 where LR = mated / non-mated is above 1, else 0.
    above = (of_mated - of_non_mated) / np.maximum(of_mated + of_non_mated, np.finfo(float).tiny)
    return float((of_mated * np.maximum(above, 0)).sum())


def _shares(scores: Floats, edges: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.histogram(scores, edges)[0] / len(scores)

"""Whether protection changes any score, and what is left when the key is another."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from device.errors import WatchlistError
from device.matching import Gallery, scores_of
from device.matching.protection import SEED_BYTES, Floats, Transformation, block_of
from device.memory import LockedBuffer
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.sealed import OpenedList, open_list
from device.protocol.watchlist import Reference
from tools.desk.sealing import SealedWatchlist, Validity, seal_watchlist
from tools.lab.protection.linkage import KEYS, auc, gallery_of
from tools.lab.protection.schemes import DEPLOYMENT

Owners = npt.NDArray[np.intp]
_LIST = ListVersion("list", 1)
_SHA = "0" * 64
_BLOCK = 256
_DATE = "2100-01-01T00:00:00.000Z"


class Agreement(Struct, frozen=True):
    """Protected and plain searches of the same probes in a list of `references`.

    largest: the largest difference of any score. same_best: probes whose best reference is the
    same. same_candidates: of those, also on the same side of the threshold and of the margin.
    """

    references: int
    probes: int
    comparisons: int
    largest: float
    same_best: int
    same_candidates: int
    threshold: float
    margin: float


class Renewal(Struct, frozen=True):
    """Searches with another key than the list's. refused: whether the device opens such a list.

    auc: of mated against non-mated scores if it did not check: 0.5 is chance. best, mated: probes
    whose own reference comes first, of so many; by chance one in the number of references.
    """

    refused: bool
    auc: float
    best: int
    mated: int
    references: int


def sealed_list(templates: Floats, key: bytes = KEYS[0]) -> SealedWatchlist:
    """Return templates sealed as `passerby-desk` does."""
    names = [f"r-{place:012x}" for place in range(len(templates))]
    return seal_watchlist(
        [
            Reference(name, [row.astype("<f4").tobytes()])
            for name, row in zip(names, templates, strict=True)
        ],
        dict.fromkeys(names, Validity(_DATE, _DATE)),
        watchlist=_LIST,
        deployment=DEPLOYMENT,
        created_at="2026-01-01T00:00:00.000Z",
        embedder=ModelHash("embedder", "lab", _SHA),
        deployment_key=key,
    )


def opened(content: bytes, key: bytes = KEYS[0]) -> Gallery:
    """Return the gallery of a sealed list as a device opens it."""
    return Gallery.opened(open_list(content, key, watchlist=_LIST, deployment=DEPLOYMENT), _SHA)


def agreement(templates: Floats, probes: Floats, threshold: float, margin: float) -> Agreement:
    """Search probes, (n, dimension) float32 of unit length, in the plain and the protected list."""
    plain, protected = gallery_of(templates), opened(sealed_list(templates).content)
    largest, same_best, same_candidates = 0.0, 0, 0
    for start in range(0, len(probes), _BLOCK):
        part = probes[start : start + _BLOCK]
        one, other = scores_of(plain, part), scores_of(protected, part)
        largest = max(largest, float(np.abs(one - other).max()))
        same = one.argmax(axis=1) == other.argmax(axis=1)
        found = [_candidates(scores, threshold, margin) for scores in (one, other)]
        same_best += int(same.sum())
        same_candidates += int((same & (found[0] == found[1])).sum())
    protected.wipe()
    return Agreement(
        len(templates),
        len(probes),
        len(templates) * len(probes),
        largest,
        same_best,
        same_candidates,
        threshold,
        margin,
    )


def renewal(templates: Floats, probes: Floats, owner: Owners) -> Renewal:
    """Search probes whose references were transformed with a key that is no longer the device's.

    probes: (n, dimension). owner: (n,) place of each one's reference.
    """
    content = sealed_list(templates).content
    other = Transformation(bytes([7]) * SEED_BYTES, templates.shape[1], len(templates))
    first = open_list(content, KEYS[0], watchlist=_LIST, deployment=DEPLOYMENT)
    scores = _unchecked(first.rows, other, probes)
    own = np.zeros(scores.shape, bool)
    own[np.arange(len(probes)), owner] = True
    best = int((scores.argmax(axis=1) == owner).sum())
    found = auc(scores[own], scores[~own])
    return Renewal(_refused(content, first), found, best, len(probes), len(templates))


def _unchecked(rows: Floats, other: Transformation, probes: Floats) -> Floats:
    """Return the scores that stored rows would give under a key which is not theirs."""
    added = other.rotations.shape[1] - other.dimension
    padded = np.pad(probes, ((0, 0), (0, added)))
    size = block_of(other.dimension)
    return np.hstack(
        [
            padded @ rotation @ rows[place * size : (place + 1) * size].T
            for place, rotation in enumerate(other.rotations)
        ]
    )


def _refused(content: bytes, first: OpenedList) -> bool:
    """Return whether both walls hold: the file for another key, and the rows for another seed."""
    other = OpenedList(first.header, first.content, LockedBuffer(SEED_BYTES))
    attempts: tuple[Callable[[], Gallery], ...] = (
        lambda: opened(content, KEYS[1]),
        lambda: Gallery.opened(other, _SHA),
    )
    return all(_is_refused(attempt) for attempt in attempts)


def _is_refused(attempt: Callable[[], Gallery]) -> bool:
    try:
        attempt().wipe()
    except WatchlistError:
        return True
    return False


def _candidates(scores: Floats, threshold: float, margin: float) -> npt.NDArray[np.bool_]:
    """Return which probes have a candidate, as `device.matching.compare` decides."""
    if scores.shape[1] == 1:
        return np.asarray(scores[:, 0] >= threshold)
    second, first = np.partition(scores, -2, axis=1)[:, -2:].T
    return np.asarray((first >= threshold) & (first - second >= margin))

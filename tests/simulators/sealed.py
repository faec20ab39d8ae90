"""Sealed lists of people whom random numbers made up, for tests of what opens and compares them."""

import numpy as np

from device.matching import Gallery
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.sealed import open_list
from device.protocol.watchlist import DemonstrationList, Reference
from tools.desk.sealing import Validity, seal_watchlist

DIMENSION = 64
LIST = ListVersion("list-1", 1)
DEPLOYMENT = "019a0000-0000-7000-8000-00000000000a"
SHA = "ab" * 32
KEY = bytes(range(32))
CREATED = "2026-01-01T00:00:00.000Z"
EXPIRES = "2026-03-01T00:00:00.000Z"
REVIEW = "2026-02-01T00:00:00.000Z"


def templates(count, seed=0, dimension=DIMENSION):
    """Return templates of an embedder's shape, (count, dimension) float32, of uneven lengths."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dimension)) + 0.3
    rows *= rng.uniform(5, 15, (count, 1)) / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)


def ids(count):
    return [f"r-{number:012x}" for number in range(count)]


def references(rows):
    return [
        Reference(name, [row.tobytes()]) for name, row in zip(ids(len(rows)), rows, strict=True)
    ]


def sealed(rows, key=KEY, validity=None, **changes):
    """Return a SealedWatchlist. validity: by reference id, in place of the usual dates."""
    listed = dict.fromkeys(ids(len(rows)), Validity(EXPIRES, REVIEW)) | (validity or {})
    named = {
        "watchlist": LIST,
        "deployment": DEPLOYMENT,
        "created_at": CREATED,
        "embedder": ModelHash("embedder", "stand-in", SHA),
        "deployment_key": key,
    }
    return seal_watchlist(references(rows), listed, **(named | changes))


def opened(rows, key=KEY, **changes):
    """Return the gallery of a list that was sealed and opened."""
    content = sealed(rows, key, **changes).content
    found = open_list(content, key, watchlist=LIST, deployment=DEPLOYMENT)
    return Gallery.opened(found, SHA, rows.shape[1])


def plain(rows):
    """Return the gallery of the same people without any protection."""
    listed = DemonstrationList(
        LIST.id, LIST.version, CREATED, "stand-in", SHA, rows.shape[1], references(rows)
    )
    return Gallery(listed, SHA)


def probes(rows, seed=9, noise=0.05):
    """Return what would be seen of these people, rows of unit length."""
    rng = np.random.default_rng(seed)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    seen = unit + noise * rng.normal(size=rows.shape)
    return (seen / np.linalg.norm(seen, axis=1, keepdims=True)).astype(np.float32)

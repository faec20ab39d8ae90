"""Lists of nobody: random templates, for measuring how long comparisons take."""

import time

import numpy as np

from device.protocol.identifiers import utc_text, uuid7
from device.protocol.watchlist import DemonstrationList, Reference
from device.vision import Eye


def unit(
    rng: np.random.Generator, dimension: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Return a random template, (dimension,) float32 of unit length."""
    vector = rng.normal(size=dimension).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def random_list(size: int, eye: Eye, rng: np.random.Generator) -> DemonstrationList:
    """Return a list of `size` references whose templates mean nobody."""
    dimension = eye.embedder.dimension
    return DemonstrationList(
        list_id=uuid7(time.time_ns()),
        version=1,
        created_at=utc_text(time.time_ns()),
        embedder=eye.embedder_entry.name,
        embedder_sha256=eye.embedder_entry.sha256,
        dimension=dimension,
        references=[
            Reference(f"random-{number}", [unit(rng, dimension).tobytes()])
            for number in range(size)
        ],
    )

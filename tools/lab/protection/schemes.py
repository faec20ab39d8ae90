"""Ways to store a list's templates: Passerby's, and two that were not taken.

Each takes the plain list and a deployment's key, and returns what somebody without the key would
find. The two others are here so that an attack that fails on Passerby's is seen to work on them.
"""

import hashlib
from collections.abc import Callable

import numpy as np

from device.matching import Gallery
from device.matching.protection import Floats, Transformation, protect
from device.protocol.alert import ListVersion
from device.protocol.sealed import Sealing

DEPLOYMENT = "00000000-0000-7000-8000-000000000001"
"""Of all lists in this package: only the key tells two deployments apart, the hardest case."""
RANDOM_NUMBERS = 64
"""Per reference, of the scheme that blinds with noise."""
_NOISE_LENGTH = 2.0

Scheme = Callable[[Gallery, bytes, int], Floats]
"""plain list, deployment key, list version → rows as stored, (references, width) float32."""


def passerby(plain: Gallery, key: bytes, version: int) -> Floats:
    """Return the rows that `passerby-desk` would seal."""
    sealing = Sealing(key, ListVersion("list", version), DEPLOYMENT)
    transformation = Transformation(sealing.seed, plain.matrix.shape[1], len(plain))
    return protect(plain.matrix, plain.offsets(), transformation)


def rotation(plain: Gallery, key: bytes, version: int) -> Floats:
    """Return rows under one secret rotation per deployment, as much of the literature has it."""
    del version  # One rotation per deployment.
    return plain.matrix @ _rotation(key, plain.matrix.shape[1])


def noise(plain: Gallery, key: bytes, version: int) -> Floats:
    """Return rows with 64 random numbers of length 2 beside each, under one secret rotation."""
    del version
    fresh = np.random.default_rng()
    blind = fresh.normal(size=(len(plain), RANDOM_NUMBERS)) * _NOISE_LENGTH / RANDOM_NUMBERS**0.5
    rows = np.hstack([plain.matrix, blind]).astype(np.float32)
    return rows @ _rotation(key, rows.shape[1])


def _rotation(key: bytes, size: int) -> Floats:
    rng = np.random.default_rng(list(hashlib.sha256(key).digest()))
    turn, upper = np.linalg.qr(rng.normal(size=(size, size)))
    return np.asarray(turn * np.sign(np.diagonal(upper)), np.float32)


SCHEMES: dict[str, Scheme] = {
    "Passerby": passerby,
    "one rotation": rotation,
    "one rotation and 64 random numbers": noise,
}

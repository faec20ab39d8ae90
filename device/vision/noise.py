"""Noise that a seed draws: pictures of nobody, to measure a network and learn where it computes.

The key stream of a hash that is loaded anyway: numpy.random would be three megabytes more.
"""

import hashlib
import math

import numpy as np

from device.capture.frame import Pixels


def noise(seed: int, *shape: int) -> Pixels:
    """Return an array of this shape, uint8, read-only. seed: 0 or more; the same draws the same."""
    drawn = hashlib.shake_128(seed.to_bytes(8, "big")).digest(math.prod(shape))
    return np.frombuffer(drawn, np.uint8).reshape(shape)

"""Rotations that a seed tells: the same on the desk and on the device."""

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from device.memory import Key

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


def frame(deviates: Doubles) -> Doubles:
    """Return orthonormal columns, uniformly random where the columns given are.

    Source: Mezzadri, "How to generate random matrices from the classical compact groups", Notices
    of the AMS 54, 2007: QR, with the signs of R's diagonal taken into Q.
    """
    found, upper = np.linalg.qr(deviates)
    found *= np.where(np.diagonal(upper) < 0, -1.0, 1.0)
    upper.fill(0)
    deviates.fill(0)
    return np.asarray(found, np.float64)


def rotate_into(rotation: Floats, seed: Key, stream: int) -> None:
    """Fill (m, n) float32 with m orthonormal rows that a seed and a number tell."""
    made = frame(gaussians(seed, stream, (rotation.shape[1], rotation.shape[0])))
    # In two steps: NumPy casts through a buffer that it does not wipe.
    single = made.astype(np.float32)
    rotation[:] = single.T
    for used in (made, single):
        used.fill(0)


def gaussians(key: Key, stream: int, shape: tuple[int, int]) -> Doubles:
    """Return independent normal deviates from ChaCha20's key stream (Box and Muller, 1958).

    The same on every machine but for the last bit of logarithm and cosine.
    """
    pairs = (shape[0] * shape[1] + 1) // 2
    stream_of_bytes = bytearray(pairs * 16)
    # Counter, then nonce, as cryptography's ChaCha20 takes them.
    nonce = bytes(8) + stream.to_bytes(8, "little")
    encryptor = Cipher(ChaCha20(key, nonce), None).encryptor()
    encryptor.update_into(bytes(len(stream_of_bytes)), stream_of_bytes)
    words = np.frombuffer(stream_of_bytes, "<u8").reshape(2, pairs)
    first, second = (words >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2 * np.log1p(-first))
    turn = 2 * np.pi * second
    found = np.concatenate([radius * np.cos(turn), radius * np.sin(turn)])
    stream_of_bytes[:] = bytes(len(stream_of_bytes))
    for used in (first, second, radius, turn):
        used.fill(0)
    return found[: shape[0] * shape[1]].reshape(shape)

"""Attacks of somebody who holds the stored rows of two lists, and no key.

An attack gives every pair of a row of one list and a row of the other a score, higher for what it
takes to be one person. It knows the scheme, not the order of the lists.
"""

from collections.abc import Callable

import numpy as np

from device.matching.protection import Floats
from tools.lab.protection.schemes import RANDOM_NUMBERS

Attack = Callable[[Floats, Floats], Floats]
"""rows (n, width) and rows (m, width) → scores (n, m) float32."""
_NOTHING = 1e-9


def rows(one: Floats, other: Floats) -> Floats:
    """Return the cosines of stored rows: what two lists under one key would give away."""
    return _unit(one) @ _unit(other).T


def resemblances(one: Floats, other: Floats) -> Floats:
    """Compare how each row resembles all others of its list: what rotations keep."""
    return _nearness(_profiles(one @ one.T), _profiles(other @ other.T))


def stripped(one: Floats, other: Floats) -> Floats:
    """Take off the strongest directions, where noise is, then compare resemblances."""
    return resemblances(*(strip(each) for each in (one, other)))


def row_spaces(one: Floats, other: Floats) -> Floats:
    """Compare what any invertible mapping keeps: the projection onto the space of the columns."""
    return _nearness(*(_profiles(_projection(each)) for each in (one, other)))


ATTACKS: dict[str, Attack] = {
    "stored rows": rows,
    "resemblances": resemblances,
    "resemblances, strongest directions off": stripped,
    "space of the columns": row_spaces,
}


def correlation(one: Floats, other: Floats) -> float:
    """Return how far two lists' resemblances agree, -1 to 1, for one who knows the whole order.

    one, other: (n, width), the same people in the same order.
    """
    above = np.triu_indices(len(one), 1)
    pair = np.stack([(each @ each.T)[above] for each in (one, other)]).astype(np.float64)
    pair -= pair.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(pair, axis=1)
    return float(pair[0] @ pair[1] / max(lengths[0] * lengths[1], _NOTHING))


def learnt(stored: Floats, templates: Floats, known: int) -> Floats:
    """Return the cosines of guessed and true templates, (n - known,).

    The guesser knows the first `known` people's templates, and solves for the mapping by least
    squares with a slight ridge.
    """
    width = stored.shape[1]
    seen = stored[:known].astype(np.float64)
    ridge = 1e-6 * np.trace(seen.T @ seen) / width * np.eye(width)
    mapping = np.linalg.solve(seen.T @ seen + ridge, seen.T @ templates[:known])
    guessed = np.asarray(stored[known:] @ mapping, np.float32)
    # What everybody has in common is no success: each side's own mean is taken off.
    cosines = _unit(_centred(guessed)) * _unit(_centred(templates[known:]))
    return np.asarray(cosines.sum(axis=1), np.float32)


def _centred(matrix: Floats) -> Floats:
    return np.asarray(matrix - matrix.mean(axis=0), np.float32)


def strip(stored: Floats) -> Floats:
    """Return rows without their strongest `RANDOM_NUMBERS` directions."""
    _, vectors = np.linalg.eigh(stored.T.astype(np.float64) @ stored)
    strongest = vectors[:, -RANDOM_NUMBERS:]
    return np.asarray(stored - (stored @ strongest) @ strongest.T, np.float32)


def _profiles(matrix: Floats) -> Floats:
    """Return each row sorted, its diagonal first: independent of the order of the list."""
    own = np.diagonal(matrix)[:, np.newaxis].copy()
    others = matrix[~np.eye(len(matrix), dtype=bool)].reshape(len(matrix), -1)
    return np.hstack([own, np.sort(others, axis=1)])


def _nearness(one: Floats, other: Floats) -> Floats:
    """Return minus the squared distances of two sets of profiles, told apart by their own mean."""
    mean = one.mean(axis=0)
    left, right = (np.asarray(each - mean, np.float64) for each in (one, other))
    squares = (left**2).sum(axis=1)[:, np.newaxis] + (right**2).sum(axis=1)
    return np.asarray(2 * left @ right.T - squares, np.float32)


def _projection(stored: Floats) -> Floats:
    frame, values, _ = np.linalg.svd(stored.astype(np.float64), full_matrices=False)
    frame = frame[:, values > _NOTHING * values[0]]
    return np.asarray(frame @ frame.T, np.float32)


def _unit(matrix: Floats) -> Floats:
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    return np.asarray(matrix / np.maximum(lengths, _NOTHING), np.float32)

"""`Gallery`: the references as one contiguous float32 matrix."""

import numpy as np
import numpy.typing as npt

from device.capture.frame import Ephemeral
from device.errors import WatchlistError
from device.matching.cohort import levels_of_references, weight_of
from device.protocol.watchlist import DemonstrationList, Reference

Floats = npt.NDArray[np.float32]
_NO_LENGTH = 1e-3
"""Below this a template has no direction to speak of."""


class Gallery(Ephemeral):
    """A watchlist in memory.

    matrix: (references, dimension) float32, the direction of each reference; its rows are of about
    unit length, see `_weighed`. ids: reference ids in that order. surplus: (references,) float32,
    how much each one's level is above the list's mean `level`; weight: how far levels count in a
    list of this size, 0 to 1; see `device.matching.cohort`.
    """

    __slots__ = ("ids", "level", "list_id", "matrix", "surplus", "version", "weight")

    def __init__(
        self, watchlist: DemonstrationList, embedder_sha256: str, dimension: int | None = None
    ) -> None:
        """Raises WatchlistError: made by another embedder, or a template without a direction.

        dimension: length of the embedder's templates, where it is known.
        """
        _refuse_foreign(watchlist, embedder_sha256, dimension)
        self.list_id = watchlist.list_id
        self.version = watchlist.version
        self.ids = tuple(reference.reference_id for reference in watchlist.references)
        directions = np.stack([direction_of(each) for each in watchlist.references])
        lengths = np.array([length_of(each) for each in watchlist.references], np.float32)
        self.matrix: Floats = _weighed(directions, lengths)
        levels = levels_of_references(directions, self.matrix)
        self.level = float(levels.mean())
        self.surplus: Floats = levels - np.float32(self.level)
        self.weight = weight_of(len(self.ids) - 1)

    def __len__(self) -> int:
        return len(self.ids)

    def revoke(self, reference_id: str) -> bool:
        """Overwrite one reference: nothing resembles it any more. False: it is not on the list."""
        if reference_id not in self.ids:
            return False
        row = self.ids.index(reference_id)
        self.matrix[row].fill(0)
        self.surplus[row] = 0
        return True

    def wipe(self) -> None:
        """Overwrite all templates with zeros; nothing can be compared afterwards."""
        self.matrix.fill(0)
        self.surplus.fill(0)
        self.level = 0.0


def direction_of(reference: Reference) -> Floats:
    """Return a reference's template at unit length, (dimension,) float32.

    Photographs of one person err in different ways: the mean direction of all errs less than any
    of them. Raises WatchlistError when one has no direction, or they cancel each other out.
    """
    mean = directions_of(reference).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < _NO_LENGTH:
        msg = (
            f"The templates of reference {reference.reference_id} contradict each other: enrol it "
            "again."
        )
        raise WatchlistError(msg)
    return np.asarray(mean / length, np.float32)


def directions_of(reference: Reference) -> Floats:
    """Return a reference's templates, each at unit length, (photographs, dimension) float32.

    Raises WatchlistError when one has no direction.
    """
    rows = _templates(reference)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths) & (lengths > _NO_LENGTH)):
        msg = "The watchlist holds a template without a direction: enrol it again."
        raise WatchlistError(msg)
    return np.asarray(rows / lengths, np.float32)


def length_of(reference: Reference) -> float:
    """Return the mean length of a reference's templates, as the embedder gave them."""
    return float(np.linalg.norm(_templates(reference), axis=1).mean())


def _weighed(directions: Floats, lengths: Floats) -> Floats:
    """Return directions (n, dimension) times the root of the mean length over their own.

    A weak photograph gives the embedder a short output, and its mated scores are lower too; this
    makes up for half of it. Templates of unit length come back as they are. Length as quality:
    Meng et al., "MagFace: A Universal Representation for Face Recognition and Quality
    Assessment", CVPR 2021.
    """
    factors = np.sqrt(lengths.mean() / lengths)
    return np.ascontiguousarray(directions * factors[:, np.newaxis], np.float32)


def _templates(reference: Reference) -> Floats:
    return np.stack([np.frombuffer(template, "<f4") for template in reference.templates])


def _refuse_foreign(
    watchlist: DemonstrationList, embedder_sha256: str, dimension: int | None
) -> None:
    if dimension is not None and watchlist.dimension != dimension:
        msg = (
            f"The watchlist has templates of {watchlist.dimension} numbers, the embedder makes "
            f"{dimension}: enrol it again with the device's models."
        )
        raise WatchlistError(msg)
    if watchlist.embedder_sha256 != embedder_sha256:
        msg = (
            f"The watchlist was made with another embedder ({watchlist.embedder}, "
            f"{watchlist.embedder_sha256[:16]}…) than this device has "
            f"({embedder_sha256[:16]}…): enrol it again with the device's models."
        )
        raise WatchlistError(msg)

"""`Gallery`: the references as one contiguous float32 matrix, plain or transformed."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from device.capture.frame import Ephemeral
from device.errors import WatchlistError
from device.matching.cohort import levels_of_references, weight_of
from device.matching.products import leave_nothing, products, rows_in, shape_of
from device.matching.protection import Session, template_digests, width_of
from device.protocol.sealed import ListedReference, ListHeader, OpenedList
from device.protocol.watchlist import DemonstrationList, Reference

Floats = npt.NDArray[np.float32]
_Named = Reference | ListedReference
_NEVER: Final = np.iinfo(np.int64).max
_NO_LENGTH = 1e-3
"""Below this a template has no direction to speak of."""


class Gallery(Ephemeral):
    """A watchlist in memory.

    matrix: of a demonstration list (references, dimension) float32, the direction of each
    reference, rows of about unit length, see `_weighed`; of an opened list the same turned by a
    secret rotation, see `device.matching.protection.Session`. blocks: of a demonstration list, the
    memory of its matrix, see `device.matching.products`. ids: reference ids in that order.
    gone: (references,) bool, which are revoked or expired. surplus: (references,) float32, how much
    each one's level is above the mean `level` of the whole list, as it was made; of an opened list
    0, since it is in the session's offsets. weight: how far levels count in a list of that size, 0
    to 1. Neither changes when references leave; see `device.matching.cohort`.
    """

    __slots__ = (
        "_digests",
        "_ends_ns",
        "_fault",
        "_transformation",
        "blocks",
        "gone",
        "ids",
        "level",
        "list_id",
        "matrix",
        "surplus",
        "version",
        "weight",
    )

    def __init__(
        self, watchlist: DemonstrationList, embedder_sha256: str, dimension: int | None = None
    ) -> None:
        """Raises WatchlistError: made by another embedder, or a template without a direction.

        dimension: length of the embedder's templates, where it is known.
        """
        _refuse_foreign(watchlist, embedder_sha256, dimension)
        # In one piece, which goes back to the system: thousands of small ones would stay as holes.
        directions = np.empty((len(watchlist.references), watchlist.dimension), np.float32)
        for row, reference in zip(directions, watchlist.references, strict=True):
            row[:] = direction_of(reference)
        lengths = np.array([length_of(each) for each in watchlist.references], np.float32)
        self._name(watchlist.list_id, watchlist.version, watchlist.references)
        self.blocks: Floats = np.zeros(shape_of(*directions.shape), np.float32)
        self.matrix: Floats = rows_in(self.blocks, len(directions))
        self.matrix[:] = _weighed(directions, lengths)
        found = levels_of_references(directions, self.matrix)
        self.level = float(found.mean())
        self.surplus: Floats = found - np.float32(self.level)
        self._transformation: Session | None = None
        self._digests: dict[str, str] | None = None
        self._ends_ns = np.full(len(self.ids), _NEVER, np.int64)

    @classmethod
    def opened(
        cls, opened: OpenedList, embedder_sha256: str, dimension: int | None = None
    ) -> "Gallery":
        """Turn an opened list into the form in which it is compared; the list itself is wiped.

        Raises WatchlistError: made by another embedder, transformed with another key, or holding
        something that is no number.
        """
        header = opened.header
        self = cls.__new__(cls)
        self._transformation = None
        fault = opened.fault
        try:
            _refuse_foreign(header, embedder_sha256, dimension)
            self._name(header.watchlist.id, header.watchlist.version, header.entries)
            session = _session_of(opened)
            self._digests = template_digests(self.ids, opened.rows)
        finally:
            opened.wipe()
        self.matrix = session.rows
        self._transformation = session
        self._fault = fault
        # A reference's offset is its surplus less the level, and surpluses add up to nothing.
        self.level = -float(session.offsets.mean())
        self.surplus = np.zeros(len(self.ids), np.float32)
        self._ends_ns = np.array([entry.ends_ns for entry in header.entries], np.int64)
        return self

    def _name(self, list_id: str, version: int, references: Sequence[_Named]) -> None:
        self._fault: str | None = None
        self.list_id = list_id
        self.version = version
        self.ids = tuple(reference.reference_id for reference in references)
        self.gone = np.zeros(len(self.ids), np.bool_)
        self.weight = weight_of(len(self.ids) - 1)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def fault(self) -> str | None:
        """Why templates may be on the disk, or None; None for a demonstration list."""
        session = self._transformation
        return None if session is None else self._fault or session.fault

    def cosines(self, templates: Floats) -> Floats:
        """Return the weighed cosines of n probes with all references, (n, references) float32.

        templates: (n, dimension) float32, rows of unit length.
        """
        if self._transformation is not None:
            return self._transformation.scores(templates)
        blocks = self.blocks
        found = np.zeros((len(templates), blocks.shape[0] * blocks.shape[1]), np.float32)
        try:
            products(blocks, templates, found)
        except BaseException:
            found.fill(0)
            raise
        finally:
            leave_nothing(blocks)
        return found[:, : len(self)]

    def offsets(self) -> Floats:
        """Return what each reference's level takes off before weighing, (references,) float32.

        The caller overwrites it.
        """
        if self._transformation is None:
            return self.surplus - np.float32(self.level)
        return self._transformation.offsets.copy()

    def template_digests(self) -> dict[str, str]:
        """Return the SHA-256 of each reference's row as it came to the device (R27)."""
        if self._digests is None:
            return template_digests(self.ids, self.matrix)
        return dict(self._digests)

    def revoke(self, reference_id: str) -> bool:
        """Overwrite one reference: nothing resembles it any more. False: it is not on the list."""
        if reference_id not in self.ids:
            return False
        self._forget(self.ids.index(reference_id))
        return True

    def expire(self, now_ns: int) -> list[str]:
        """Overwrite the references whose expiry or review is due; return which they were (R7).

        now_ns: trusted time, nanoseconds since 1970. Those that are gone already are not returned.
        """
        due = np.flatnonzero((self._ends_ns <= now_ns) & ~self.gone)
        for row in due:
            self._forget(int(row))
        return [self.ids[row] for row in due]

    def _forget(self, row: int) -> None:
        self.matrix[row].fill(0)
        self.surplus[row] = 0
        self.gone[row] = True
        if self._transformation is not None:
            self._transformation.offsets[row] = 0

    def wipe(self) -> None:
        """Overwrite all templates with zeros; nothing can be compared afterwards."""
        self.matrix.fill(0)
        self.surplus.fill(0)
        self.gone.fill(True)
        self.level = 0.0
        if self._transformation is not None:
            self._transformation.wipe()


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


def _session_of(opened: OpenedList) -> Session:
    """Return the form in which it is compared. Raises WatchlistError: not made with its key."""
    header = opened.header
    if header.width != width_of(header.dimension):
        raise WatchlistError(
            "The watchlist was protected by another version of Passerby: publish it again with the "
            "desk's programs of this version."
        )
    return Session(opened.seed.array.data, header.dimension, opened.rows)


def _refuse_foreign(
    watchlist: DemonstrationList | ListHeader, embedder_sha256: str, dimension: int | None
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

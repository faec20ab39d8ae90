"""`Gallery`: the references as one contiguous float32 matrix."""

import numpy as np
import numpy.typing as npt

from device.capture.frame import Ephemeral
from device.errors import WatchlistError
from device.protocol.watchlist import DemonstrationList

Floats = npt.NDArray[np.float32]
_UNIT_TOLERANCE = 1e-3


class Gallery(Ephemeral):
    """A watchlist in memory.

    matrix: (templates, dimension) float32, rows of unit length, the rows of one reference together.
    ids: reference ids in order; starts: first row of each reference.
    """

    __slots__ = ("ids", "list_id", "matrix", "starts", "version")

    def __init__(
        self, watchlist: DemonstrationList, embedder_sha256: str, dimension: int | None = None
    ) -> None:
        """Raises WatchlistError: made by another embedder, or templates not of unit length.

        dimension: length of the embedder's templates, where it is known.
        """
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
        self.list_id = watchlist.list_id
        self.version = watchlist.version
        self.ids = tuple(reference.reference_id for reference in watchlist.references)
        counts = [len(reference.templates) for reference in watchlist.references]
        self.starts: npt.NDArray[np.intp] = np.cumsum([0, *counts[:-1]], dtype=np.intp)
        joined = b"".join(t for reference in watchlist.references for t in reference.templates)
        rows = np.frombuffer(joined, "<f4").reshape(sum(counts), watchlist.dimension)
        lengths = np.linalg.norm(rows, axis=1)
        if not np.all(np.abs(lengths - 1) < _UNIT_TOLERANCE):
            msg = "The watchlist holds a template that is not of unit length: enrol it again."
            raise WatchlistError(msg)
        self.matrix: Floats = np.array(rows, np.float32, order="C")

    def __len__(self) -> int:
        return len(self.ids)

    def wipe(self) -> None:
        """Overwrite all templates with zeros; nothing can be compared afterwards."""
        self.matrix.fill(0)

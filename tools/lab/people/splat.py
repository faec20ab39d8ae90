"""From surfaces to pixels: dense points, far ones first, so that near ones cover them."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tools.lab.people.fields import Floats, Mask, enlarge

_DEPTH_STEPS = 65535
_NOTHING = -1e6
_SAME_SURFACE_MM = 4.0
_EDGE = 8
"""Pixels round the picture within which a grid point can still matter."""
_GAP_PX = 1.5
"""How far apart points may lie: each covers two by two pixels."""
_MOST_TIMES = 24
_STRETCHED = 97
"""Percentile of the distances between neighbours that counts as the largest."""

Codes = npt.NDArray[np.int32]
Part = tuple[slice, slice]


@dataclass(frozen=True)
class Surface:
    """A grid of points to draw.

    points: (rows, columns, 3) millimetres in camera axes: x right, y down, z towards the camera.
    facing: (rows, columns) cosine between the normal and the view; below `cut` nothing is drawn.
    cover: a multiple of (rows, columns), or None: drawn where above 0.5.
    """

    points: Floats
    facing: Floats
    cover: Floats | None = None
    cut: float = -0.02


@dataclass(frozen=True)
class Lens:
    """A pinhole camera: pixels = middle + focal * x / (distance - z)."""

    distance: float
    focal: float
    middle: tuple[float, float]

    def project(self, points: Floats) -> Floats:
        """Return pixels and depth, (..., 3), of camera points (..., 3)."""
        scale = self.focal / np.maximum(self.distance - points[..., 2], 1.0)
        out = np.empty_like(points)
        out[..., 0] = points[..., 0] * scale + self.middle[0]
        out[..., 1] = points[..., 1] * scale + self.middle[1]
        out[..., 2] = points[..., 2]
        return out


@dataclass(frozen=True)
class _Points:
    """Points in the picture: depth (n,), pixel (n,), and code (n,): the cell of a finer grid.

    times: how much finer its rows and columns are. columns: how many it has.
    """

    depth: Floats
    pixel: Codes
    code: Codes
    times: tuple[int, int]
    columns: int
    cells: int

    def places(self, codes: Codes) -> Floats:
        """Return column and row on the surface's own grid, (n, 2), of cells of the finer one."""
        row, column = np.divmod(codes, self.columns)
        both = np.stack([column, row], axis=1).astype(np.float32)
        fine = np.array([self.times[1], self.times[0]], np.float32)
        # Resizing puts cell i of the finer grid at (i + 0.5) / times - 0.5.
        return np.asarray((both + np.float32(0.5)) / fine - np.float32(0.5), np.float32)


def splat(surfaces: list[Surface], lens: Lens, size: tuple[int, int]) -> tuple[Codes, Floats]:
    """Draw surfaces into a picture of `size` (width, height).

    Returns which surface each pixel shows, (height, width), -1 for none, and its place on that
    surface's grid as column and row, (height, width, 2) float32.
    """
    width, height = size
    found = [_points(surface, lens, size) for surface in surfaces]
    starts = np.cumsum([0, *(points.cells for points in found)]).astype(np.int32)
    depth = np.concatenate([points.depth for points in found])
    pixel = np.concatenate([points.pixel for points in found])
    code = np.concatenate(
        [points.code + start for points, start in zip(found, starts, strict=False)]
    )
    shown = np.full(width * height, -1, np.int32)
    near = np.full(width * height, _NOTHING, np.float32)
    if depth.size:
        low, high = float(depth.min()), float(depth.max())
        steps = ((depth - low) * (_DEPTH_STEPS / max(high - low, 1e-3))).astype(np.uint16)
        order = np.argsort(steps, kind="stable")
        pixel = pixel[order]
        shown[pixel] = code[order]
        near[pixel] = depth[order]
    shown = _widen(shown.reshape(height, width), near.reshape(height, width))
    return _decoded(shown, found, starts)


def _decoded(shown: Codes, found: list[_Points], starts: Codes) -> tuple[Codes, Floats]:
    which = np.full(shown.size, -1, np.int32)
    place = np.zeros((shown.size, 2), np.float32)
    flat = shown.ravel()
    for number, points in enumerate(found):
        at = np.flatnonzero((flat >= starts[number]) & (flat < starts[number + 1]))
        which[at] = number
        place[at] = points.places(flat[at] - starts[number])
    return which.reshape(shown.shape), place.reshape(*shown.shape, 2)


def _widen(shown: Codes, near: Floats) -> Codes:
    """Let each point cover two by two pixels, so that no gap opens where a surface is stretched."""
    best, depth = shown.copy(), near.copy()
    for down, right in ((0, 1), (1, 0), (1, 1)):
        here = (slice(down, None), slice(right, None))
        there = (slice(None, -down or None), slice(None, -right or None))
        nearer = near[there] > depth[here] + _SAME_SURFACE_MM
        np.copyto(best[here], shown[there], where=nearer)
        np.copyto(depth[here], near[there], where=nearer)
    return best


def _points(surface: Surface, lens: Lens, size: tuple[int, int]) -> _Points:
    """Return a surface's points that lie in the picture, dense enough to leave no gap."""
    rows, columns = surface.facing.shape
    flat = lens.project(surface.points)
    part = _in_sight(flat, surface.facing > surface.cut, size)
    if part is None:
        nothing = np.empty(0, np.int32)
        return _Points(np.empty(0, np.float32), nothing, nothing, (1, 1), columns, rows * columns)
    flat, facing = flat[part], surface.facing[part]
    times = _fineness(flat, facing > max(surface.cut, -1.0))
    fine = (facing.shape[0] * times[0], facing.shape[1] * times[1])
    packed = enlarge(np.dstack([flat, facing]), fine)
    column, row = packed[..., 0].astype(np.int32), packed[..., 1].astype(np.int32)
    keep = (packed[..., 3] > surface.cut) & (column > 0) & (column < size[0] - 1)
    keep &= (row > 0) & (row < size[1] - 1)
    if surface.cover is not None:
        keep &= _covered(surface.cover, rows, part, fine)
    index = np.flatnonzero(keep)
    y, x = np.divmod(index.astype(np.int32), fine[1])
    wide = columns * times[1]
    code = (y + part[0].start * times[0]) * wide + x + part[1].start * times[1]
    pixel = row.ravel()[index] * size[0] + column.ravel()[index]
    cells = rows * times[0] * wide
    return _Points(packed[..., 2].ravel()[index], pixel, code, times, wide, cells)


def _in_sight(flat: Floats, facing: Mask, size: tuple[int, int]) -> Part | None:
    """Return the smallest part of a grid that holds every point that can be seen."""
    seen = facing & (flat[..., 0] > -_EDGE) & (flat[..., 0] < size[0] + _EDGE)
    seen &= (flat[..., 1] > -_EDGE) & (flat[..., 1] < size[1] + _EDGE)
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not rows.size:
        return None
    return (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )


def _fineness(flat: Floats, facing: Mask) -> tuple[int, int]:
    """Return how much finer rows and columns must be for the picture."""
    return _steps(flat[:, ::4], facing[:, ::4], 0), _steps(flat[::4], facing[::4], 1)


def _steps(flat: Floats, facing: Mask, axis: int) -> int:
    if flat.shape[axis] < 2 or not facing.any():  # noqa: PLR2004 - no neighbours
        return 1
    step = np.diff(flat[..., :2], axis=axis)
    far = np.hypot(step[..., 0], step[..., 1])
    inner = facing[1:] if axis == 0 else facing[:, 1:]
    if not inner.any():
        return 1
    longest = float(np.percentile(far[inner], _STRETCHED))
    return int(np.clip(np.ceil(longest / _GAP_PX), 1, _MOST_TIMES))


def _covered(cover: Floats, rows: int, part: Part, fine: tuple[int, int]) -> Mask:
    times = cover.shape[0] // rows
    down, across = part
    piece = cover[
        down.start * times : down.stop * times, across.start * times : across.stop * times
    ]
    return np.asarray(enlarge(piece, fine) > 0.5, np.bool_)  # noqa: PLR2004 - half covered

"""The resolution of skin: where each cell of a painted texture lies on the map of heads."""

from functools import cache

import numpy as np

from tools.lab.people.fields import Floats, Rng, noise, stretch_rows
from tools.lab.people.grid import Grid, grid, row_of, row_places

ROWS, COLUMNS = 560, 448
"""Rows and columns of a texture: two to three cells per millimetre of the face."""


def texels() -> Grid:
    """Return the map of heads in the resolution of skin."""
    return grid(ROWS, COLUMNS)


def even_noise(rng: Rng, cells: tuple[float, float], octaves: int = 1) -> Floats:
    """Return noise whose hills are as large on every row of the map, however close rows lie."""
    return stretch_rows(noise(rng, (ROWS, COLUMNS), cells, octaves), row_places(ROWS))


def cell_at(across: Floats, down: Floats) -> Floats:
    """Return column and row of places near the brows, (..., 2) float32."""
    places, columns = _through_the_brows()
    return np.stack([np.interp(across, places, columns), row_of(down, ROWS)], axis=-1).astype(
        np.float32
    )


@cache
def _through_the_brows() -> tuple[Floats, Floats]:
    row = round(float(row_of(-16.0, ROWS)))
    middle = slice(COLUMNS // 6, COLUMNS - COLUMNS // 6)
    return texels().across[row, middle], np.arange(COLUMNS, dtype=np.float32)[middle]

"""What a comparison costs as a list grows, beside the one product that it cannot do without."""

from collections.abc import Callable, Sequence

import numpy as np

from device.matching import Gallery, Limits, compare
from device.matching.cohort import weight_of
from device.matching.products import Floats, rows_in, shape_of
from device.protocol.watchlist import MOST_REFERENCES, DemonstrationList, Reference
from device.vision.sample import Probe
from tools.lab.protection.accuracy import opened, sealed_list
from tools.lab.turns import in_turns

PLAIN, PROTECTED, PRODUCT = "plain list", "protected list", "numpy G @ p alone"
_STRANGER = Limits(2.0, 0.0, "bench")
"""No score reaches it: almost all comparisons are those of a stranger."""
_FEWEST_CALLS, _MOST_CALLS = 3, 200
_ROWS_PER_ROUND = 200_000
_AT_ONCE = 4096


def search_costs(
    sizes: Sequence[int], dimension: int = 256, repeats: int = 11
) -> dict[str, dict[int, list[float]]]:
    """Return microseconds of processor time per comparison: by contestant and size of the list.

    Each list of figures holds one per repeat, a mean over some calls; the contestants of one size
    take turns. The protected list ends at R12's cap. Random templates; all plain lists and bare
    products read the same memory, which is made once.
    """
    rng = np.random.default_rng(1)
    blocks = _random_blocks(max(sizes), dimension, rng)
    probe = Probe(_unit(rng.standard_normal((1, dimension), np.float32))[0])
    found: dict[str, dict[int, list[float]]] = {PLAIN: {}, PROTECTED: {}, PRODUCT: {}}
    for size in sizes:
        calls = min(_MOST_CALLS, max(_FEWEST_CALLS, _ROWS_PER_ROUND // size))
        works = _works(blocks[: shape_of(size, dimension)[0]], size, probe)
        for work in works.values():
            work()
        for name, figures in in_turns(works, repeats, calls).items():
            found[name][size] = figures
    return found


def _works(blocks: Floats, size: int, probe: Probe) -> dict[str, Callable[[], object]]:
    plain, matrix = _plain(blocks, size), rows_in(blocks, size)
    works: dict[str, Callable[[], object]] = {
        PLAIN: lambda: compare(plain, probe, _STRANGER),
        PRODUCT: lambda: matrix @ probe.template,
    }
    if size <= MOST_REFERENCES:
        protected = opened(sealed_list(matrix).content)
        works[PROTECTED] = lambda: compare(protected, probe, _STRANGER)
    return works


def _plain(blocks: Floats, size: int) -> Gallery:
    """Return a gallery of so many rows, which are not copied.

    The levels of its references, for which every one would be compared with all others, are not
    taken: they are numbers that a comparison reads, whatever they are.
    """
    row = blocks[0, 0].astype("<f4").tobytes()
    one = DemonstrationList("bench", 1, "", "", "", blocks.shape[2], [Reference("0", [row])])
    gallery = Gallery(one, "")
    gallery.blocks, gallery.matrix = blocks, rows_in(blocks, size)
    gallery.ids = tuple(str(number) for number in range(size))
    gallery.gone = np.zeros(size, np.bool_)
    gallery.surplus = np.zeros(size, np.float32)
    gallery.weight = weight_of(size - 1)
    return gallery


def _random_blocks(references: int, dimension: int, rng: np.random.Generator) -> Floats:
    blocks = np.zeros(shape_of(references, dimension), np.float32)
    rows = rows_in(blocks, references)
    for start in range(0, references, _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        part[:] = _unit(rng.standard_normal(part.shape, np.float32))
    return blocks


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)

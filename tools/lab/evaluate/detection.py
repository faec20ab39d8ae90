"""Detection: annotated faces found, and faces found where there are none."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import PictureError
from device.vision.detector import iou
from device.vision.inference import Floats
from tools.lab.evaluate.figures import Figure, NotEvaluated
from tools.lab.evaluate.looks import Enrolment, Look
from tools.lab.evaluate.rates import FEWEST_OF_CONDITION, PICTURES, coded, rate
from tools.lab.evaluate.report import Named
from tools.lab.evaluate.resampling import interval, weights
from tools.lab.manifest import Item

SAME_FACE = 0.5
"""Intersection over union from which a found box is the annotated one."""
NO_FACE = "no face was found"
_COLUMNS = ("file", "x", "y", "w", "h")


@dataclass(frozen=True, slots=True)
class Annotated:
    """One annotated box. box: x, y, width, height in pixels, (4,) float32. source: who drew it."""

    path: Path
    box: Floats
    source: str


def boxes_in(file: Path) -> list[Annotated]:
    """Read a file of boxes. Raises PictureError when it is damaged."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise PictureError(f"{file} lacks the columns {', '.join(missing)}.")
            return [_annotated(file, row, reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{file} cannot be read ({error}).") from error


def _annotated(file: Path, row: dict[str, str], line: int) -> Annotated:
    try:
        box = np.array([float(row[name]) for name in _COLUMNS[1:]], np.float32)
    except (TypeError, ValueError) as error:
        raise PictureError(f"{file}, line {line}: a box is four numbers.") from error
    if not (np.isfinite(box).all() and min(box[2:]) > 0):
        raise PictureError(f"{file}, line {line}: a box has a width and a height above nought.")
    return Annotated(file.parent / row["file"], box, row.get("annotation_source") or "")


def recall_of(boxes: Sequence[Annotated], looks: Mapping[Path, Look]) -> tuple[Figure, list[Named]]:
    """Return the share of annotated boxes that were found, of all and by who annotated."""
    usable = [box for box in boxes if box.path in looks]
    if not usable:
        return NotEvaluated("no annotated boxes of group pictures in the data"), []
    found = np.zeros(len(usable), np.bool_)
    for path in sorted({box.path for box in usable}):
        places = [place for place, box in enumerate(usable) if box.path == path]
        found[places] = _matched([usable[place].box for place in places], looks[path])
    names = np.array([str(box.path) for box in usable], np.str_)
    sources = np.array([box.source for box in usable], np.str_)
    return rate(found, names, method=PICTURES), [
        Named(
            str(source), rate(found[sources == source], names[sources == source], method=PICTURES)
        )
        for source in np.unique(sources)
        if source
    ]


def _matched(annotated: list[Floats], look: Look) -> list[bool]:
    """Tell which boxes were found; a found face counts once, the most certain chooses first."""
    boxes = np.stack(annotated)
    free = np.ones(len(boxes), np.bool_)
    for face in sorted(look.faces, key=lambda face: -face.score):
        overlaps = np.where(free, iou(np.array(face.box, np.float32), boxes), 0.0)
        if overlaps.max() >= SAME_FACE:
            free[overlaps.argmax()] = False
    return [not waiting for waiting in free.tolist()]


def found_by_set(
    probes: Sequence[Item],
    looks: Mapping[Path, Look],
    gallery: Sequence[Item],
    enrolments: Mapping[Path, Enrolment],
) -> list[Named]:
    """Return, per source set, the share of pictures of people in which any face was found."""
    found = [(item, bool(looks[item.path].faces)) for item in probes]
    found += [(item, NO_FACE not in enrolments[item.path].fault) for item in gallery]
    sets = np.array([item.source_set for item, _ in found], np.str_)
    names = np.array([item.identities[0] for item, _ in found], np.str_)
    happened = np.array([seen for _, seen in found], np.bool_)
    return [
        Named(
            str(name),
            rate(happened[sets == name], names[sets == name], fewest=FEWEST_OF_CONDITION),
        )
        for name in np.unique(sets)
        if name
    ]


def share_of_pictures(
    items: Sequence[Item], happened: npt.NDArray[np.bool_], fewest: int = 1
) -> Figure:
    """Return a share of pictures, resampled over pictures."""
    return rate(
        happened,
        np.array([str(item.path) for item in items], np.str_),
        fewest=fewest,
        method=PICTURES,
    )


def by_subset(items: Sequence[Item], happened: npt.NDArray[np.bool_]) -> list[Named]:
    """Return the share per subset."""
    subsets = np.array([item.subset for item in items], np.str_)
    return [
        Named(
            str(name),
            share_of_pictures(
                [item for item in items if item.subset == name],
                happened[subsets == name],
                FEWEST_OF_CONDITION,
            ),
        )
        for name in np.unique(subsets)
        if name
    ]


def per_picture(counts: Sequence[int]) -> tuple[float, float, float] | None:
    """Return the mean number of detections per picture with its 95 % interval; None for none."""
    if not counts:
        return None
    _, pictures = coded(np.arange(len(counts)))
    drawn = weights(pictures) @ np.asarray(counts, np.float64) / pictures
    low, high = interval(drawn)
    return float(np.mean(counts)), low, high

"""A data set's real clips as clips of the benchmark (DATA=): held in private, deleted at the end.

All its clips one after the other are one clip; each is one passage. Enrolled are those of whom the
data set has a gallery photograph, but for one: the one with the fewest clips stays a stranger, for
false alerts need somebody. Others of the data set fill the list. Only people who agreed to be shown
take part; nothing of them is kept, and references have made-up names.
"""

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np

from device.capture.frame import Pixels
from device.capture.stills import read_still, shrunk
from device.capture.video import VideoSource
from device.errors import PictureError
from device.opencv import cv2
from tools.lab.bench.clip import (
    LORES,
    MAIN,
    REFERENCES,
    SECONDS,
    Passage,
    Truth,
    i420_of,
    write_truth,
)
from tools.lab.manifest import Item, read_manifest
from tools.lab.picture import write

_SHOWN: Final = ("A", "S")
"""Licence classes of people who agreed to be shown, or do not exist; nobody else is enrolled."""
_LORES_WIDTH: Final = 640
_PAUSE_S: Final = 3.0
"""Between two clips: tracks end, as between two passers-by."""
_LISTED: Final = 50
_WAIT_S: Final = 5.0
NAME: Final = "filmed"


@contextmanager
def filmed(data: Path) -> Iterator[Path]:
    """Yield the folder of a clip made of a data set's clips; it is deleted afterwards.

    Raises PictureError when the data set has no clip of one person who agreed, or none of them has
    a photograph.
    """
    items = [item for item in read_manifest(data) if item.licence_class in _SHOWN]
    clips = [i for i in items if i.role == "video" and len(i.identities) == 1]
    photographs = _photographs(items, clips)
    filmed_people = {i.identities[0] for i in clips}
    if not filmed_people.intersection(photographs):
        raise PictureError(f"{data} holds no clip of somebody with a photograph (docs/data.md).")
    # Known clips only: who has no photograph was not checked to be one person.
    clips = [i for i in clips if i.identities[0] in photographs]
    stranger = _left_out(clips)
    names = {
        person: f"ref-{number:04}"
        for number, person in enumerate(p for p in photographs if p != stranger)
    }
    # 0700 by default: nobody else on this machine may look.
    folder = Path(tempfile.mkdtemp(prefix="passerby-filmed-"))
    try:
        _write_references(folder, {names[p]: photographs[p] for p in names})
        _write_clip(folder, clips, names)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _photographs(items: list[Item], clips: list[Item]) -> dict[str, Path]:
    """Return a photograph of each person of the clips, and of others until the list is long."""
    known: dict[str, Path] = {}
    for item in items:
        if item.role == "gallery" and len(item.identities) == 1:
            known.setdefault(item.identities[0], item.path)
    wanted = dict.fromkeys(i.identities[0] for i in clips if i.identities[0] in known)
    wanted |= dict.fromkeys(list(known)[:_LISTED])
    return {person: known[person] for person in wanted}


def _left_out(clips: list[Item]) -> str | None:
    """Return who stays a stranger: of several the one with the fewest clips, else nobody."""
    counts = Counter(item.identities[0] for item in clips)
    return min(counts, key=lambda person: counts[person]) if len(counts) > 1 else None


def _write_references(folder: Path, photographs: dict[str, Path]) -> None:
    references = folder / REFERENCES
    references.mkdir()
    for name, path in photographs.items():
        write(references / f"{name}.png", read_still(path))


def _write_clip(folder: Path, clips: list[Item], names: dict[str, str]) -> None:
    main: list[Pixels] = []
    lores: list[Pixels] = []
    seconds: list[float] = []
    passages = []
    size: tuple[int, int] | None = None
    for number, item in enumerate(clips):
        begin = seconds[-1] + _PAUSE_S if seconds else 0.0
        first = len(seconds)
        for at_s, frame in _frames(item.path):
            size = size or (frame.shape[1] // 2 * 2, frame.shape[0] // 2 * 2)
            fitted = frame if frame.shape[1::-1] == size else cv2.resize(frame, size)
            fitted = np.asarray(fitted, np.uint8)
            main.append(i420_of(fitted))
            lores.append(i420_of(_even(shrunk(fitted, _LORES_WIDTH))))
            seconds.append(begin + at_s)
        person = item.identities[0]
        identity = names.get(person, f"stranger-{number:03}")
        passages.append(Passage(identity, person in names, first, len(seconds) - 1))
    small = (lores[0].shape[1], lores[0].shape[0] * 2 // 3)
    np.save(folder / MAIN, np.stack(main))
    np.save(folder / LORES, np.stack(lores))
    np.save(folder / SECONDS, np.array(seconds, np.float64))
    high = main[0].shape[0] * 2 // 3
    write_truth(folder, Truth(NAME, (main[0].shape[1], high), small, passages))


def _even(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2])


def _frames(path: Path) -> Iterator[tuple[float, Pixels]]:
    """Yield seconds and a copy of every frame of a clip, BGR. Raises CameraError."""
    source = VideoSource(path, fast=True)
    source.open()
    try:
        while (frame := source.read(_WAIT_S)) is not None:
            copy, at_s = frame.main.pixels.copy(), frame.seconds
            frame.release()
            yield at_s, copy
    finally:
        source.close()

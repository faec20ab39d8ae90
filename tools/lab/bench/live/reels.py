"""The clips that the camera shows: the benchmark's, and one of nobody but enrolled people."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from tools.lab.bench.clip import LORES, MAIN, Clip, Passage
from tools.lab.bench.material import prepare

SPLICED: Final = {"procession": "passages", "returning": "walker"}
"""Clips of enrolled people only, and what they are cut out of: many people, or one who comes again
and again, for which little must be rendered."""
_LIKELY: Final = 0.3
"""A passage is cut here: farther away nobody is recognised, and nothing is measured."""


def reels(cache: Path, names: list[str]) -> dict[str, Path]:
    """Return the folders of clips by name, `SPLICED` ones among them.

    Raises StorageError, ConfigurationError for an unknown name.
    """
    wanted = [SPLICED.get(name, name) for name in names]
    folders = prepare(cache, list(dict.fromkeys(wanted)))
    return {
        name: _spliced(folders[SPLICED[name]]) if name in SPLICED else folders[name]
        for name in names
    }


def photos(folders: dict[str, Path]) -> list[Path]:
    """Return the photographs of the enrolled people whom some clips show.

    The others of the benchmark's list are left out: with the operational models too many of them
    look alike, and the desk would refuse both.
    """
    found: dict[str, Path] = {}
    for folder in folders.values():
        source = folder.with_name(folder.name.removeprefix(_PREFIX))
        clip = Clip.open(source)
        shown = {passage.identity for passage in clip.truth.passages if passage.enrolled}
        found |= {photo.stem: photo for photo in clip.references if photo.stem in shown}
    return [found[name] for name in sorted(found)]


_PREFIX: Final = "enrolled-of-"


def _spliced(source: Path) -> Path:
    """Splice the passages of enrolled people, without strangers and pauses; kept beside them."""
    folder = source.with_name(_PREFIX + source.name)
    if folder.is_dir():
        return folder
    clip = Clip.open(source)
    numbers = [number for passage in clip.truth.passages for number in _worth(passage)]
    work = Path(tempfile.mkdtemp(prefix=".enrolled-", dir=source.parent))
    try:
        streams = [
            np.lib.format.open_memmap(
                work / file, mode="w+", dtype=np.uint8, shape=(len(numbers), *first.shape)
            )
            for file, first in zip((MAIN, LORES), clip.streams.pair(numbers[0]), strict=True)
        ]
        for place, number in enumerate(numbers):
            for stream, pixels in zip(streams, clip.streams.pair(number), strict=True):
                stream[place] = pixels
        for stream in streams:
            stream.flush()
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _worth(passage: Passage) -> range:
    """Return the frames of a passage in which its person may be recognised."""
    if not passage.enrolled:
        return range(0)
    far = round(_LIKELY * (passage.last - passage.first))
    return range(passage.first + far, passage.last + 1)

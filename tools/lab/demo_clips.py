"""The demonstration on a data set of real clips and stills (`make demo DATA=FOLDER`).

Enrols a few people, plays clips to the real appliance, compares stills, and draws what an operator
may see. Only people who agreed to be shown are.
"""

import shutil
import tempfile
from collections import Counter
from pathlib import Path

from device.capture import Pixels
from device.capture.stills import read_still
from device.capture.video import VideoSource
from device.errors import PictureError
from device.protocol.alert import Alert
from device.search import Result
from device.settings import ModelSettings
from device.vision import Eye, find_faces
from tools.console import console
from tools.lab.manifest import Item, read_manifest
from tools.lab.picture import Marked, annotate, sheet, tile, write
from tools.lab.playlist import Playlist
from tools.lab.theatre import Theatre

_ENROLLED_STILLS = 5
_STRANGERS = 4
_SAME_FRAME_S = 0.005
_SHOWN = ("A", "S")
"""Licence classes of pictures whose people agreed to be shown, or do not exist; no others are."""


def demonstrate(data: Path, out: Path, models: ModelSettings) -> int:
    """Run the demonstration on a data set; 0 when every alert that was raised arrived."""
    items = [i for i in read_manifest(data) if i.licence_class in _SHOWN]
    with tempfile.TemporaryDirectory() as folder:
        return _Demonstration(items, Path(folder), out).run(models)


class _Demonstration:
    def __init__(self, items: list[Item], work: Path, out: Path) -> None:
        self._work = work
        self._out = out
        subjects = [i for i in items if i.role == "gallery" and len(i.identities) == 1]
        filmed = {name for i in items if i.role == "video" for name in i.identities}
        in_clips = [i for i in subjects if filmed.intersection(i.identities)]
        # Booking-like photographs first: that is what a watchlist is made of.
        others = [i for i in subjects if i not in in_clips]
        others.sort(key=lambda item: item.subset != "mugshot_like")
        self._gallery = others[:_ENROLLED_STILLS] + in_clips
        self._enrolled = {name for item in self._gallery for name in item.identities}
        self._clips = [i for i in items if i.role == "video"]
        probes = [i for i in items if i.role == "probe"]
        probes.sort(key=lambda item: item.subset != "smiling")
        mated = {name: i for i in reversed(probes) for name in i.identities}
        self._stills = [i for name, i in sorted(mated.items()) if name in self._enrolled]
        strangers = [i for i in probes if self._enrolled.isdisjoint(i.identities)]
        self._stills += strangers[:_STRANGERS]
        if not self._gallery or not (self._clips or self._stills):
            raise PictureError("The data set holds nobody who agreed to be shown (docs/data.md).")

    def run(self, models: ModelSettings) -> int:
        console.rule("1  enrol")
        photos = self._work / "photos"
        photos.mkdir()
        for item in self._gallery:
            shutil.copy(item.path, photos / f"{item.identities[0]}{item.path.suffix}")
        theatre = Theatre(photos, self._work, models)
        stills = self._compare_stills(theatre)
        clips = [theatre.search(item.path) for item in self._clips]
        console.rule(
            "3  watch clips, each a passage of its own; alerts as a consumer received them"
        )
        received = theatre.watch(Playlist([item.path for item in self._clips]))
        picture = self._draw(theatre.cautious_eye(), [*clips, *stills])
        console.print(f"\nwhat an operator may see: {picture}")
        self._judge(received, stills)
        return 0

    def _compare_stills(self, theatre: Theatre) -> list[Result]:
        console.rule("2  compare stills with the list (the Ottawa way)")
        results = []
        for item in self._stills:
            result = theatre.search(item.path)
            results.append(result)
            known = self._enrolled.intersection(item.identities)
            console.print(f"{item.path.name}: {in_words(result, enrolled=bool(known))}")
        return results

    def _draw(self, eye: Eye, results: list[Result]) -> Path:
        tiles = []
        for result in results:
            path = Path(result.file)
            at_s = next((c.at_s for c in result.candidates if c.at_s is not None), 0.5)
            pixels = frame_at(path, at_s) if result.kind == "clip" else read_still(path)
            tiles.append(drawn(eye, pixels, result, at_s))
        picture = self._out / "faces.png"
        write(picture, sheet(tiles))
        return picture

    def _judge(self, received: list[Alert], stills: list[Result]) -> None:
        """Say what the manifest says of it."""
        expected = Counter(n for i in self._clips for n in i.identities if n in self._enrolled)
        alerted = Counter(alert.data.reference_id for alert in received)
        right = (expected & alerted).total()
        as_expected = sum(
            {c.reference_id for c in result.candidates} == self._enrolled.intersection(i.identities)
            for i, result in zip(self._stills, stills, strict=True)
        )
        console.print(
            f"{right} of {expected.total()} passages of enrolled people in {len(self._clips)} "
            f"clips raised their alert; {(alerted - expected).total()} other alerts; "
            f"{as_expected} of {len(stills)} stills as expected."
        )


def in_words(result: Result, *, enrolled: bool) -> str:
    """Return what a comparison of a still found; enrolled: whether it shows somebody enrolled."""
    found = ", ".join(f"possible match {c.reference_id} ({c.band})" for c in result.candidates)
    return found or ("no candidate" if enrolled else "no candidate (not enrolled: right)")


def drawn(eye: Eye, pixels: Pixels, result: Result, at_s: float | None = None) -> Pixels:
    """Return the picture of one result: candidates marked, every other face blurred (R15).

    at_s: which moment of a clip `pixels` shows.
    """
    alerts = [
        Marked(c.box, f"possible match: {c.reference_id} ({c.band})")
        for c in result.candidates
        if c.at_s in {None, at_s}
    ]
    faces = find_faces(eye, pixels)
    return tile(annotate(pixels, faces, alerts), Path(result.file).name, alerts)


def frame_at(clip: Path, at_s: float) -> Pixels:
    """Return the frame of a clip at a position, (h, w, 3) uint8 BGR. Raises CameraError."""
    source = VideoSource(clip, fast=True)
    source.open()
    try:
        while (frame := source.read(1.0)) is not None:
            pixels = frame.main.pixels.copy()
            reached = frame.seconds >= at_s - _SAME_FRAME_S
            frame.release()
            if reached:
                break
    finally:
        source.close()
    return pixels

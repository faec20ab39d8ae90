"""`passerby-lab acceptance`: the whole gallery of a data set, its stills, clips and negatives.

Counts, with confidence intervals, what the default settings find, miss and wrongly raise. It is a
check of this software on one data set, not an evaluation of a deployment (no threshold statement).
"""

import argparse
import platform
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import track

from device import __version__
from device.bundles import load_list
from device.errors import PictureError
from device.files import write_atomically
from device.matching import Gallery
from device.opencv import cv2
from device.search import Result, Searcher
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Catalogue, Eye, default_directory
from tools.console import console, notes
from tools.desk.main import main as desk
from tools.lab.manifest import Item, read_manifest
from tools.lab.statistics import proportion, wilson

_GALLERY_SETS = ("london", "lfw", "orl", "intel")
_BANDS = ("moderate", "strong", "very strong")


@dataclass(slots=True)
class Line:
    """One result. wanted: the condition of acceptance, or None for a figure that only informs."""

    what: str
    hits: int
    total: int
    wanted: str | None
    passed: bool
    examples: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 when every condition holds."""
    items = read_manifest(options.data)
    gallery = [i for i in items if i.role == "gallery" and i.source_set in _GALLERY_SETS]
    if not gallery:
        raise PictureError(f"{options.data} has no gallery; see docs/data.md.")
    with tempfile.TemporaryDirectory() as folder:
        enrolled, searcher = _enrol(gallery, Path(folder))
        lines = [_all("gallery photographs enrol", enrolled, len(gallery))]
        lines += _measure(items, {n for i in gallery for n in i.identities}, searcher)
    header = _versions(options.data)
    for text in header.values():
        console.print(text, markup=False)
    for line in lines:
        verdict = "" if line.wanted is None else ("PASS  " if line.passed else "FAIL  ")
        console.print(f"{verdict}{line.what}: {proportion(line.hits, line.total)}", markup=False)
        for example in line.examples[:5]:
            console.print(f"        {example}", markup=False)
    options.out.mkdir(parents=True, exist_ok=True)
    record = {"versions": header, "results": [_record(line) for line in lines]}
    write_atomically(options.out / "acceptance.json", msgspec.json.encode(record), mode=0o644)
    return 0 if all(line.passed for line in lines) else 1


def _enrol(gallery: list[Item], work: Path) -> tuple[int, Searcher]:
    photos, watchlist = work / "photos", work / "watchlist.bin"
    photos.mkdir()
    for item in gallery:
        shutil.copy(item.path, photos / f"{item.identities[0]}{item.path.suffix}")
    if desk(["enrol", "--photos", str(photos), "--out", str(watchlist)]):
        raise PictureError("The gallery could not be enrolled.")
    settings = Settings(
        device=DeviceSettings("lab", "lab", str(work), demonstration=True),
        camera=CameraSettings("stills"),
        watchlist=WatchlistSettings(str(watchlist)),
    )
    eye = Eye.open(Catalogue.read(default_directory()), settings.models, settings.vision)
    loaded = Gallery(load_list(watchlist), eye.embedder_entry.sha256)
    return len(loaded), Searcher(eye, loaded, settings)


def _measure(items: list[Item], enrolled: set[str], searcher: Searcher) -> list[Line]:
    smiling = [i for i in items if i.subset == "smiling"]
    clips = [i for i in items if i.role == "video"]
    negatives = [i for i in items if i.role == "negative"]
    mated = [i for i in items if i.role == "probe" and enrolled.intersection(i.identities)]
    strangers = [i for i in items if i.role == "probe" and not enrolled.intersection(i.identities)]
    lines = [_found("London, neutral enrolled, smiling found", smiling, searcher)]
    lines += _clips(clips, enrolled, searcher)
    raised = [i.path.name for i in negatives if searcher.search(i.path).candidates]
    lines.append(_none("negatives that raise a candidate", raised, len(negatives)))
    lines += _rates("mated stills, right reference", mated, searcher, _is_right)
    lines += _rates("stills of strangers with any candidate", strangers, searcher, _is_any)
    return lines


def _clips(clips: list[Item], enrolled: set[str], searcher: Searcher) -> list[Line]:
    missed, wrong, mated = [], [], 0
    for item in track(clips, "clips", console=notes, transient=True):
        alerted = {c.reference_id for c in searcher.search(item.path).candidates}
        expected = enrolled.intersection(item.identities)
        mated += len(expected)
        missed += [f"{item.path.name}: {name}" for name in sorted(expected - alerted)]
        wrong += [f"{item.path.name}: {name}" for name in sorted(alerted - expected)]
    return [
        _all("passages of enrolled people in clips alert", mated - len(missed), mated),
        _none(
            "clips with an alert for anyone else",
            sorted({w.split(":")[0] for w in wrong}),
            len(clips),
        ),
    ]


def _found(what: str, items: list[Item], searcher: Searcher) -> Line:
    missed = [i.path.name for i in items if not _is_right(i, searcher.search(i.path))]
    line = _all(what, len(items) - len(missed), len(items))
    line.examples = missed
    return line


def _rates(
    what: str, items: list[Item], searcher: Searcher, hit: Callable[[Item, Result], bool]
) -> Iterable[Line]:
    """Return one line per band, each counting the results in that band or a higher one."""
    bands: Counter[str] = Counter()
    for item in track(items, what, console=notes, transient=True):
        result = searcher.search(item.path)
        if hit(item, result):
            bands[max((c.band for c in result.candidates), key=_BANDS.index)] += 1
    for index, band in enumerate(_BANDS):
        count = sum(bands[name] for name in _BANDS[index:])
        yield Line(f"{what}, {band} or better", count, len(items), None, passed=True)


def _is_right(item: Item, result: Result) -> bool:
    return any(c.reference_id in item.identities for c in result.candidates)


def _is_any(_item: Item, result: Result) -> bool:
    return bool(result.candidates)


def _all(what: str, hits: int, total: int) -> Line:
    return Line(what, hits, total, "all", passed=hits == total > 0)


def _none(what: str, raised: list[str], total: int) -> Line:
    return Line(what, len(raised), total, "none", passed=not raised and total > 0, examples=raised)


def _record(line: Line) -> dict[str, object]:
    low, high = wilson(line.hits, line.total)
    return {"what": line.what, "hits": line.hits, "total": line.total, "interval": [low, high]}


def _versions(data: Path) -> dict[str, str]:
    catalogue = Catalogue.read(default_directory())
    settings = Settings(
        DeviceSettings("lab", "lab"), CameraSettings("stills"), WatchlistSettings("")
    )
    eye = Eye.open(catalogue, settings.models, settings.vision)
    models = ", ".join(
        f"{entry.name} {entry.sha256[:16]}…" for entry in (eye.detector_entry, eye.embedder_entry)
    )
    return {
        "software": f"Passerby {__version__}, Python {platform.python_version()}, NumPy "
        f"{np.__version__}, OpenCV {cv2.__version__}, {eye.runtime}",
        "models": f"models {models}",
        "data": f"data {data.name}, {len(read_manifest(data)):,} files in the manifest",
    }

"""`passerby-lab attack`: how often attacks pass for people, and people for attacks (R33).

APCER for each kind of attack and BPCER for each set of bona fide pictures, at the threshold that is
shipped and at others; and what the option changes for a watchlist: attacks of enrolled people that
give a candidate, and enrolled people who no longer do.
"""

import argparse
import platform
from dataclasses import asdict
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import track
from rich.table import Table

from device import __version__
from device.errors import ModelError, PictureError
from device.files import write_atomically
from device.opencv import cv2
from device.settings import ModelSettings, VisionSettings
from device.vision import AttackDetector, Catalogue, Eye, default_directory
from tools.console import console, notes
from tools.lab.effect import Effect, effects
from tools.lab.manifest import read_manifest
from tools.lab.presentations import Figure, Judged, figures, judge, presentations
from tools.lab.statistics import proportion, wilson

THRESHOLDS = (0.1, 0.3, 0.5, 0.7, 0.9)
SIMULATED = (
    "Attacks called sim_… are pictures that software re-rendered to look like a print or a screen: "
    "nothing was printed, shown or photographed again. They show that the option works as built, "
    "and little about how many real prints and screens pass."
)
BONA_FIDE = (
    "Bona fide pictures are mostly photographs from collections, cut and compressed by others, not "
    "frames of this camera: the sets differ widely, and no sum over them means anything."
)


def run(options: argparse.Namespace) -> int:
    """Measure and print; 0 when the data set could be judged."""
    catalogue = Catalogue.read(default_directory())
    eye, detector = _open(catalogue, options.detector)
    items = read_manifest(options.data)
    shown = presentations(items)
    if not shown:
        raise PictureError(f"{options.data} has nothing to judge; see docs/data.md.")
    judged = [
        one
        for presentation in track(shown, "judging", console=notes, transient=True)
        for one in judge(presentation, eye, detector)
    ]
    header = _versions(eye, detector, options.data)
    found, changes = figures(judged, detector.threshold), effects(items, eye)
    _print(header, found, judged, changes)
    if options.json is not None:
        record = _record(header, found, judged, changes)
        write_atomically(options.json, msgspec.json.encode(record) + b"\n", mode=0o644)
    return 0


def _open(catalogue: Catalogue, name: str | None) -> tuple[Eye, AttackDetector]:
    """Open the eye with an attack detector: the one named, or the catalogue's first."""
    names = [entry.name for entry in catalogue.entries if entry.role == "attack-detection"]
    if name is None and not names:
        raise ModelError(f"{catalogue.directory} has no attack detector: nothing to measure.")
    models = ModelSettings(attack_detector=name or names[0])
    eye = Eye.open(catalogue, models, VisionSettings())
    if eye.attack is None:
        raise ModelError("No attack detector was opened: nothing to measure.")
    return eye, eye.attack


def _print(
    header: dict[str, str], found: list[Figure], judged: list[Judged], changes: list[Effect]
) -> None:
    for text in header.values():
        console.print(text, markup=False)
    for attack, title in ((True, "APCER"), (False, "BPCER")):
        console.print(f"\n{title} at the threshold {header['threshold']}", markup=False)
        lines = [_line(figure) for figure in found if figure.attack == attack]
        for line in lines or ["not evaluated"]:
            console.print(f"  {line}", markup=False)
    console.print("\nShare of errors by threshold of the live score, in %", markup=False)
    console.print(_table(judged))
    for change in changes:
        console.print(change.text(), markup=False)
    console.print(f"\n{SIMULATED}\n{BONA_FIDE}", markup=False)


def _line(figure: Figure) -> str:
    name = f"{figure.group} (simulated)" if figure.simulated else figure.group
    if figure.subjects < figure.total:
        share = f"{figure.errors} of {figure.total} ({figure.errors / figure.total:.1%}), of only "
        share += f"{figure.subjects} people or clips: no interval"
    else:
        share = proportion(figure.errors, figure.total)
    missing = f"; {figure.not_acquired} not acquired" if figure.not_acquired else ""
    return f"{name:<28} {share}{missing}"


def _table(judged: list[Judged]) -> Table:
    table = Table("", *(f"{threshold:g}" for threshold in THRESHOLDS))
    columns = [figures(judged, threshold) for threshold in THRESHOLDS]
    for row in zip(*columns, strict=True):
        kind = "APCER" if row[0].attack else "BPCER"
        shares = [f"{100 * one.errors / one.total:.1f}" if one.total else "–" for one in row]
        table.add_row(f"{kind} {row[0].group}", *shares)
    return table


def _versions(eye: Eye, detector: AttackDetector, data: Path) -> dict[str, str]:
    return {
        "software": f"Passerby {__version__}, Python {platform.python_version()}, NumPy "
        f"{np.__version__}, OpenCV {cv2.__version__}, {eye.runtime}",
        "models": ", ".join(f"{entry.name} {entry.sha256}" for entry in eye.entries),
        "threshold": detector.threshold_id,
        "data": data.resolve().name,
    }


def _record(
    header: dict[str, str], found: list[Figure], judged: list[Judged], changes: list[Effect]
) -> dict[str, object]:
    return {
        "versions": header,
        "notices": [SIMULATED, BONA_FIDE],
        "figures": [_as_record(figure) for figure in found],
        "by_threshold": {
            f"{threshold:g}": [_as_record(figure) for figure in figures(judged, threshold)]
            for threshold in THRESHOLDS
        },
        "effects": [asdict(change) for change in changes],
    }


def _as_record(figure: Figure) -> dict[str, object]:
    independent = figure.total and figure.subjects == figure.total
    interval = wilson(figure.errors, figure.total) if independent else None
    return asdict(figure) | {
        "measure": "APCER" if figure.attack else "BPCER",
        "simulated": figure.simulated,
        "rate": figure.errors / figure.total if figure.total else None,
        "interval": interval,
    }

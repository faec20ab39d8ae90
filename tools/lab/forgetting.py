"""What forgetting costs: CPU time per frame with each protection on and off, interleaved.

    python -m tools.lab.forgetting --json FILE     all variants, in turn
    python -m tools.lab.forgetting --one NAME      one of them, in a process of its own

Allocator and locks belong to a process, so each figure comes from a fresh one, and the variants
take turns. Frames of rendered people, the built-in models, one thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from rich.progress import Progress
from rich.table import Table

from device.allocator import overwrite_what_is_freed, restarted_with
from device.capture.frame import Frame, Picture, PixelFormat, Pixels
from device.errors import PasserbyError
from device.matching import Gallery
from device.memory import lock_process
from device.opencv import cv2
from device.recognition import Recogniser
from device.settings import (
    CameraSettings,
    DeviceSettings,
    Settings,
    VisionSettings,
    WatchlistSettings,
)
from device.vision import Catalogue, Eye, default_directory
from device.vision.inference import Network
from tools.console import console, notes
from tools.lab.collection import models_of
from tools.lab.people import Person, scene
from tools.lab.random_list import random_list

REPEATS: Final = 5
_FRAMES, _WARM, _VIEWS = 60, 5, 4
_SIZE, _SMALL = (1280, 720), (640, 360)
_PEOPLE: Final = {"nobody": 0, "one face": 1, "five faces": 5}
_SEED, _REFERENCES = 910_000, 500
_VISION: Final = VisionSettings(frame_budget_ms=0)
"""However slow the board is: all faces of a frame are compared in it."""


@dataclass(frozen=True, slots=True)
class Variant:
    """Which protections are on.

    freed: freed memory is overwritten. locked: all memory is kept out of swap. scratch: what the
    networks compute in is found and overwritten; "black": by one more pass instead. frames: the
    camera's buffers are overwritten.
    """

    freed: bool = True
    locked: bool = True
    scratch: str = "found"
    frames: bool = True


VARIANTS: Final = {
    "everything, as it ships": Variant(),
    "freed memory stays as it is": Variant(freed=False),
    "memory not locked": Variant(locked=False),
    "networks' memory stays as it is": Variant(scratch="stays"),
    "networks' memory overwritten by a black picture": Variant(scratch="black"),
    "camera's buffers stay as they are": Variant(frames=False),
    "nothing of it": Variant(freed=False, locked=False, scratch="stays", frames=False),
}


def main(arguments: list[str] | None = None) -> int:
    """Measure all variants, or one."""
    parser = argparse.ArgumentParser(prog="forgetting", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--views", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_measured(VARIANTS[options.one], options.views)))
        return 0
    figures = costs(options.repeats)
    show(figures)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    return 0


def costs(repeats: int = REPEATS) -> dict[str, dict[str, list[float]]]:
    """Return CPU milliseconds per frame: variant → scene → one figure per repeat, interleaved."""
    found: dict[str, dict[str, list[float]]] = {
        name: {place: [] for place in _PEOPLE} for name in VARIANTS
    }
    with (
        tempfile.TemporaryDirectory(prefix="p") as folder,
        Progress(console=notes, transient=True) as progress,
    ):
        views = Path(folder) / "views.npz"
        np.savez(views, **_views())  # type: ignore[arg-type]
        task = progress.add_task("what forgetting costs", total=repeats * len(VARIANTS))
        for _ in range(repeats):
            for name, variant in VARIANTS.items():
                for place, value in _in_a_process(name, variant, views).items():
                    found[name][place].append(value)
                progress.advance(task)
    return found


def show(figures: dict[str, dict[str, list[float]]]) -> None:
    """Print milliseconds and the ratio to a process that forgets nothing."""
    table = Table("protections", *_PEOPLE, title="CPU ms per frame, median (lowest–highest), ratio")
    base = figures["nothing of it"]
    for name, places in figures.items():
        cells = []
        for place, values in places.items():
            middle = statistics.median(values)
            ratio = middle / statistics.median(base[place])
            cells.append(f"{middle:.2f} ({min(values):.2f}–{max(values):.2f}) ×{ratio:.2f}")
        table.add_row(name, *cells)
    console.print(table)


def _in_a_process(name: str, variant: Variant, views: Path) -> dict[str, float]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    if variant.freed:
        environment = restarted_with(environment) or environment
    command = [sys.executable, "-m", "tools.lab.forgetting", "--one", name]
    command += ["--views", str(views)]
    done = subprocess.run(  # noqa: S603 - our own module
        command, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise PasserbyError(f"The benchmark of forgetting failed: {done.stderr[-300:]}")
    values: dict[str, float] = json.loads(done.stdout)
    return values


def _measured(variant: Variant, views: Path) -> dict[str, float]:
    if variant.freed:
        overwrite_what_is_freed()
    if variant.locked and (refused := lock_process()) is not None:
        raise PasserbyError(refused)
    catalogue = Catalogue.read(default_directory())
    models = models_of(catalogue, "built-in")
    _as_the_variant_says(variant)
    eye = Eye.open(catalogue, models, _VISION)
    nobody = random_list(_REFERENCES, eye, np.random.default_rng(1))
    gallery = Gallery(nobody, eye.embedder_entry.sha256)
    settings = Settings(
        DeviceSettings("bench", "bench", demonstration=True),
        CameraSettings("picamera2"),
        WatchlistSettings(""),
        models=models,
        vision=_VISION,
    )
    with np.load(views) as shown:
        return {
            place: _milliseconds(Recogniser(eye, gallery, settings), shown, place, variant)
            for place in _PEOPLE
        }


def _as_the_variant_says(variant: Variant) -> None:
    """Take the protection of the networks' memory out of this process, before a model is opened."""
    find = Network.find_scratch
    if variant.scratch == "stays":
        Network.wipe = _nothing  # type: ignore[method-assign, assignment]
    elif variant.scratch == "black":
        Network.find_scratch = lambda self, taken: find(self, taken[:0])  # type: ignore[method-assign]


def _nothing(*_: object) -> None:
    """Leave what was computed where it is."""


def _milliseconds(
    recogniser: Recogniser, views: Mapping[str, Pixels], place: str, variant: Variant
) -> float:
    main, lores = (np.zeros((h * 3 // 2, w), np.uint8) for w, h in (_SIZE, _SMALL))
    large, small = views[f"{place}, main"], views[f"{place}, lores"]

    def wipe() -> None:
        main.fill(0)
        lores.fill(0)

    spent, compared = 0.0, 0
    for number in range(_WARM + _FRAMES):
        main[:], lores[:] = large[number % len(large)], small[number % len(small)]
        frame = Frame(
            number,
            time.time_ns(),
            # Longer than a track outlives its face, and every other view is mirrored: each frame
            # shows new passers-by, and each of them is compared.
            float(number),
            Picture(lores, *_SMALL, PixelFormat.I420),
            Picture(main, *_SIZE, PixelFormat.I420),
            release=wipe if variant.frames else _nothing,
        )
        begun = time.process_time()
        recogniser.process(frame, lambda *_: None)
        frame.release()
        if number >= _WARM:
            spent += time.process_time() - begun
            compared += recogniser.compared
    if compared != _PEOPLE[place] * _FRAMES:
        raise PasserbyError(
            f"The benchmark of forgetting compared {compared} faces of {_PEOPLE[place] * _FRAMES}: "
            "its figures mean nothing."
        )
    return 1000 * spent / _FRAMES


def _views() -> dict[str, Pixels]:
    """Render four noisy frames of each scene: main and lores, (4, height * 3 / 2, width) uint8.

    Every other one is mirrored, so that something moves in each.
    """
    rng = np.random.default_rng(2)
    found = {}
    for place, people in _PEOPLE.items():
        walkers = [Person.from_seed(_SEED + number) for number in range(max(1, people))]
        picture = scene(walkers, 3, _SIZE).image
        if not people:
            picture = np.full_like(picture, 120)
        large, small = [], []
        for _ in range(_VIEWS):
            picture = np.ascontiguousarray(picture[:, ::-1])
            noise = rng.integers(-3, 4, picture.shape) if people else 0
            noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
            shrunk = cv2.resize(noisy, _SMALL, interpolation=cv2.INTER_AREA)
            large.append(cv2.cvtColor(noisy, cv2.COLOR_BGR2YUV_I420))
            small.append(cv2.cvtColor(shrunk, cv2.COLOR_BGR2YUV_I420))
        found[f"{place}, main"] = np.stack(large).astype(np.uint8)
        found[f"{place}, lores"] = np.stack(small).astype(np.uint8)
    return found


if __name__ == "__main__":
    sys.exit(main())

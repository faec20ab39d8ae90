"""`passerby-lab bench`: speed and memory of this machine, as a first plain benchmark.

Steps alone (CPU milliseconds per call, interleaved, medians of repeats), and `passerby run` itself
on a looping clip: seconds until ready, memory after the start and after N frames, clean stop. What
forgetting costs is in `tools.lab.forgetting`.
"""

import argparse
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from rich.progress import Progress
from rich.table import Table

from device import __version__
from device.capture import Picture
from device.errors import CameraError, PasserbyError
from device.files import write_atomically
from device.matching import Gallery, Limits, compare
from device.opencv import cv2
from device.protocol.identifiers import utc_text
from device.protocol.watchlist import encode_list
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, Probe, default_directory
from device.vision.geometry import template_points
from device.vision.motion import MotionGate
from tools.console import console, notes
from tools.lab import forgetting
from tools.lab.collection import models_of
from tools.lab.random_list import random_list, unit

_REPEATS = 7
_CALLS = 20
_LIST_SIZES = (100, 1000, 2000)
_CLIP = Path("video/asl_A_help.mkv")
_STATUS_FRAMES = "frames="


def run(options: argparse.Namespace) -> int:
    """Measure, print, and write bench.json; 0 when the run stopped cleanly."""
    catalogue = Catalogue.read(default_directory())
    eye = Eye.open(catalogue, ModelSettings(), VisionSettings())
    ours = Eye.open(catalogue, models_of(catalogue, "built-in"), VisionSettings())
    entries = [each for both in (eye, ours) for each in (both.detector_entry, both.embedder_entry)]
    versions = {
        "passerby": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runtime": str(eye.runtime),
        "models": {entry.name: entry.sha256 for entry in entries},
    }
    console.print(", ".join(f"{key} {value}" for key, value in versions.items()), markup=False)
    steps = _steps(eye, ours)
    _print_steps(steps)
    costs = forgetting.costs()
    forgetting.show(costs)
    whole = _whole(options.data / _CLIP, eye, options.frames)
    for key, value in whole.items():
        console.print(f"{key}: {value}", markup=False)
    options.out.mkdir(parents=True, exist_ok=True)
    record = {
        "at": utc_text(time.time_ns()),
        "versions": versions,
        "steps_ms": steps,
        "forgetting_ms": costs,
        "run": whole,
    }
    write_atomically(options.out / "bench.json", msgspec.json.encode(record), mode=0o644)
    return 0 if whole.get("exit code", 0) == 0 else 1


def _steps(eye: Eye, ours: Eye) -> dict[str, list[float]]:
    """Return CPU milliseconds per call of each step, one figure per repeat, interleaved.

    ours: the built-in models, beside the operational ones.
    """
    rng = np.random.default_rng(1)
    main = Picture.of_bgr(rng.integers(0, 255, (1296, 2304, 3), np.uint8))
    # Smooth, as most of a street is; pure noise would make the detector see a thousand faces.
    lores = Picture.of_bgr(np.full((360, 640, 3), 120, np.uint8))
    gate = MotionGate(0.002)
    landmarks = template_points(200) + np.float32(500)
    sample, small = (each.aligner.align(main, landmarks) for each in (eye, ours))
    calls: dict[str, Callable[[], object]] = {
        "motion gate, 640×360": lambda: gate.moved(lores),
        f"detect, {eye.detector_entry.name}": lambda: eye.detector.detect(lores, 2304),
        "align one face": lambda: eye.aligner.align(main, landmarks),
        f"embed, {eye.embedder_entry.name}": lambda: eye.embedder.embed(sample),
        f"detect, {ours.detector_entry.name}": lambda: ours.detector.detect(lores, 2304),
        f"embed, {ours.embedder_entry.name}": lambda: ours.embedder.embed(small),
    }
    limits = Limits(0.45, 0.03, "bench")
    dimension = eye.embedder.dimension
    for size in _LIST_SIZES:
        gallery = Gallery(random_list(size, eye, rng), eye.embedder_entry.sha256)
        probe = Probe(unit(rng, dimension))
        calls[f"compare with {size:,}"] = lambda g=gallery, p=probe: compare(g, p, limits)  # type: ignore[misc]
    results: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(_REPEATS):
        for name, call in calls.items():
            begun = time.process_time()
            for _ in range(_CALLS):
                call()
            results[name].append((time.process_time() - begun) * 1000 / _CALLS)
    return results


def _print_steps(steps: dict[str, list[float]]) -> None:
    table = Table("step", "CPU ms, median", "lowest", "highest", title="one thread")
    for name, values in steps.items():
        figures = (statistics.median(values), min(values), max(values))
        table.add_row(name, *(f"{value:.3f}" for value in figures))
    console.print(table)


def _whole(clip: Path, eye: Eye, frames: int) -> dict[str, object]:
    """Run `passerby run` on a looping clip until it has processed `frames` frames."""
    if not clip.is_file():
        return {"passerby run": f"skipped: {clip} is not here (DATA=FOLDER)"}
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        watchlist = random_list(1000, eye, np.random.default_rng(2))
        (work / "list.bin").write_bytes(encode_list(watchlist))
        (work / "device.toml").write_text(_CONFIGURATION.format(clip=clip.resolve()), "utf-8")
        command = [sys.executable, "-m", "device.cli.main", "--verbose", "run"]
        command += ["--config", str(work / "device.toml"), "--ledger"]
        with (work / "log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - our own module
                command, stdout=subprocess.PIPE, stderr=log, text=True
            )
            try:
                return _observe(process, work / "log", frames)
            finally:
                process.kill()


def _observe(process: "subprocess.Popen[str]", log: Path, frames: int) -> dict[str, object]:
    begun = time.monotonic()
    while "ready after" not in log.read_text("utf-8"):
        if process.poll() is not None or time.monotonic() - begun > 60:  # noqa: PLR2004 - seconds
            raise CameraError(f"passerby run did not start: {log.read_text('utf-8')[-300:]}")
        time.sleep(0.01)
    ready = log.read_text("utf-8").partition("ready after ")[2].split()[0]
    memory = [_rss_mb(process.pid)]
    at_frames = [0]
    with Progress(console=notes, transient=True) as progress:
        task = progress.add_task("frames", total=frames)
        while (done := _frames_read(log)) < frames:
            if process.poll() is not None:
                raise PasserbyError(f"passerby run ended: {log.read_text('utf-8')[-300:]}")
            progress.update(task, completed=done)
            time.sleep(1.0)
            memory.append(_rss_mb(process.pid))
            at_frames.append(_frames_read(log))
    cpu_s = _cpu_s(process.pid)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    early = next(m for m, n in zip(memory, at_frames, strict=True) if n >= frames // 10)
    return {
        "ready after": f"{ready} s",
        "frames": at_frames[-1],
        "CPU per frame": f"{1000 * cpu_s / max(1, at_frames[-1]):.2f} ms",
        "memory at start": f"{memory[0]:.1f} MB",
        "memory after a tenth of the frames": f"{early:.1f} MB",
        "memory at the end": f"{memory[-1]:.1f} MB",
        "memory at most": f"{max(memory):.1f} MB",
        "exit code": process.returncode,
        "ledger": output.strip().splitlines(),
    }


def _frames_read(log: Path) -> int:
    """Return the newest frame count of the log (--verbose prints one now and then)."""
    _, found, rest = log.read_text("utf-8").rpartition(_STATUS_FRAMES)
    return int(rest.split()[0]) if found else 0


def _rss_mb(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text("ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith(("model name", "Model")):
            return line.partition(":")[2].strip()
    return platform.machine()


_CONFIGURATION = """
[device]
site = "bench"
id = "bench"
state_directory = "state"
demonstration = true

[camera]
kind = "video"
path = "{clip}"
pace = "fast"
loop = true

[watchlist]
path = "list.bin"

[broker]
host = "127.0.0.1"
port = 9
tls = false
"""

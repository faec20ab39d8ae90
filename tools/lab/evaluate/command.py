"""The command: reads a manifest, evaluates, writes the JSON, the page and the statement."""

import argparse
import platform
from pathlib import Path

import msgspec
import numpy as np

from device import __version__
from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from device.opencv import cv2
from device.vision import Catalogue, default_directory
from tools.console import console
from tools.lab.evaluate.evaluation import evaluate
from tools.lab.evaluate.figures import text_of
from tools.lab.evaluate.gathering import Cache, Gatherer
from tools.lab.evaluate.material import Data, Work
from tools.lab.evaluate.page import page_of
from tools.lab.evaluate.pipeline import Chosen, Pipeline
from tools.lab.evaluate.plan import REQUIRED_COLUMNS, plan_of
from tools.lab.evaluate.report import Evaluation
from tools.lab.evaluate.verification import pairs_in
from tools.lab.manifest import MANIFEST, read_manifest_file

_BOXES = "boxes.csv"
_PAIRS = "pairs*.csv"
_LONGEST_LIST = 100_000


def run(options: argparse.Namespace) -> int:
    """Evaluate and write; 0 when all was written."""
    sizes = _sizes(options.sizes)
    outputs = [path for path in (options.json, options.html, options.statement) if path]
    if not outputs:
        raise ConfigurationError("Name at least one of --json, --html and --statement.")
    for path in outputs:
        if not path.absolute().parent.is_dir():
            raise StorageError(f"The folder of {path} does not exist; make it first.")
    data = _data(options.manifest, options.pairs)
    catalogue = Catalogue.read(default_directory())
    chosen = Chosen(options.detector, options.embedder, options.attack_detector)
    pipeline = Pipeline.open(catalogue, options.models, chosen)
    gatherer = Gatherer(pipeline, Cache(options.cache, pipeline.fingerprint))
    work = Work(pipeline, gatherer, data)
    evaluation = evaluate(work, sizes, _environment(pipeline))
    _write(evaluation, options)
    _say(evaluation)
    return 0


def _data(manifest: Path, pairs: Path | None) -> Data:
    file = manifest / MANIFEST if manifest.is_dir() else manifest
    items = read_manifest_file(file, REQUIRED_COLUMNS)
    plan = plan_of(items, file)
    boxes = file.parent / _BOXES
    found = sorted(file.parent.glob(_PAIRS)) if pairs is None else [pairs]
    if len(found) > 1:
        raise ConfigurationError(
            f"Several files of pairs lie beside {file}: name one of them with --pairs."
        )
    return Data(
        manifest=file,
        items=items,
        plan=plan,
        pairs=pairs_in(found[0]) if found else [],
        boxes=boxes if boxes.is_file() else None,
    )


def _sizes(text: str) -> list[int]:
    try:
        sizes = sorted({int(part) for part in text.split(",") if part.strip()})
    except ValueError as error:
        raise ConfigurationError("--sizes takes whole numbers, as 100,500,2000.") from error
    if any(not 2 <= size <= _LONGEST_LIST for size in sizes):  # noqa: PLR2004 - a list of one is none
        raise ConfigurationError(f"--sizes takes numbers from 2 to {_LONGEST_LIST:,}.")
    return sizes


def _environment(pipeline: Pipeline) -> dict[str, str]:
    return {
        "passerby": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runtime": pipeline.runtime,
        "machine": platform.machine(),
    }


def _write(evaluation: Evaluation, options: argparse.Namespace) -> None:
    """Make everything before anything is written, so that no half of it is left."""
    made: list[tuple[Path, bytes]] = []
    if options.json:
        made.append((options.json, _pretty(evaluation)))
    if options.statement:
        made.append((options.statement, _pretty(evaluation.statement)))
    if options.html:
        made.append((options.html, page_of(evaluation).encode()))
    for path, content in made:
        write_atomically(path, content, mode=0o644)
        console.print(f"written: {path}", markup=False)


def _pretty(value: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _say(evaluation: Evaluation) -> None:
    for figures in evaluation.identification:
        whole = " (the whole gallery)" if figures.whole_gallery else ""
        for point in figures.points:
            console.print(
                f"list of {figures.list_size:,}{whole}: FPIR {point.target_fpir:g} at "
                f"{point.threshold:.4f}, TPIR {text_of(point.tpir)}",
                markup=False,
            )
    for missing in evaluation.missing_sizes:
        console.print(f"list of {missing.list_size:,}: not evaluated: {missing.why}", markup=False)
    for threshold in evaluation.statement.thresholds:
        if threshold.whole_gallery:
            console.print(threshold.words, markup=False)

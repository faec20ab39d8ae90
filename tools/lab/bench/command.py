"""`passerby-lab bench`: measures what was asked, part by part; writes the record and the page."""

import argparse
import json
import signal
import time
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any, Final

from rich.markup import escape

from device.errors import ConfigurationError, PasserbyError
from device.files import write_atomically
from device.vision import Catalogue, default_directory
from tools.console import console, notes
from tools.lab.bench.arguments import PAGE
from tools.lab.bench.costs import costs, stage_shares
from tools.lab.bench.estimate import (
    PUBLISHED,
    Estimate,
    Range,
    factors,
    of_code,
    of_network,
    total,
)
from tools.lab.bench.macs import mmac_of
from tools.lab.bench.page import page
from tools.lab.bench.page_peers import OURS, contested
from tools.lab.bench.parts import BOARD, PARTS, Measuring
from tools.lab.bench.record import Record, read_record

_QUICK_MINUTES, _MINUTES = 0.5, 2.0
_MOST_MINUTES: Final = 24 * 60
_NETWORKS: Final = {"detect": "detect, ", "second look": "detect, ", "embed": "embed, "}
"""Stages of a frame that are a network's, and what its step's name begins with."""


def run(options: argparse.Namespace) -> int:
    """Measure, print, write; 0 when every part that was asked for was measured."""
    _check(options)
    # Whoever ends this program ends what it started, and real clips do not stay on the disk.
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _join(options) if options.page else _measure(options)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _join(options: argparse.Namespace) -> int:
    joined = Record(options.out)
    for path in options.page:
        joined.join(read_record(path))
    _estimate(joined)
    write_page(joined.path, read_record(joined.path), docs=options.docs)
    return 0


def _measure(options: argparse.Namespace) -> int:
    record = Record(options.out)
    with_ = _measuring(options, record)
    missing = [name for name in _wanted(options) if not _measured(name, with_, record)]
    _estimate(record)
    write_page(record.path, read_record(record.path), docs=options.docs)
    return 1 if missing else 0


def _estimate(record: Record) -> None:
    found = read_record(record.path)
    if "steps" in found and "anchors" in found:
        record.add("published", PUBLISHED)
        record.add("estimate", estimates(found))


def _check(options: argparse.Namespace) -> None:
    if options.repeats < 1:
        raise ConfigurationError("--repeats takes a whole number from 1.")
    if not 0 < options.soak <= _MOST_MINUTES:
        raise ConfigurationError(f"--soak takes minutes above 0, up to {_MOST_MINUTES}.")
    unknown = [name for name in options.only or [] if name not in PARTS]
    if unknown:
        raise ConfigurationError(f'No part is called "{unknown[0]}": {"; ".join(PARTS)}.')


def _wanted(options: argparse.Namespace) -> list[str]:
    if options.only:
        return ["machine", *(name for name in PARTS if name in options.only and name != "machine")]
    if options.board:
        return list(BOARD)
    if options.quick:
        return [*BOARD, "forgetting", "twenty", "memory", "soak"]
    return list(PARTS)


def _measuring(options: argparse.Namespace, record: Record) -> Measuring:
    short = options.quick or options.board
    return Measuring(
        cache=options.cache or options.out / "clips",
        repeats=options.repeats,
        soak_minutes=_MINUTES if short else options.soak,
        minutes=_QUICK_MINUTES if short else _MINUTES,
        data=options.data,
        peer_models=options.peer_models,
        peers=options.peers,
        absent=record.leave_out,
    )


def _measured(name: str, with_: Measuring, record: Record) -> bool:
    console.rule(escape(name))
    begun = time.monotonic()
    try:
        record.add(name, PARTS[name](with_))
    except PasserbyError as error:
        console.print(f"[yellow]{escape(name)} is left out:[/yellow] {escape(str(error))}")
        record.leave_out(name, str(error))
        # Nobody needs real clips to have measured.
        return name == "filmed" and with_.data is None
    notes.print(f"  {time.monotonic() - begun:.0f} s", markup=False)
    return True


def write_page(record: Path, found: dict[str, Any], *, docs: bool = False) -> None:
    """Write a record's page beside it, and where it belongs if asked."""
    text = page(found)
    console.print(text, markup=False)
    files = {record.with_name("benchmarks.md"): text.encode()}
    if docs:
        files |= {PAGE: text.encode(), PAGE.with_suffix(".json"): published(found)}
    for place, content in files.items():
        write_atomically(place, content, mode=0o644)
        console.print(f"{place} is written.", markup=False)


def published(found: dict[str, Any]) -> bytes:
    """Return a record without what was noted of single frames and seconds: all runs stay.

    The whole of it is too much for a repository.
    """
    kept = json.loads(json.dumps(found))
    for section in kept.values():
        if isinstance(section, dict):
            for name in ("frames", "glances", "waiting"):
                section.get("seen", {}).pop(name, None)
            for stretch in section.get("seen", {}).get("schedule", {}).get("stretches", []):
                # Where a machine keeps its clips is nobody's business.
                stretch["clip"] = Path(stretch["clip"]).name
            for raw in section.get("runs", []):
                raw["run"].pop("frame_ms", None)
    return json.dumps(kept, separators=(",", ":")).encode() + b"\n"


def estimates(found: dict[str, Any]) -> dict[str, Estimate]:
    """Return a Pi's ranges for the networks, and for a frame of each clip of the ablation."""
    slower = factors(found["anchors"])
    networks = _networks(found["steps"], slower)
    estimated = dict(networks)
    contest = contested(found, "ablation")
    if contest is None or not slower:
        return estimated
    for cost in costs(contest, OURS):
        if cost.contestant != OURS:
            continue
        parts = []
        for stage, share in stage_shares(contest, "ours-stages", cost.clip).items():
            here_ms = share.median * cost.cpu_ms.median
            parts.append(_stage(stage, here_ms, networks, slower))
        estimated[f"a frame of the clip “{cost.clip}”"] = total(parts)
    return estimated


def _networks(steps: dict[str, list[float]], slower: list[Range]) -> dict[str, Estimate]:
    catalogue = Catalogue.read(default_directory())
    found = {}
    for entry in catalogue.entries:
        step = next((name for name in steps if name.endswith(f", {entry.name}")), None)
        if step is not None:
            here_ms = median(steps[step])
            found[step] = of_network(here_ms, mmac_of(catalogue.path(entry)), slower)
    return found


def _stage(
    stage: str, here_ms: float, networks: dict[str, Estimate], slower: list[Range]
) -> Estimate:
    """Scale a stage as the network that it is, or as other code."""
    begin = _NETWORKS.get(stage)
    network = next(
        (each for name, each in networks.items() if begin and name.startswith(begin)), None
    )
    if network is None:
        return of_code(here_ms, slower) or Estimate(here_ms, None, Range(0, 0), Range(0, 0))
    factor = here_ms / network.here_ms
    scale = Range(factor, factor)
    return Estimate(here_ms, None, network.pi4_ms.times(scale), network.pi5_ms.times(scale))

"""Measures the whole appliance, or a part of it alone.

python -m tools.lab.bench.live --only ready --cache DIR [--minutes M] [--json FILE]
"""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import msgspec

from device.errors import ConfigurationError
from device.files import write_atomically
from device.vision import Catalogue, default_directory
from tools.console import console, given, guarded, notes
from tools.lab.bench.live.said import lines
from tools.lab.bench.live.workloads import Bench, latency, of_2000, ready, soak, twenty
from tools.lab.collection import models_of

_MOST_MINUTES: Final = 24 * 60


def _latencies(bench: Bench, minutes: float) -> dict[str, Any]:
    return {
        "latency": latency(bench, minutes, shown="returning"),
        "latency, x25519": latency(bench, minutes, suite="x25519", shown="returning"),
        "latency, cover": latency(bench, minutes, cover="constant", shown="returning"),
    }


def _starts(bench: Bench, minutes: float) -> dict[str, Any]:
    starts = max(1, round(minutes))
    larger = msgspec.structs.replace(bench, list_size=2000)
    return {"ready": ready(bench, starts), "ready, 2000": ready(larger, starts)}


_PARTS: Final[dict[str, tuple[float, Callable[[Bench, float], dict[str, Any]]]]] = {
    "ready": (10, _starts),
    "memory": (1, lambda bench, minutes: {"memory": of_2000(bench, minutes)}),
    "twenty": (2, lambda bench, minutes: {"twenty": twenty(bench, minutes)}),
    "latency": (10, _latencies),
    "soak": (30, lambda bench, minutes: {"soak": soak(bench, minutes)}),
}
"""Minutes by default (of "ready": starts), and what to call."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.lab.bench.live", description="Measures the whole appliance."
    )
    parser.add_argument("--only", choices=[*_PARTS], action="append", help="this part; repeatable")
    parser.add_argument(
        "--minutes", type=float, metavar="M", help='of each part; of "ready": how many starts'
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples here")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="where rendered clips are kept")
    parser.add_argument("--models", choices=["operational", "built-in"], default="operational")
    parser.add_argument("--references", type=int, default=500, metavar="N", help="on the list")
    options = parser.parse_args(given("python -m tools.lab.bench.live", arguments))
    # Whoever ends this program ends what it started.
    signal.signal(signal.SIGTERM, _interrupt)
    return guarded("bench", lambda: _measure(options))


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _measure(options: argparse.Namespace) -> int:
    if options.minutes is not None and not 0 < options.minutes <= _MOST_MINUTES:
        raise ConfigurationError(f"--minutes takes a number above 0, up to {_MOST_MINUTES}.")
    with tempfile.TemporaryDirectory(prefix="passerby-clips-") as temporary:
        bench = Bench(
            options.cache or Path(temporary),
            models_of(Catalogue.read(default_directory()), options.models),
            options.references,
            lambda words: notes.print(words, markup=False),
        )
        found: dict[str, Any] = {}
        for name in options.only or _PARTS:
            minutes, measure = _PARTS[name]
            for part, result in measure(bench, options.minutes or minutes).items():
                found[part] = result
                console.print("\n".join([part, *lines(result)]), markup=False, highlight=False)
                if options.json:
                    content = msgspec.json.encode(found)
                    write_atomically(options.json, content, mode=0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""What `passerby-lab bench` takes; no library is loaded for it."""

import argparse
from pathlib import Path
from typing import Final

REPEATS: Final = 5
SOAK_MINUTES: Final = 30.0
PAGE: Final = Path("docs/benchmarks.md")


def bench_arguments(command: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = command.add_argument
    add("--out", type=Path, default=Path("bench-output"), metavar="DIR")
    add("--data", type=Path, metavar="DIR", help="a data set with real clips: docs/data.md")
    add("--only", action="append", metavar="PART", help="a part of bench.json; repeatable")
    add("--repeats", type=int, default=REPEATS, metavar="N", help="default %(default)s")
    add("--quick", action="store_true", help="without peers, a soak of two minutes")
    add("--board", action="store_true", help="what a technician sends back from a real board")
    add("--soak", type=float, default=SOAK_MINUTES, metavar="MINUTES", help="default %(default)s")
    add("--docs", action="store_true", help=f"also write {PAGE} and {PAGE.with_suffix('.json')}")
    add(
        "--page",
        type=Path,
        nargs="+",
        metavar="RECORD",
        help="measure nothing: join these bench.json files, which ran apart, in OUT",
    )
    add("--cache", type=Path, metavar="DIR", help="of rendered clips, default OUT/clips")
    add("--peer-models", type=Path, default=Path("../shared/models/upstream"), metavar="DIR")
    add(
        "--peers",
        type=Path,
        default=Path(".venv-peers/bin/python"),
        metavar="PYTHON",
        help="that has the peers' libraries (make venv-peers), default %(default)s",
    )

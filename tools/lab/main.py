"""`passerby-lab`: reads the arguments and calls a command."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from device import __version__
from device.errors import ConfigurationError
from tools.console import guarded

_COMMANDS = {
    "demo": "enrol, watch, alert, on real faces; nothing to install",
    "acceptance": "enrol a data set and count what is found, missed and wrongly raised",
    "attack": "how often prints and screens pass for people, and people for those",
    "bench": "speed and memory of this machine",
    "distances": "how many pixels a face has at which distance",
    "edgetpu-check": "name the operations of .tflite files that the Edge TPU does not run",
    "train": "teach the built-in models (an environment of its own: make venv-train)",
    "broker": "an embedded MQTT broker for demonstrations, on this machine only",
}
TRAINING_SUBJECTS = ("embedder", "detector", "export", "watch", "curves")
DEFAULT_DATA = Path("../shared/data/faces")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `passerby-lab` and return its exit code."""
    options = _parser().parse_args(arguments)
    return guarded(f"passerby-lab {options.command}", lambda: _run(options))


def _run(options: argparse.Namespace) -> int:
    try:
        # Loaded late: each command has libraries of its own.
        module = import_module(f"tools.lab.{options.command.replace('-', '_')}")
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{error.name} is not installed: this command needs the development environment "
            "(`make venv`)."
        ) from error
    return int(module.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passerby-lab", description="Programs for engineers: demonstrate, measure, prove."
    )
    parser.add_argument("--version", action="version", version=f"passerby {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, meaning in _COMMANDS.items():
        command = commands.add_parser(name, help=meaning, description=meaning)
        if name in {"demo", "acceptance", "attack", "bench", "distances"}:
            command.add_argument(
                "--data",
                type=Path,
                default=DEFAULT_DATA,
                metavar="DIR",
                help="a folder with manifest.csv (docs/data.md), default %(default)s",
            )
        if name in {"demo", "acceptance", "bench"}:
            command.add_argument("--out", type=Path, default=Path(f"{name}-output"), metavar="DIR")
        if name == "attack":
            command.add_argument("--detector", metavar="NAME", help="of models.toml; its first")
            command.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
        if name == "bench":
            command.add_argument("--frames", type=int, default=10_000, metavar="N")
        if name == "edgetpu-check":
            command.add_argument("files", type=Path, nargs="+", metavar="FILE")
        if name == "train":
            command.add_argument(
                "subject", choices=("embedder", "detector", "export", "watch", "curves")
            )
            command.add_argument("rest", nargs=argparse.REMAINDER, help="see train SUBJECT --help")
        if name == "broker":
            command.add_argument("--port", type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())

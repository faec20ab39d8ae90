"""`passerby-lab`: reads the arguments and calls a command."""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from device import __version__
from device.errors import ConfigurationError
from tools.console import given, guarded
from tools.lab.bench.arguments import bench_arguments

_COMMANDS = {
    "demo": "enrol, watch, alert, on rendered people; on real clips with --data",
    "acceptance": "enrol a data set and count what is found, missed and wrongly raised",
    "evaluate": "how often the device is wrong, and for whom: figures, a page, thresholds to sign",
    "steps": "what each step beyond the plain pipeline is worth, on one data set",
    "attack": "how often prints and screens pass for people, and people for those",
    "render": "draw a data set of people who do not exist, to evaluate without any real face",
    "people": "draw people who do not exist, and say what a detector and an embedder see in them",
    "protection": "attacks on the sealed watchlist's templates, and what protecting them costs",
    "bench": "speed, memory and accuracy of this machine, beside other people's pipelines",
    "distances": "how many pixels a face has at which distance",
    "convert": "turn published models into .tflite files and recipes",
    "edgetpu-check": "name the operations of .tflite files that the Edge TPU does not run",
    "train": "teach the built-in models (an environment of its own: make venv-train)",
    "broker": "an embedded MQTT broker for demonstrations, on this machine only",
}
TRAINING_SUBJECTS = (
    "embedder",
    "detector",
    "detector_check",
    "detector_export",
    "detector_proof",
    "export",
    "watch",
    "curves",
)
DEFAULT_DATA = Path("../shared/data/faces")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `passerby-lab` and return its exit code."""
    options = _parser().parse_args(given("passerby-lab", arguments))
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
        if name in {"acceptance", "attack", "distances", "steps"}:
            command.add_argument(
                "--data",
                type=Path,
                default=DEFAULT_DATA,
                metavar="DIR",
                help="a folder with manifest.csv (docs/data.md), default %(default)s",
            )
        if name in {"demo", "acceptance"}:
            command.add_argument("--out", type=Path, default=Path(f"{name}-output"), metavar="DIR")
        if name == "attack":
            command.add_argument("--detector", metavar="NAME", help="of models.toml; its first")
            command.add_argument("--json", type=Path, metavar="OUT", help="write the figures here")
        if name == "steps":
            command.add_argument(
                "--models", choices=("operational", "built-in"), default="operational"
            )
            command.add_argument("--json", type=Path, metavar="OUT", help="write the table here")
        if name in _ARGUMENTS:
            _ARGUMENTS[name](command)
        if name == "train":
            command.add_argument("subject", choices=TRAINING_SUBJECTS)
            command.add_argument("rest", nargs=argparse.REMAINDER, help="see train SUBJECT --help")
        if name == "broker":
            command.add_argument("--port", type=int, required=True)
    return parser


def _evaluation_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--manifest", type=Path, required=True, metavar="FILE", help="see docs/evaluation.md")
    add("--models", choices=("operational", "built-in"), default="operational")
    add("--json", type=Path, metavar="OUT", help="write all figures here")
    add("--html", type=Path, metavar="OUT", help="write a page for people here")
    add("--statement", type=Path, metavar="OUT", help="write the threshold statement alone here")
    add(
        "--sizes",
        default="100,500,2000",
        metavar="N,N",
        help="list sizes beside the whole gallery, default %(default)s",
    )
    add("--detector", default="", metavar="NAME", help="of that collection; default its usual one")
    add("--embedder", default="", metavar="NAME", help="likewise")
    add("--attack-detector", default="", metavar="NAME", help="of models.toml; default none")
    add("--pairs", type=Path, metavar="FILE", help="default: pairs*.csv beside the manifest")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="a private folder for templates, to evaluate again sooner; default none",
    )


def _convert_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--from",
        dest="source",
        type=Path,
        default=Path("../shared/models/upstream"),
        metavar="DIR",
        help="the published files, default %(default)s",
    )
    command.add_argument(
        "--faces",
        type=Path,
        default=Path("../shared/data/train"),
        metavar="DIR",
        help="faces to calibrate and to measure on, default %(default)s",
    )
    command.add_argument(
        "--out", type=Path, default=Path("convert-output"), metavar="DIR", help="what is written"
    )
    command.add_argument("--only", action="append", metavar="NAME", help="this model; repeatable")
    command.add_argument(
        "--measure", action="store_true", help="compare the models in --out with the float graphs"
    )


def _protection_arguments(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add(
        "--data",
        type=Path,
        default=DEFAULT_DATA,
        metavar="DIR",
        help="a folder with manifest.csv, default %(default)s; rendered people where there is none",
    )
    add("--people", type=int, default=300, metavar="N", help="to render, default %(default)s")
    add("--seed", type=int, default=1, help="of the draws; keys and blinding are always fresh")
    add("--json", type=Path, metavar="OUT", help="write all figures here")
    add(
        "--cache",
        type=Path,
        metavar="DIR",
        help="a private folder for templates, to measure again sooner; default none",
    )


def _check_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", type=Path, nargs="+", metavar="FILE")


def _people_arguments(command: argparse.ArgumentParser) -> None:
    walk = 'also write a street as pictures, for camera.kind = "stills"'
    command.add_argument("--walk", action="store_true", help=walk)
    command.add_argument("--out", type=Path, default=Path("people-output"), metavar="DIR")
    command.add_argument("--seed", type=int, default=0, help="of the first person")
    command.add_argument("--identities", type=int, default=100, metavar="N")
    command.add_argument("--detector", metavar="NAME", help="of models.toml")
    command.add_argument("--embedder", metavar="NAME", help="of models.toml")


def _render_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    command.add_argument("--people", type=int, default=100, metavar="N", help="to enrol")
    command.add_argument("--strangers", type=int, default=1000, metavar="N")
    command.add_argument("--seed", type=int, default=500_000, help="of the first person")


def _demo_arguments(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, metavar="DIR", help="real clips: docs/data.md")
    command.add_argument(
        "--models",
        choices=("built-in", "operational"),
        help="built-in by default, operational with --data",
    )


_ARGUMENTS = {
    "demo": _demo_arguments,
    "render": _render_arguments,
    "people": _people_arguments,
    "evaluate": _evaluation_arguments,
    "protection": _protection_arguments,
    "bench": bench_arguments,
    "convert": _convert_arguments,
    "edgetpu-check": _check_arguments,
}


if __name__ == "__main__":
    sys.exit(main())

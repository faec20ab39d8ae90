"""`passerby-desk`: reads the arguments and calls a command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from device import __version__
from tools.console import given, guarded
from tools.desk.arguments import add_gateway
from tools.desk.repository.arguments import add_signing_keys
from tools.desk.rights.arguments import add_rights
from tools.desk.watchlist.arguments import add_watchlist


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `passerby-desk` and return its exit code."""
    options = _parser().parse_args(given("passerby-desk", arguments))
    return guarded("passerby-desk", lambda: int(options.call(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passerby-desk", description="Programs for the police team of a pilot."
    )
    parser.add_argument("--version", action="version", version=f"passerby {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser(
        "enrol",
        help="make an unsigned demonstration list from a folder of photographs",
        description=(
            "Makes an unsigned demonstration watchlist. The folder holds one image, or one "
            "sub-folder of images, per reference; its name is the reference id, so let it be "
            "opaque. What fails the quality gate is left out and reported."
        ),
    )
    command.add_argument("--photos", type=Path, required=True, metavar="DIR")
    command.add_argument("--out", type=Path, required=True, metavar="FILE")
    command.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON too")
    command.add_argument(
        "--strict", action="store_true", help="write no list when anything was rejected"
    )
    command.add_argument("--embedder", default="omz-0095", metavar="NAME")
    command.add_argument("--detector", default="yunet-s-640x480", metavar="NAME")
    command.add_argument("--models", type=Path, metavar="DIR")
    command.set_defaults(call=_enrol)
    add_gateway(commands)
    add_rights(commands)
    add_watchlist(commands)
    add_signing_keys(commands)
    return parser


def _enrol(options: argparse.Namespace) -> int:
    # Loaded late: a gateway must not carry the detector and the embedder with it.
    from device.vision import default_directory  # noqa: PLC0415
    from tools.desk.enrolment import enrol  # noqa: PLC0415

    options.models = options.models or default_directory()
    return enrol(options)


if __name__ == "__main__":
    sys.exit(main())

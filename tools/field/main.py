"""`passerby-field`: reads the arguments and calls a command."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from device import __version__
from device.vision import default_directory
from tools.console import given, guarded
from tools.field.models import fetch, show
from tools.field.pki.commands import add_pki


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `passerby-field` and return its exit code."""
    options = _parser().parse_args(given("passerby-field", arguments))
    return guarded("passerby-field", lambda: int(options.call(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passerby-field", description="Programs for technicians who set up devices."
    )
    parser.add_argument("--version", action="version", version=f"passerby {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_models(commands)
    add_pki(commands)
    return parser


def _add_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    models = commands.add_parser("models", help="the models of a device")
    actions = models.add_subparsers(dest="action", required=True)
    get = actions.add_parser("fetch", help="get and verify models; start again where it stopped")
    get.add_argument(
        "--from",
        dest="mirror",
        metavar="DIR|URL",
        help="a mirror: a folder, or an address under which the files lie",
    )
    get.add_argument("names", nargs="*", metavar="NAME", help="only these; default: all")
    get.set_defaults(call=lambda o: fetch(o.directory, o.mirror, o.names))
    listing = actions.add_parser("list", help="which models there are, and which are here")
    listing.set_defaults(call=lambda o: show(o.directory))
    for action in (get, listing):
        action.add_argument(
            "--directory",
            type=Path,
            default=default_directory(),
            metavar="DIR",
            help="folder with models.toml (default: %(default)s)",
        )


if __name__ == "__main__":
    sys.exit(main())

"""`passerby`: reads the arguments, calls a sub-command, turns errors into one sentence."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from device import __version__
from device.allocator import restarted_with
from device.cli.audit_arguments import add_actions
from device.errors import PasserbyError

_SUB_COMMANDS = ("run", "match", "update", "doctor", "status", "identity", "audit")
_SEE_FACES = ("run", "match")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `passerby` and return its exit code.

    arguments: None for those of the program, which may then start itself once more.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    of_its_own = arguments is None and options.command in _SEE_FACES
    if of_its_own:
        _start_forgetful()
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
    )
    if options.verbose:
        # Of what we wrote ourselves only: a library may log what stands in a picture.
        logging.getLogger("device").setLevel(logging.DEBUG)
    try:
        # A caller's process is not ours to close.
        options.unlocked = _close_memory() if of_its_own else None
        # Loaded late: `passerby status` must not wait for OpenCV and the interpreter.
        command = import_module(f"device.cli.{options.command}")
        return int(command.run(options))
    except PasserbyError as error:
        print(f"passerby {options.command}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("passerby: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; that is no fault of ours.
        sys.stderr.close()
        return 0


def _start_forgetful() -> None:
    """Start this program anew, in the same process, so that freed memory is overwritten (R13).

    The C library reads its switches only at the start.
    """
    environment = restarted_with(os.environ)
    if environment is None:
        return
    # Compiled modules belong to the installation, which makes them (tools/setup/venv.sh).
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    try:
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)  # noqa: S606
    except (OSError, TypeError, ValueError) as error:
        print(f"passerby: small pieces of memory are not overwritten ({error}).", file=sys.stderr)


def _close_memory() -> str | None:
    # Loaded late: it needs NumPy.
    from device.cli.closing import close_memory  # noqa: PLC0415

    return close_memory()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="passerby",
        description="Compares faces with a short, lawful watchlist and forgets everyone else.",
        epilog="A possible match is not an identification and not the sole ground of any decision.",
    )
    parser.add_argument("--version", action="version", version=f"passerby {__version__}")
    parser.add_argument("--verbose", action="store_true", help="log what happens, without faces")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _SUB_COMMANDS:
        _add(commands, name)
    return parser


def _add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str) -> None:
    if name == "run":
        parser = commands.add_parser("run", help="watch the camera and send alerts")
        _config(parser, required=True)
        parser.add_argument(
            "--ledger", action="store_true", help="print the ledger of counts at the end"
        )
    elif name == "match":
        parser = commands.add_parser(
            "match", help="compare stills and clips with the watchlist; every search is logged"
        )
        parser.add_argument(
            "--watchlist", type=Path, metavar="FILE", help="an unsigned list, in a demonstration"
        )
        parser.add_argument("--purpose", required=True, metavar="TEXT", help="why you search")
        parser.add_argument("--case", required=True, metavar="REF", help="number of the case")
        parser.add_argument("--json", action="store_true", help="print one JSON object per input")
        _config(parser, required=False)
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    elif name == "update":
        parser = commands.add_parser("update", help="verify and install a signed bundle")
        source = parser.add_mutually_exclusive_group(required=True)
        source.add_argument(
            "--from", dest="folder", type=Path, metavar="DIR", help="the mounted stick's folder"
        )
        source.add_argument("--archive", type=Path, metavar="FILE", help="a bundle in one file")
        _config(parser, required=False)
    elif name == "doctor":
        parser = commands.add_parser("doctor", help="check everything; say what to do")
        _config(parser, required=False)
    elif name == "audit":
        add_actions(
            commands.add_parser("audit", help="verify, show or export the log of what was done")
        )
    elif name == "identity":
        parser = commands.add_parser(
            "identity", help="show this device's fingerprint; write its public keys for the desk"
        )
        _config(parser, required=True)
        parser.add_argument("--out", type=Path, metavar="FILE", help="where to write them")
    else:
        parser = commands.add_parser("status", help="say how the appliance on this device is")
        _config(parser, required=False)
        parser.add_argument("--json", action="store_true", help="print the status as JSON")


def _config(parser: argparse.ArgumentParser, *, required: bool) -> None:
    default = "" if required else "; default: /etc/passerby/device.toml where it exists"
    parser.add_argument(
        "--config",
        type=Path,
        required=required,
        metavar="device.toml",
        help=f"the configuration{default}",
    )


if __name__ == "__main__":
    sys.exit(main())

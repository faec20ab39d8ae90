"""`python -m device.bundles.verify install | check …`: one verification, then the process ends.

A process of its own, because tuf costs 24 MB and brings an HTTP library. That library is never
called; so that this is no mere promise, the interpreter itself refuses every socket and every other
program here, from before tuf is loaded. One JSON object goes to the standard output
(`device.bundles.findings`); the exit code is 0 whenever there is one.
"""

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from device.bundles.findings import Answer, Findings, encode_answer
from device.errors import PasserbyError, StorageError

_FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.")


def forbid_network() -> None:
    """Refuse sockets and other programs until this process ends; it cannot be taken back."""
    sys.addaudithook(_refuse)


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event.startswith(_FORBIDDEN):
        raise PermissionError(f"The verification of bundles does without {event}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one order and print its answer."""
    forbid_network()
    os.umask(0o077)
    options = _parser().parse_args(arguments)
    sys.stdout.buffer.write(encode_answer(answer(options)))
    sys.stdout.flush()
    return 0


def answer(options: argparse.Namespace) -> Answer:
    """Return what was found, or why not. Never raises for anything that a bundle holds."""
    try:
        return Answer(found=_done(options))
    except StorageError as error:
        return Answer(refused=str(error), fault="storage")
    except PasserbyError as error:
        return Answer(refused=str(error))
    except OSError as error:
        return Answer(
            refused=f"The state directory cannot be written or read ({error.strerror or error}).",
            fault="storage",
        )
    except Exception as error:  # noqa: BLE001 - whatever a hostile file provokes, it is refused
        traceback.print_exc()
        return Answer(
            refused=f"The bundle is refused: checking it failed ({type(error).__name__}). Tell the "
            "desk, and keep the stick."
        )


def _done(options: argparse.Namespace) -> Findings | None:
    # Loaded late: the walls above must stand before tuf is there.
    work = import_module("device.bundles.work")
    # What tuf buffers on the disk, it buffers in our own folder.
    options.state.mkdir(parents=True, exist_ok=True)
    tempfile.tempdir = str(options.state)
    pinned = work.read_root(options.root)
    found: Findings | None
    if options.order == "check":
        found = work.check(options.state, pinned, options.now_ns)
    else:
        found = work.install(options.source, options.state, pinned, options.now_ns, options.device)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m device.bundles.verify")
    orders = parser.add_subparsers(dest="order", required=True)
    for name in ("install", "check"):
        order = orders.add_parser(name)
        order.add_argument("--state", type=Path, required=True)
        order.add_argument("--root", type=Path, required=True)
        order.add_argument("--now-ns", type=int, required=True)
        if name == "install":
            order.add_argument("--source", type=Path, required=True)
            order.add_argument("--device")
    return parser


if __name__ == "__main__":
    sys.exit(main())

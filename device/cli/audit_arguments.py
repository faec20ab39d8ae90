"""The arguments of `passerby audit`; apart from the command, so that others need not load it."""

import argparse
from pathlib import Path


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add verify, show, export and checkpoint."""
    actions = parser.add_subparsers(dest="action", required=True)
    verify = actions.add_parser(
        "verify", help="find any edit, cut, insertion or reorder, and add up; 1 when one is found"
    )
    _place(verify)
    verify.add_argument(
        "--key", type=Path, metavar="FILE", help="the device's public keys (passerby identity)"
    )
    verify.add_argument(
        "--unsigned", action="store_true", help="check the chain without any key: no proof"
    )
    verify.add_argument(
        "--anchor",
        action="append",
        default=[],
        metavar="SHA256",
        help="hash of a checkpoint, held elsewhere, that must occur; may be repeated",
    )
    verify.add_argument("--json", action="store_true", help="print the report as JSON")
    show = actions.add_parser("show", help="print the newest lines")
    _place(show)
    show.add_argument("--last", type=int, default=20, metavar="N", help="how many; default: 20")
    export = actions.add_parser("export", help="make a signed copy for an auditor")
    _config(export)
    export.add_argument("--out", type=Path, required=True, metavar="FILE")
    export.add_argument(
        "--from", dest="from_at", metavar="TIME", help="2026-01-31 or 2026-01-31T08:00:00Z"
    )
    export.add_argument("--to", dest="to_at", metavar="TIME", help="before this time")
    checkpoint = actions.add_parser(
        "checkpoint", help="set a checkpoint and print its hash, for the desk to hold"
    )
    _config(checkpoint)


def _place(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    _config(place)
    place.add_argument("--log", type=Path, metavar="FILE", help="a copy of a log, or an export")


def _config(parser: "argparse._ActionsContainer") -> None:
    parser.add_argument(
        "--config",
        type=Path,
        metavar="device.toml",
        help="the configuration; default: /etc/passerby/device.toml where it exists",
    )

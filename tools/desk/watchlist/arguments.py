"""The arguments of `passerby-desk watchlist`. Each command is loaded when it is called."""

import argparse
from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path

from tools.desk.watchlist.draft import FIELDS

_ROOM = "tools.desk.watchlist"
_PUBLISHING = "tools.desk.repository.arguments"


def add_watchlist(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `watchlist` and everything below it."""
    watchlist = commands.add_parser(
        "watchlist",
        help="make, review, sign, publish and end a watchlist",
        description="A watchlist that is lawful by construction: docs/watchlist.md.",
    )
    actions = watchlist.add_subparsers(dest="action", required=True)
    _add_keepers(actions)
    _add_new(actions)
    _add_entries(actions)
    _add_upkeep(actions)
    _add_sealing(actions)
    # Without the signing room (a cut installation) a list can still be made and looked at.
    if util.find_spec("tools.desk.repository") and util.find_spec(_PUBLISHING):
        import_module(_PUBLISHING).add_publishing(actions)
        # Publishing writes the manifest, for which the register is read.
        _add_identity(actions.choices["publish"])
    _add_end(actions)


def add_keeper(parser: argparse.ArgumentParser) -> None:
    """Add what opens a deployment: --deployment, --keeper, --keeper-passphrase-file."""
    parser.add_argument("--deployment", type=Path, required=True, metavar="DIR")
    _add_identity(parser)


def _add_identity(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keeper", type=Path, metavar="FILE", help="your identity file")
    _add_passphrase(parser)


def _add_passphrase(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--keeper-passphrase-file",
        type=Path,
        metavar="FILE",
        help="file with its passphrase, mode 0600; without it the keyboard is asked",
    )


def _add_keepers(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keeper = actions.add_parser("keeper", help="who may read names")
    steps = keeper.add_subparsers(dest="step", required=True)
    create = steps.add_parser("create", help="make an identity, and enter it in recipients.txt")
    create.add_argument("--workplace", type=Path, required=True, metavar="DIR")
    create.add_argument("--name", required=True, metavar="OFFICE", help="office and number")
    create.add_argument("--out", type=Path, required=True, metavar="FILE")
    _add_passphrase(create)
    create.set_defaults(call=_later("keepers", "create"))
    admit = steps.add_parser("admit", help="encrypt a deployment for all of recipients.txt")
    place = admit.add_mutually_exclusive_group(required=True)
    place.add_argument("--deployment", type=Path, metavar="DIR")
    place.add_argument(
        "--workplace", type=Path, metavar="DIR", help="the rights key and the requests only"
    )
    _add_identity(admit)
    admit.set_defaults(call=_later("keepers", "admit"))


def _add_new(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    new = actions.add_parser("new", help="begin a deployment with an empty list")
    new.add_argument("--workplace", type=Path, required=True, metavar="DIR")
    new.add_argument(
        "--offences", type=Path, metavar="FILE", help="instead of firmware_config/offences.toml"
    )
    new.set_defaults(call=_later("adding", "new"))


def _add_entries(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    add = actions.add_parser(
        "add",
        help="enter one person",
        description=(
            "Enters one person, or says everything that stands against it. At a terminal, fields "
            "that are not given are asked for: names need not stand on the command line."
        ),
    )
    for name in FIELDS:
        add.add_argument(f"--{name.replace('_', '-')}", metavar="TEXT")
    add.add_argument("--photo", nargs="+", required=True, metavar="FILE")
    add.set_defaults(call=_later("adding", "add"))
    bulk = actions.add_parser("import", help="enter many, from a folder and a CSV table")
    bulk.add_argument("--folder", type=Path, required=True, metavar="DIR")
    bulk.add_argument("--csv", type=Path, required=True, metavar="FILE")
    bulk.add_argument("--report", type=Path, metavar="FILE", help="write the report as JSON too")
    bulk.add_argument("--strict", action="store_true", help="all rows or none")
    bulk.set_defaults(call=_later("importing", "run"))
    show = actions.add_parser("show", help="what is on the list, and what is wrong with it")
    show.add_argument("--names", action="store_true", help="show names and birth dates too")
    show.set_defaults(call=_later("showing", "show"))
    for parser in (add, bulk):
        parser.add_argument("--embedder", default="omz-0095", metavar="NAME")
        parser.add_argument("--detector", default="yunet-s-640x480", metavar="NAME")
        parser.add_argument("--models", type=Path, metavar="DIR")
    for parser in (add, bulk, show):
        add_keeper(parser)


def _add_upkeep(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    review = actions.add_parser("review", help="keep an entry until the next review")
    review.add_argument("--until", required=True, metavar="DATE")
    review.set_defaults(call=_later("upkeep", "review"))
    disposition = actions.add_parser("disposition", help="what became of the charge")
    disposition.add_argument("--disposition", required=True, metavar="WORD")
    disposition.set_defaults(call=_later("upkeep", "disposition"))
    revoke = actions.add_parser("revoke", help="take an entry off the list and off the devices")
    revoke.add_argument("--reason", required=True, metavar="TEXT")
    revoke.set_defaults(call=_later("upkeep", "revoke"))
    for parser in (review, disposition):
        parser.add_argument("--by", required=True, metavar="OFFICE", help="who does this")
    for parser in (disposition, revoke):
        _add_config(parser)
    for parser in (review, disposition, revoke):
        parser.add_argument("--reference", required=True, metavar="ID")
        add_keeper(parser)


def _add_sealing(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    authorise = actions.add_parser("authorise", help="draft what two people will sign")
    authorise.add_argument("--file", type=Path, required=True, metavar="PLAN.toml")
    authorise.add_argument("--evaluation", type=Path, metavar="FILE", help="threshold statement")
    authorise.add_argument(
        "--provisional", action="store_true", help="no evaluation yet; silent mode only"
    )
    authorise.set_defaults(call=_later("authorising", "authorise"))
    seal = actions.add_parser("seal", help="check everything, and lay a bundle ready for signing")
    seal.add_argument(
        "--root", type=Path, metavar="DIR", help="the agency's root of trust; once per deployment"
    )
    seal.add_argument("--configuration", type=Path, metavar="FILE.toml")
    seal.add_argument(
        "--local-device",
        action="append",
        default=[],
        metavar="SITE/DEVICE=FILE.pub",
        help="a device that unlocks locally; a stolen one can be opened",
    )
    seal.set_defaults(call=_later("sealing", "seal"))
    for parser in (authorise, seal):
        parser.add_argument("--models", type=Path, metavar="DIR")
        add_keeper(parser)


def _add_end(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    end = actions.add_parser("end", help="destroy the key, then everything but the manifest")
    end.add_argument("--reason", required=True, metavar="TEXT")
    end.add_argument("--yes", action="store_true", help="do not ask")
    end.add_argument(
        "--gateway-gone",
        action="store_true",
        help="the database of the gateway that had the key is destroyed; --config cannot be given",
    )
    _add_config(end)
    add_keeper(end)
    end.set_defaults(call=_later("ending", "end"))


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="desk.toml", help="give the orders by this gateway too"
    )


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Return a command that loads its module only when it runs."""
    return lambda options: int(getattr(import_module(f"{_ROOM}.{module}"), name)(options))

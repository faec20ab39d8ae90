"""The arguments of `rights`, `hold` and `notice`. Each command is loaded when it is called.

Nothing here takes a photograph, nor any file about the person who asks (R38); a test looks.
"""

import argparse
from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import get_args

from tools.desk.rights.requests import Answer, Decision, Kind, Language

_COMMANDS = "tools.desk.rights.commands"
_HOLDS = "tools.desk.retention.commands"


def add_rights(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `rights`, `hold` and `notice`."""
    rights = commands.add_parser(
        "rights",
        help="what is held of a person, and what they are told",
        description="Answers by name with birth date, or by reference id; never by photograph.",
    )
    actions = rights.add_subparsers(dest="action", required=True)
    words = {
        "search": "open a request to know, and search all lists, running and erased",
        "delete": "open a request to delete; entries are suspended until it is decided",
        "correct": "open a request to correct; entries are suspended until it is decided",
    }
    for kind in get_args(Kind):
        _add_request(actions.add_parser(kind, help=words[kind]), kind)
    _add_deciding(actions)
    _add_listing(actions)
    _add_holds(commands)
    _add_notice(commands)


def _add_request(parser: argparse.ArgumentParser, kind: str) -> None:
    _add_keeper(parser)
    parser.add_argument("--request", metavar="ID", help="go on with a request that was opened")
    parser.add_argument("--name", metavar="NAME", help="of the person, all names")
    parser.add_argument("--born", metavar="DATE", help="their birth date, as 1990-12-31")
    parser.add_argument("--reference", metavar="ID", help="instead of name and birth date")
    parser.add_argument("--received", type=_day, metavar="DATE", help="when the request came")
    parser.add_argument(
        "--checked-by", metavar="WHO", help="who made sure that the person is who they say"
    )
    if kind == "correct":
        parser.add_argument(
            "--wrong", metavar="TEXT", help="what is wrong, and what would be right"
        )
    if kind == "search":
        parser.add_argument("--from", dest="from_on", type=_day, metavar="DATE")
        parser.add_argument("--until", dest="until_on", type=_day, metavar="DATE")
    else:
        _add_same_person(parser)
    parser.set_defaults(call=_later(_COMMANDS, "begin"), kind=kind)


def _add_deciding(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    extend = actions.add_parser("extend", help="extend a deadline once, with a reason")
    close = actions.add_parser("close", help="decide a request, and write the letter")
    for parser, name in ((extend, "extend"), (close, "close")):
        _add_keeper(parser)
        parser.add_argument("--request", required=True, metavar="ID")
        parser.add_argument(
            "--reason", required=True, metavar="TEXT", help="a sentence without the person's name"
        )
        parser.set_defaults(call=_later(_COMMANDS, name))
    decisions = [one for one in get_args(Decision) if one != "answered"]
    close.add_argument("--decision", choices=decisions, help="of a deletion or a correction")
    close.add_argument(
        "--answer",
        choices=get_args(Answer),
        default="neither",
        help="what the letter says; by default it neither confirms nor denies",
    )
    _add_same_person(close)
    close.add_argument("--letter", type=Path, required=True, metavar="FILE", help="to write")
    close.add_argument("--language", choices=get_args(Language), default="en")
    close.add_argument(
        "--office", type=Path, metavar="FILE", help="who answers; office.toml of the workplace"
    )


def _add_listing(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    listing = actions.add_parser("list", help="all requests, overdue ones first; 1 if there is one")
    _add_workplace(listing)
    listing.add_argument("--report", type=Path, metavar="FILE", help="write it as JSON too")
    listing.set_defaults(call=_later("tools.desk.rights.shown", "listing"))
    journal = actions.add_parser("journal", help="check that the desk's journal is whole")
    _add_workplace(journal)
    journal.set_defaults(call=_later("tools.desk.rights.shown", "journal"))
    erase = actions.add_parser("erase", help="erase what the retention schedule says is over")
    _add_keeper(erase)
    erase.set_defaults(call=_later(_COMMANDS, "erase"))


def _add_holds(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    hold = commands.add_parser("hold", help="keep an alert as evidence, for a case")
    actions = hold.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="hold an alert; it ends by itself")
    add.add_argument("--alert", required=True, metavar="ID")
    add.add_argument("--case", required=True, metavar="NUMBER")
    add.add_argument("--approver", required=True, metavar="NAME", help="who approved it")
    add.add_argument("--until", type=_day, required=True, metavar="DATE", help="the last day (UTC)")
    add.add_argument("--device", metavar="SITE/DEVICE", help="if two devices have that alert id")
    release = actions.add_parser("release", help="end a hold before its time")
    release.add_argument("--hold", type=int, required=True, metavar="NUMBER")
    release.add_argument("--by", required=True, metavar="WHO")
    release.add_argument(
        "--reason", required=True, metavar="TEXT", help="a sentence without a name"
    )
    listing = actions.add_parser("list", help="all holds")
    for parser, name in ((add, "add"), (release, "release"), (listing, "listing")):
        parser.add_argument(
            "--config", type=Path, default=Path("desk.toml"), metavar="FILE", help="%(default)s"
        )
        if parser is not listing:
            _add_workplace(parser)
        parser.set_defaults(call=_later(_HOLDS, name))


def _add_notice(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    notice = commands.add_parser("notice", help="the public notice, from the authorisation (R36)")
    notice.add_argument("--authorisation", type=Path, required=True, metavar="FILE")
    notice.add_argument("--office", type=Path, required=True, metavar="FILE", help="office.toml")
    notice.add_argument("--schedule", type=Path, metavar="FILE", help="retention.toml")
    notice.add_argument("--objective-fr", required=True, metavar="TEXT", help="the objective")
    notice.add_argument(
        "--timezone", default="UTC", metavar="NAME", help="of the place, as Europe/London"
    )
    notice.add_argument("--out", type=Path, required=True, metavar="FILE.html")
    notice.set_defaults(call=_later("tools.desk.notice", "notice"))


def _add_workplace(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workplace",
        type=Path,
        default=Path("workplace"),
        metavar="DIR",
        help="the desk's folder of deployments; %(default)s",
    )


def _add_keeper(parser: argparse.ArgumentParser) -> None:
    _add_workplace(parser)
    parser.add_argument("--keeper", type=Path, metavar="FILE", help="your identity file")
    parser.add_argument("--keeper-passphrase-file", type=Path, metavar="FILE")
    parser.add_argument("--by", required=True, metavar="WHO", help="who does this, by office")


def _add_same_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--same-person",
        action="append",
        metavar="REFERENCE",
        help="a reference in doubt that is this person's after all; may be repeated",
    )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no day: write 2026-12-31.") from error


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    return lambda options: int(getattr(import_module(module), name)(options))

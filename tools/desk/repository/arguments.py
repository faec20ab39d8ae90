"""The arguments of `signing-key`, `root` and the publishing half of `watchlist`.

Each command is loaded when it is called, not before.
"""

import argparse
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import get_args

from tools.desk.repository.holders import Role

_UNITS_S = {"m": 60, "h": 3600, "d": 86_400}
_LONGEST_S = 366 * 86_400
_COMMANDS = "tools.desk.repository.commands"
_KEYS = "tools.desk.repository.key_commands"
_ROOTS = "tools.desk.repository.root_commands"


def add_publishing(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `sign`, `publish`, `refresh` and `copy` to the actions of `watchlist`."""
    sign = actions.add_parser(
        "sign",
        help="sign what is staged, as authorising officer or as custodian",
        description="Shows what is to be signed, asks, and adds one of the two signatures.",
    )
    sign.add_argument("--yes", action="store_true", help="do not ask before signing")
    publish = actions.add_parser("publish", help="give out what both have signed")
    refresh = actions.add_parser("refresh", help="say anew that nothing newer is published")
    for action in (publish, refresh):
        action.add_argument(
            "--config", type=Path, metavar="desk.toml", help="the gateway's: offer it over MQTT too"
        )
        action.add_argument(
            "--fresh-for",
            type=duration_s,
            default=7 * 86_400.0,
            metavar="7d",
            help="how long devices believe that nothing newer is published; 12h, 7d",
        )
    copy = actions.add_parser("copy", help="copy what is published onto a stick, and read it back")
    copy.add_argument("--to", type=Path, required=True, metavar="DIR")
    for name, action in (("sign", sign), ("publish", publish), ("refresh", refresh)):
        _add_key(action)
        action.set_defaults(call=_later(_COMMANDS, name))
    copy.set_defaults(call=_later(_COMMANDS, "copy"))
    for action in (sign, publish, refresh, copy):
        action.add_argument("--deployment", type=Path, required=True, metavar="DIR")


def add_signing_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands `signing-key` and `root`."""
    _add_signing_key(commands.add_parser("signing-key", help="the keys that sign watchlists"))
    _add_root(commands.add_parser("root", help="the root of trust: whose keys sign what"))


def duration_s(text: str) -> float:
    """Return the seconds of a duration as "90m", "12h" or "7d", for argparse."""
    match = re.fullmatch(r"([0-9]{1,6})([mhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(
            f"{text} is no duration up to 366d: write 90m, 12h or 7d, for example."
        )
    return float(seconds)


def _add_signing_key(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make a key, encrypted with a passphrase")
    token = actions.add_parser("import", help="take the public half of a PKCS#11 token's key")
    token.add_argument("--token-key", type=int, metavar="N", help="the key's id on the token (2)")
    token.add_argument("--label", metavar="TEXT", help="the token's label, if there are several")
    for action, name in ((create, "create"), (token, "import_token")):
        action.add_argument("--role", choices=get_args(Role), required=True)
        action.add_argument(
            "--holder", required=True, metavar="TEXT", help="by office and number, without a name"
        )
        action.add_argument("--out", type=Path, required=True, metavar="DIR")
        action.add_argument("--name", metavar="NAME", help="of the files, instead of the role")
        _add_passphrase_file(action)
        action.set_defaults(call=_later(_KEYS, name))
    show = actions.add_parser("show", help="whose key this is; FILE.pub or FILE.pem")
    show.add_argument("file", type=Path, metavar="FILE")
    show.set_defaults(call=_later(_KEYS, "show"))


def _add_root(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="draft the first root from six public halves")
    create.add_argument("--out", type=Path, required=True, metavar="DIR")
    rotate = actions.add_parser(
        "rotate",
        help="draft the next root: other keys, or a later end",
        description="Keys that are not named stay. Two old and two new root keys sign the draft.",
    )
    for action, needed in ((create, True), (rotate, False)):
        action.add_argument("--root-key", type=Path, nargs=3, required=needed, metavar="FILE.pub")
        for role in ("officer", "custodian", "publishing"):
            action.add_argument(f"--{role}", type=Path, required=needed, metavar="FILE.pub")
        action.add_argument(
            "--valid-for",
            type=duration_s,
            default=365 * 86_400.0,
            metavar="365d",
            help="up to 366d",
        )
    sign = actions.add_parser("sign", help="sign the draft, as a holder of a root key")
    _add_key(sign)
    sign.add_argument("--yes", action="store_true", help="do not ask before signing")
    show = actions.add_parser("show", help="whose keys sign what, and until when")
    adopt = actions.add_parser("adopt", help="take newer roots over into a deployment")
    adopt.add_argument("--deployment", type=Path, required=True, metavar="DIR")
    for action in (rotate, sign, show, adopt):
        action.add_argument(
            "--root", type=Path, required=True, metavar="DIR", help="the folder of the root"
        )
    for name, action in actions.choices.items():
        action.set_defaults(call=_later(_ROOTS, name))


def _add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key", required=True, metavar="FILE-or-URI", help="officer.pem, or hsm:2?label=NAME"
    )
    parser.add_argument(
        "--public", type=Path, metavar="FILE.pub", help="its public half, if not beside the file"
    )
    _add_passphrase_file(parser)


def _add_passphrase_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="of mode 600, instead of asking for passphrase or PIN",
    )


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Return a command that loads its module only when it runs."""
    return lambda options: int(getattr(import_module(module), name)(options))

"""`passerby-field pki`: the arguments and what is printed."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.table import Column, Table

from tools.console import console
from tools.field.pki.authority import AUTHORITY_DAYS, CERTIFICATE_DAYS, LIST_DAYS, Authority
from tools.field.pki.register import Issued
from tools.field.pki.warnings import SOON_DAYS, warnings

_LONGEST_DAYS = 36_500
Command = Callable[[argparse.Namespace, datetime], int]


def add_pki(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `pki` command and its actions to the parser of `passerby-field`."""
    pki = commands.add_parser("pki", help="a site's certificate authority and certificates")
    actions = pki.add_subparsers(dest="action", required=True)
    init = _action(actions, "init", "make a new authority", _init, AUTHORITY_DAYS)
    init.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for it")
    broker = _action(actions, "broker", "certificate of a broker", _broker, CERTIFICATE_DAYS)
    broker.add_argument(
        "--name",
        nargs="+",
        required=True,
        metavar="HOST|ADDRESS",
        help="how devices and gateways reach the broker: broker.host of device.toml",
    )
    device = _action(actions, "device", "certificate of a device", _device, CERTIFICATE_DAYS)
    device.add_argument("id", metavar="ID", help="device.id of its device.toml")
    gateway = _action(actions, "gateway", "certificate of the gateways", _gateway, CERTIFICATE_DAYS)
    revoke = _action(actions, "revoke", "let a device in no more", _revoke)
    revoke.add_argument("id", metavar="ID", help='a device\'s id, or "gateway"')
    crl = _action(actions, "crl", "write the revocation list anew", _crl, LIST_DAYS)
    listing = _action(actions, "list", "who is let in, until when", _list)
    for action in (broker, device, gateway):
        action.add_argument(
            "--renew", action="store_true", help="although it has a valid certificate"
        )
    for action in (broker, device, gateway, revoke, crl, listing):
        action.add_argument(
            "--dir", type=Path, default=Path(), metavar="DIR", help="the authority (default: here)"
        )


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    description: str,
    command: Command,
    days: int | None = None,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=description)
    if days is not None:
        parser.add_argument(
            "--days",
            type=_days,
            default=days,
            help="how long it is good, in days (default: %(default)s)",
        )
    parser.set_defaults(call=lambda options: command(options, _now()))
    return parser


def _days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= days <= _LONGEST_DAYS:
        raise argparse.ArgumentTypeError(f"{text!r} is not 1 to {_LONGEST_DAYS} days")
    return days


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _init(options: argparse.Namespace, now: datetime) -> int:
    authority = Authority.create(options.out, now, options.days)
    until = authority.certificate.not_valid_after_utc
    print(f"New authority in {options.out}, until {until:%Y-%m-%d}.")
    print("ca.key opens every door of the site: keep the folder encrypted, offline, and twice.")
    return 0


def _broker(options: argparse.Namespace, now: datetime) -> int:
    authority = Authority.open(options.dir)
    folder = authority.broker(options.name, now, options.days, renew=options.renew)
    return _made(folder, "broker", "the broker's /etc/mosquitto/passerby")


def _device(options: argparse.Namespace, now: datetime) -> int:
    authority = Authority.open(options.dir)
    folder = authority.device(options.id, now, options.days, renew=options.renew)
    return _made(folder, "device", f"the device {options.id}")


def _gateway(options: argparse.Namespace, now: datetime) -> int:
    authority = Authority.open(options.dir)
    folder = authority.gateway(now, options.days, renew=options.renew)
    return _made(folder, "gateway", "the gateway")


def _made(folder: Path, stem: str, owner: str) -> int:
    print(f"{folder}: ca.pem, {stem}.pem, {stem}.key. Move {stem}.key to {owner}, keep no copy.")
    return 0


def _revoke(options: argparse.Namespace, now: datetime) -> int:
    valid = Authority.open(options.dir).revoke(options.id, now)
    print(f"{options.id}: {valid} valid certificate{'' if valid == 1 else 's'} revoked.")
    print("It counts once crl.pem lies on the broker and Mosquitto is restarted.")
    return 0


def _crl(options: argparse.Namespace, now: datetime) -> int:
    until = Authority.open(options.dir).renew_list(now, options.days)
    print(f"crl.pem is good until {until:%Y-%m-%d}: bring it to the broker, restart Mosquitto.")
    return 0


def _list(options: argparse.Namespace, now: datetime) -> int:
    """Print who has which certificate; 1 when something is to be done soon."""
    authority = Authority.open(options.dir)
    table = Table(Column("name", no_wrap=True), "for", "until", "serial number", "state")
    for one in authority.register.certificates:
        row = (one.name, one.kind.value, f"{one.until:%Y-%m-%d}", f"{one.serial[:12]}…")
        table.add_row(*row, _state(one, now))
    console.print(table)
    found = warnings(authority, now)
    for sentence in found:
        print(f"SOON  {sentence}")
    return 1 if found else 0


def _state(one: Issued, now: datetime) -> str:
    if one.revoked is not None:
        return f"revoked {one.revoked:%Y-%m-%d}"
    if not one.valid(now):
        return "EXPIRED"
    return "soon" if one.until - now < timedelta(days=SOON_DAYS) else "valid"

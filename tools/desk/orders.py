"""`passerby-desk order`, `adjudicate` and `orders`: what the desk tells its devices."""

import argparse
import re
import sys
from pathlib import Path

from rich.table import Column, Table

from device.errors import ConfigurationError
from device.protocol.order import LONGEST_VALIDITY_S
from tools.console import console
from tools.desk.devices import topics_from
from tools.desk.gateway.configuration import read_desk_configuration
from tools.desk.gateway.database import Database
from tools.desk.gateway.orderbook import Orders
from tools.desk.gateway.settings import Settings
from tools.desk.keys import read_private_keys
from tools.desk.shown import shown_device, shown_time

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_FINAL = {
    "end": "erase the watchlist and never compare again",
    "revoke": "stop looking for this reference",
}


def order(options: argparse.Namespace) -> int:
    """`order suspend|resume|end|revoke --device S/D --reason TEXT`."""
    settings = read_desk_configuration(options.config)
    topics = topics_from(options.device)
    if options.action in _FINAL and not options.yes:
        _confirm(f"{topics.source} shall {_FINAL[options.action]}, for good.")
    given = Orders(Database(settings.desk.database)).command(
        read_private_keys(Path(settings.desk.keys)).public,
        topics.source,
        options.valid_for,
        options.action,
        options.reason,
        options.reference,
    )
    return _given(given.id)


def adjudicate(options: argparse.Namespace) -> int:
    """`adjudicate --device S/D --alert ID --outcome VERDICT`."""
    settings: Settings = read_desk_configuration(options.config)
    given = Orders(Database(settings.desk.database)).adjudication(
        read_private_keys(Path(settings.desk.keys)).public,
        topics_from(options.device).source,
        options.valid_for,
        options.alert,
        options.outcome,
    )
    return _given(given.id)


def listing(options: argparse.Namespace) -> int:
    """`orders`: what became of them."""
    settings = read_desk_configuration(options.config)
    table = Table(Column("device", no_wrap=True), "no.", "order", "given", "expires", "state")
    states = set()
    for one in Orders(Database(settings.desk.database)).listing():
        times = (shown_time(one.given_at), shown_time(one.expires_at))
        table.add_row(shown_device(one.source), str(one.sequence), one.action, *times, one.state)
        states.add(one.state)
    console.print(table)
    if "overtaken" in states:
        console.print(
            "overtaken: the device has obeyed a newer order; whether it had obeyed this one its "
            "status did not show. It would refuse it now: give it again if it still matters."
        )
    return 0


def duration_s(text: str) -> float:
    """Return the seconds of a duration as "90s", "10m", "2h" or "1d", for argparse."""
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not 0 < seconds <= LONGEST_VALIDITY_S:
        raise argparse.ArgumentTypeError(
            f"{text} is no duration from 1s to 7d: write 90s, 10m, 2h or 1d."
        )
    return float(seconds)


def _given(identifier: str) -> int:
    print(f"{identifier}: written down; a running gateway sends it. `passerby-desk orders` shows.")
    return 0


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what} Nobody can be asked here: repeat it with --yes.")
    if input(f"{what} Type yes: ").strip() != "yes":
        raise ConfigurationError("Nothing was ordered.")

"""The arguments of the gateway's commands. Each command is loaded when it is called, not before."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import get_args

from device.protocol.order import Action, Verdict


def add_gateway(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `keys`, `devices`, `gateway`, `delivery`, `order`, `adjudicate` and `orders`."""
    _add_keys(commands)
    _add_devices(commands)
    _add_serve(commands)
    delivery = commands.add_parser("delivery", help="what arrived of each device, and what did not")
    delivery.set_defaults(call=_later("tools.desk.delivery", "show"))
    _add_orders(commands)
    for name in ("delivery", "orders", "order", "adjudicate", "gateway"):
        _add_config(commands.choices[name])


def _add_keys(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser("keys", help="the desk's keys")
    actions = keys.add_subparsers(dest="action", required=True)
    create = actions.add_parser("create", help="make desk.key (secret) and desk.pub")
    create.add_argument("--out", type=Path, required=True, metavar="DIR")
    create.set_defaults(call=_later("tools.desk.keys", "create"))


def _add_devices(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    devices = commands.add_parser("devices", help="which devices the desk listens to")
    actions = devices.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="listen to a device")
    add.add_argument("file", type=Path, metavar="FILE.pub", help="the device's public keys")
    revoke = actions.add_parser("revoke", help="listen to a device no more")
    stolen = actions.add_parser(
        "stolen",
        help="report a device stolen",
        description=(
            "Opens its list for it no more, orders it to erase the list, and lets the broker "
            "forget the bundle. One that comes back is set up anew and added with its new keys."
        ),
    )
    for action in (add, revoke, stolen):
        action.add_argument("--site", required=True, metavar="S", help="device.site")
        action.add_argument("--device", required=True, metavar="D", help="device.id")
    listing = actions.add_parser("list", help="all devices and their fingerprints")
    calls = ((add, "add"), (revoke, "revoke"), (stolen, "stolen_device"), (listing, "listing"))
    for action, name in calls:
        _add_config(action)
        action.set_defaults(call=_later("tools.desk.devices", name))


def _add_serve(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    gateway = commands.add_parser(
        "gateway",
        help="receive alerts, and hand them on as plain CloudEvents",
        description="Verifies, opens, removes duplicates, commits, then sends a receipt.",
    )
    gateway.add_argument(
        "--to",
        action="append",
        nargs="+",
        metavar=("TARGET", "URL"),
        help="stdout, mqtt or webhook URL, instead of [emit] to; may be repeated",
    )
    gateway.set_defaults(call=_later("tools.desk.serve", "serve"))


def _add_orders(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    order = commands.add_parser("order", help="tell a device what to do")
    order.add_argument("action", choices=get_args(Action))
    order.add_argument("--reason", required=True, metavar="TEXT", help="a sentence without a name")
    order.add_argument("--reference", metavar="ID", help="with revoke: which reference")
    order.add_argument("--yes", action="store_true", help="do not ask before end and revoke")
    order.set_defaults(call=_later("tools.desk.orders", "order"))
    verdict = commands.add_parser("adjudicate", help="tell a device what was found of its alert")
    verdict.add_argument("--alert", required=True, metavar="ID")
    verdict.add_argument("--outcome", required=True, choices=get_args(Verdict))
    verdict.set_defaults(call=_later("tools.desk.orders", "adjudicate"))
    for command in (order, verdict):
        command.add_argument("--device", required=True, metavar="SITE/DEVICE")
        command.add_argument(
            "--valid-for", type=_duration, default=600.0, metavar="10m", help="90s, 10m, 2h, 7d"
        )
    orders = commands.add_parser("orders", help="what became of orders")
    orders.set_defaults(call=_later("tools.desk.orders", "listing"))


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, default=Path("desk.toml"), metavar="FILE", help="%(default)s"
    )


def _later(module: str, name: str) -> Callable[[argparse.Namespace], int]:
    """Return a command that loads its module only when it runs: enrolling needs no database."""
    return lambda options: int(getattr(import_module(module), name)(options))


def _duration(text: str) -> float:
    return float(import_module("tools.desk.orders").duration_s(text))

"""`passerby status`: how the appliance on this device is, from its own status file."""

import argparse
import time
from pathlib import Path

import msgspec

from device.configuration import DEFAULT_PATH, read_configuration
from device.protocol.status import Pace
from device.protocol.wording import NO_PAD
from device.settings import DeviceSettings
from device.statusfile import LocalStatus, read_status


def run(options: argparse.Namespace) -> int:
    """Print the status; 0 when the appliance compares, 1 when it does not."""
    path: Path | None = options.config
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    if path is None:
        directory = Path(DeviceSettings(site="none", id="none").state_directory)
    else:
        directory = Path(read_configuration(path).device.state_directory)
    local = read_status(directory)
    if options.json:
        print(msgspec.json.encode(local).decode())
    else:
        print("\n".join(_lines(local)))
    return 0 if local.running(time.time_ns()) and local.status.state == "comparing" else 1


def _lines(local: LocalStatus) -> list[str]:
    status = local.status
    running = local.running(time.time_ns())
    ended = status.state == "stopped" or not running
    state = "died (power cut, crash or kill: start it again)"
    if running or status.state == "stopped":
        state = status.state
    return [
        f"state      {state}, as of {local.at}",
        *(f"           {reason}" for reason in status.reasons),
        f"camera     {'not watched' if ended else local.camera}",
        f"broker     {'not connected' if ended else local.broker}",
        f"watchlist  {status.watchlist.id}, version {status.watchlist.version}"
        if status.watchlist
        else "watchlist  none",
        *([f"mode       {_MODES[status.mode]}"] if status.mode else []),
        *([f"runtime    {status.runtime}"] if status.runtime else []),
        *(f"model      {m.role}: {m.name} {m.sha256[:16]}…" for m in status.models),
        *([f"pace       {_pace(status.pace)}"] if status.pace and not ended else []),
        f"attacks    {_attacks(status.presentation_attack_detection)}",
        f"software   Passerby {status.software}",
    ]


_MODES = {
    "demonstration": "demonstration: the watchlist is unsigned",
    "silent": "silent: candidates are recorded for evaluation, and no alert leaves",
    "alerting": "alerting: candidates are put before the desk's verifiers",
}


def _pace(pace: Pace) -> str:
    return f"step {pace.step} of {pace.of}. {pace.sentence}"


def _attacks(detection: str) -> str:
    if detection == NO_PAD:
        return f"{NO_PAD}: a photograph can raise an alert"
    return f"{detection}: some prints and screens pass, and some people are taken for one"

"""`passerby run`: the appliance."""

import argparse
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from device.allocator import giving_back
from device.appliance import Appliance
from device.audit import Ledger
from device.bundles import load_list
from device.capture import Camera, source_for
from device.charge import Charge
from device.configuration import read_configuration
from device.correspondence import correspondence, deliver_the_rest
from device.errors import BrokerError, CameraError, ConfigurationError, NotArmedError, StorageError
from device.files import hold_alone
from device.identity import desk_keys
from device.inbox import Inbox
from device.matching import Gallery
from device.policy import transport
from device.protocol.wording import DEMONSTRATION
from device.service import Service
from device.settings import Settings
from device.vision import Catalogue, Eye, Surroundings

log = logging.getLogger(__name__)


def run(options: argparse.Namespace) -> int:
    """Run until the source ends or SIGTERM; 0 when every alert was delivered."""
    settings = read_configuration(options.config)
    _refuse_what_must_not_start(settings)
    desk_keys(settings)
    with hold_alone(Path(settings.device.state_directory) / "lock"):
        return _run(settings, options)


def _run(settings: Settings, options: argparse.Namespace) -> int:
    if settings.device.demonstration:
        return _demonstrate(settings, ledger=options.ledger)
    return _serve(settings, options.unlocked, ledger=options.ledger)


def _serve(settings: Settings, unlocked: str | None, *, ledger: bool) -> int:
    inbox = Inbox()
    courier, notebook, obedience = correspondence(settings, inbox)
    charge = Charge(settings, inbox, courier, notebook, obedience, process_fault=unlocked)
    service = Service(charge, courier)
    _stop_on_signals(service.stop)
    ledgers: list[Ledger] = []

    def ready(appliance: Appliance, source: str, eye: Eye, references: int) -> None:
        ledgers.append(appliance.ledger)
        _say_ready(source, eye, references)

    undelivered = service.run(ready)
    if ledger:
        print("\n".join(line for one in ledgers for line in one.lines()))
    camera = service.camera if service.material_ended else None
    return _result(notebook.fault, camera, undelivered, courier.fault)


def _demonstrate(settings: Settings, *, ledger: bool) -> int:
    courier, notebook, obedience = correspondence(settings)
    if obedience.standing.ended is not None:
        deliver_the_rest(settings, (courier, notebook, obedience))
    source = source_for(settings.camera)
    with giving_back():
        eye, gallery = _opened(settings)
    camera = Camera(source)
    appliance = Appliance(
        settings, eye, gallery, camera, courier, notebook=notebook, obedience=obedience
    )
    asked = _stop_on_signals(appliance.stop)
    print(DEMONSTRATION, file=sys.stderr, flush=True)
    undelivered = appliance.run(lambda: _say_ready(source.name, eye, len(gallery)))
    if ledger:
        print("\n".join(appliance.ledger.lines()))
    # Stopping a camera ends its material too: only an end that nobody asked for counts.
    ended = None if asked.is_set() else camera
    return _result(appliance.storage_fault, ended, undelivered, courier.fault)


def _opened(settings: Settings) -> tuple[Eye, Gallery]:
    """Open the unsigned list, and the models. The list itself must not stay: nobody wipes it."""
    watchlist = load_list(Path(settings.watchlist.path))
    catalogue = Catalogue.configured(settings.models.directory)
    eye = Eye.open(catalogue, settings.models, settings.vision, Surroundings.of(settings))
    return eye, Gallery(watchlist, eye.embedder_entry.sha256, eye.embedder.dimension)


def _stop_on_signals(stop: Callable[[], None]) -> threading.Event:
    """Call `stop` when one comes. Returns what is set from then on."""
    asked = threading.Event()

    def on_signal(_signal: int, _frame: FrameType | None) -> None:
        asked.set()
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    return asked


def _refuse_what_must_not_start(settings: Settings) -> None:
    if settings.device.demonstration and not settings.watchlist.path:
        raise ConfigurationError(
            "watchlist.path is missing: a demonstration needs an unsigned list (`passerby-desk "
            "enrol`)."
        )
    if not settings.device.demonstration and not settings.watchlist.root:
        raise NotArmedError(
            "watchlist.root is missing: without the root of trust that the desk gives "
            "(`passerby-desk root`), no signature on a watchlist can be checked and nothing is "
            "compared. For a demonstration with an unsigned list set demonstration = true in "
            "[device]."
        )
    refusal = transport.refusal(settings.broker)
    if refusal is not None:
        raise ConfigurationError(refusal)


def _say_ready(source: str, eye: Eye, references: int) -> None:
    print(
        f"ready after {_seconds_since_start():.2f} s: {source}, {references} references, "
        f"{eye.runtime}",
        file=sys.stderr,
        flush=True,
    )


def _seconds_since_start() -> float:
    """Return seconds since this process began, the interpreter's own start included (proc(5))."""
    fields = Path("/proc/self/stat").read_text("ascii").rpartition(")")[2].split()
    ticks_per_second = 100.0
    started_s = int(fields[19]) / ticks_per_second
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _result(
    storage_fault: str | None, camera: Camera | None, undelivered: int, broker_fault: str | None
) -> int:
    """Say how it ended. camera: the one whose material ended by itself; None: it was stopped."""
    if undelivered:
        number = "One alert waits" if undelivered == 1 else f"{undelivered} alerts wait"
        it = "it leaves" if undelivered == 1 else "they leave"
        why = broker_fault or "The desk has given no receipt yet."
        msg = f"{number} in the outbox, {it} after the next start. {why}"
        raise BrokerError(msg)
    if storage_fault is not None:
        raise StorageError(storage_fault)
    if camera is None:
        print("Stopped on request.", file=sys.stderr)
    elif camera.finished:
        if camera.fault is not None:
            raise CameraError(camera.fault)
        print("The material has ended.", file=sys.stderr)
    return 0

"""`passerby run`: the appliance."""

import argparse
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from device.appliance import Appliance
from device.bundles import load_list
from device.capture import Camera, source_for
from device.configuration import read_configuration
from device.correspondence import correspondence, deliver_the_rest
from device.errors import BrokerError, CameraError, ConfigurationError, NotArmedError, StorageError
from device.files import hold_alone
from device.identity import desk_keys
from device.matching import Gallery
from device.policy import transport
from device.policy.arming import unsigned_refusal
from device.protocol.wording import DEMONSTRATION
from device.settings import Settings
from device.vision import Catalogue, Eye


def run(options: argparse.Namespace) -> int:
    """Run until the source ends or SIGTERM; 0 when every alert was delivered."""
    settings = read_configuration(options.config)
    _refuse_what_must_not_start(settings)
    desk_keys(settings)
    with hold_alone(Path(settings.device.state_directory) / "lock"):
        return _run(settings, ledger=options.ledger)


def _run(settings: Settings, *, ledger: bool) -> int:
    courier, notebook, obedience = correspondence(settings)
    if obedience.standing.ended is not None:
        deliver_the_rest(settings, (courier, notebook, obedience))
    watchlist = load_list(Path(settings.watchlist.path))
    source = source_for(settings.camera)
    catalogue = Catalogue.configured(settings.models.directory)
    eye = Eye.open(catalogue, settings.models, settings.vision)
    gallery = Gallery(watchlist, eye.embedder_entry.sha256, eye.embedder.dimension)
    del watchlist  # the gallery wipes its own copy of the templates; this one must not stay
    camera = Camera(source)
    appliance = Appliance(
        settings, eye, gallery, camera, courier, notebook=notebook, obedience=obedience
    )

    def stop(_signal: int, _frame: FrameType | None) -> None:
        appliance.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    if settings.device.demonstration:
        print(DEMONSTRATION, file=sys.stderr, flush=True)
    undelivered = appliance.run(lambda: _say_ready(source.name, eye, len(gallery)))
    if ledger:
        print("\n".join(appliance.ledger.lines()))
    return _result(appliance, camera, undelivered, courier.fault)


def _refuse_what_must_not_start(settings: Settings) -> None:
    # Every list is unsigned until bundles arrive.
    refusal = unsigned_refusal(signed=False, demonstration=settings.device.demonstration)
    if refusal is not None:
        raise NotArmedError(refusal)
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
    appliance: Appliance, camera: Camera, undelivered: int, broker_fault: str | None
) -> int:
    if undelivered:
        number = "One alert waits" if undelivered == 1 else f"{undelivered} alerts wait"
        it = "it leaves" if undelivered == 1 else "they leave"
        why = broker_fault or "The desk has given no receipt yet."
        msg = f"{number} in the outbox, {it} after the next start. {why}"
        raise BrokerError(msg)
    if appliance.storage_fault is not None:
        raise StorageError(appliance.storage_fault)
    if camera.finished and camera.fault is not None:
        raise CameraError(camera.fault)
    if camera.finished:
        print("The material has ended.", file=sys.stderr)
    return 0

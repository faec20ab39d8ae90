"""`passerby doctor`: one line per part: ok, or what is wrong and what to do."""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from device.alerts.client import CONNECT_TIMEOUT_S
from device.alerts.connection import Connected, Connection
from device.alerts.courier import LARGEST_PACKET_BYTES
from device.alerts.diagnosis import diagnose, expiry_note
from device.alerts.outbox import NAME as OUTBOX
from device.alerts.outbox import Outbox, connect_file
from device.bundles import installed, load_list, read_signed
from device.capture import source_for
from device.cli import seeing
from device.configuration import DEFAULT_PATH, read_configuration
from device.errors import BrokerError, ModelError, NotArmedError, PasserbyError, StorageError
from device.files import hold_alone
from device.identity import desk_keys, own_keys
from device.matching import Gallery
from device.opencv import cv2
from device.policy import transport
from device.protocol.identifiers import utc_text
from device.protocol.topics import Topics
from device.protocol.wording import NO_PAD
from device.settings import ModelSettings, Settings, VisionSettings
from device.temperature import Thermometer
from device.trusted_time import implausible, synchronised
from device.vision import AttackDetector, Catalogue, Eye, Surroundings

_FREE_BYTES = 200 * 1024 * 1024

Check = Callable[[], str]


def run(options: argparse.Namespace) -> int:
    """Check everything that can be checked; 0 when all is well, 1 otherwise."""
    path: Path | None = options.config
    if path is None and DEFAULT_PATH.is_file():
        path = DEFAULT_PATH
    settings = read_configuration(path) if path is not None else None
    faults = 0
    for name, check in _checks(settings):
        try:
            line = f"ok    {name:<12} {check()}"
        except PasserbyError as error:
            faults += 1
            line = f"FIX   {name:<12} {error}"
        except Exception as error:  # noqa: BLE001 - one broken part must not hide the others
            faults += 1
            line = f"FIX   {name:<12} unexpected {type(error).__name__}: {error}"
        print(line, flush=True)
    if settings is None:
        print("      no configuration: camera, watchlist and broker were not checked (--config).")
    if faults:
        print(f"{faults} to fix." if faults > 1 else "One thing to fix.")
    return 1 if faults else 0


def _checks(settings: Settings | None) -> Iterator[tuple[str, Check]]:
    models = settings.models if settings else ModelSettings()
    vision = settings.vision if settings else VisionSettings()
    yield "numbers", _numpy
    yield "models", lambda: _models(models)
    around = Surroundings(settings.camera) if settings else Surroundings()
    yield "interpreter", lambda: _interpreter(models, vision, around)
    yield "threads", lambda: seeing.threads(models, vision, around)
    yield "attacks", lambda: _attacks(models, vision)
    yield "clock", _clock
    yield "heat", lambda: _heat(vision, Thermometer())
    state = Path(settings.device.state_directory) if settings else Path(tempfile.gettempdir())
    yield "disk", lambda: _disk(state)
    if settings is not None:
        yield "watchlist", lambda: _watchlist(settings)
        yield "camera", lambda: _camera(settings)
        yield "distance", lambda: seeing.distance(models, vision, settings.camera)
        yield "desk", lambda: _desk(settings)
        yield "outbox", lambda: _outbox(settings)
        yield "broker", lambda: _broker(settings)


def _numpy() -> str:
    """NumPy and OpenCV of one ABI: an array must survive the way there and back."""
    grey = cv2.cvtColor(np.full((4, 4, 3), 100, np.uint8), cv2.COLOR_BGR2GRAY)
    if grey.shape != (4, 4) or int(grey[0, 0]) != 100:  # noqa: PLR2004 - the value put in
        msg = "OpenCV and NumPy do not fit together: run `make venv` again."
        raise ModelError(msg)
    return f"NumPy {np.__version__}, OpenCV {cv2.__version__}"


def _models(models: ModelSettings) -> str:
    catalogue = Catalogue.configured(models.directory)
    entries = [
        catalogue.entry(models.detector, "detector"),
        catalogue.entry(models.embedder, "embedder"),
    ]
    if models.attack_detector:
        entries.append(catalogue.entry(models.attack_detector, "attack-detection"))
    for entry in entries:
        catalogue.verified_path(entry)
    return ", ".join(f"{entry.name} {entry.sha256[:12]}…" for entry in entries)


def _interpreter(models: ModelSettings, vision: VisionSettings, around: Surroundings) -> str:
    eye = Eye.open(Catalogue.configured(models.directory), models, vision, around)
    return str(eye.runtime)


def _attacks(models: ModelSettings, vision: VisionSettings) -> str:
    detector = AttackDetector.configured(Catalogue.configured(models.directory), models, vision)
    if detector is None:
        return f"{NO_PAD}: a photograph can raise an alert (models.attack_detector)"
    return f"{detector.threshold_id}, for print and screen only"


def _clock() -> str:
    fault = implausible(time.time_ns())
    if fault is not None:
        raise NotArmedError(fault)
    answer = synchronised()
    if answer is False:
        msg = (
            "The clock follows no time source: check the network, or `timedatectl set-ntp true`. "
            "With watchlist.unlock = remote the desk's answer confirms it at each start."
        )
        raise NotArmedError(msg)
    return "synchronised" if answer else "plausible; whether synchronised is not known"


def _heat(vision: VisionSettings, thermometer: Thermometer) -> str:
    """How hot the processor is, and whether the firmware slows it down; both can be unknown."""
    reading = thermometer.read()
    if reading.undervolted:
        msg = "The board gets too little power and slows down: use its own power supply."
        raise NotArmedError(msg)
    if reading.slowed:
        msg = "The firmware slows the board down for heat: give it air, shade or a fan."
        raise NotArmedError(msg)
    flags = "throttling is not known" if reading.slowed is None else "not throttled"
    if reading.celsius is None:
        return f"how hot the board is cannot be read: the limit on heat is not kept; {flags}"
    if reading.celsius > vision.hottest_c:
        msg = (
            f"The processor has {reading.celsius:.0f} °C, the limit is {vision.hottest_c:.0f} "
            "(vision.hottest_c): give it air, shade or a fan."
        )
        raise NotArmedError(msg)
    return f"{reading.celsius:.0f} °C, limit {vision.hottest_c:.0f}; {flags}"


def _disk(directory: Path) -> str:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(b"passerby")
        free = shutil.disk_usage(directory).free
    except OSError as error:
        msg = (
            f"{directory} cannot be written ({error.strerror}): correct device.state_directory or "
            "its rights."
        )
        raise StorageError(msg) from error
    if free < _FREE_BYTES:
        msg = f"Only {free >> 20} MB are free in {directory}: free at least {_FREE_BYTES >> 20} MB."
        raise StorageError(msg)
    return f"{free >> 30} GB free in {directory}"


def _watchlist(settings: Settings) -> str:
    if not settings.device.demonstration:
        return _bundle(settings)
    watchlist = load_list(Path(settings.watchlist.path))
    entry = Catalogue.configured(settings.models.directory).entry(
        settings.models.embedder, "embedder"
    )
    gallery = Gallery(watchlist, entry.sha256)
    return f"{len(gallery)} references, version {gallery.version}, UNSIGNED (demonstration)"


def _bundle(settings: Settings) -> str:
    """The installed bundle, its signatures and dates; the list itself stays sealed."""
    if not settings.watchlist.root:
        msg = "watchlist.root is missing: copy the desk's root.json here and name it."
        raise NotArmedError(msg)
    state = Path(settings.device.state_directory)
    found = installed(state, Path(settings.watchlist.root), time.time_ns())
    if found is None:
        msg = "No signed watchlist is installed: the desk publishes one, or `passerby update`."
        raise NotArmedError(msg)
    read_signed(found.configuration)
    source = Topics(settings.device.site, settings.device.id).source
    if source not in found.authorisation.devices:
        msg = f"The installed watchlist is not authorised for {source}: ask the desk."
        raise NotArmedError(msg)
    signed = found.authorisation
    begins, ends = signed.windows[0].begins_at, signed.windows[-1].ends_at
    return (
        f"signed, version {found.targets_version}, {signed.mode}, from {begins} until {ends}, "
        f"fresh until {utc_text(found.fresh_until_ns)}, unlocked by "
        f"{'the desk' if settings.watchlist.unlock == 'remote' else 'this device itself'}"
    )


def _camera(settings: Settings) -> str:
    source = source_for(settings.camera)
    try:
        source.open()
        frame = source.read(3.0)
        if frame is None:
            msg = f"{source.name} has no frame."
            raise NotArmedError(msg)
        brightness = float(frame.lores.luma().mean())
        size = f"{frame.main.width}×{frame.main.height}"
        frame.release()
    finally:
        source.close()
    dark = "; very dark: lens cap, or no light?" if brightness < 10 else ""  # noqa: PLR2004
    return f"{source.name}: {size}, brightness {brightness:.0f} of 255{dark}"


def _desk(settings: Settings) -> str:
    """The desk's keys are here, and this device has its own; compare both with the desk."""
    desk = desk_keys(settings)
    own = own_keys(Path(settings.device.state_directory)).public
    return f"sealed for {desk.fingerprint}; this device is {own.fingerprint}"


def _outbox(settings: Settings) -> str:
    path = Path(settings.device.state_directory) / OUTBOX
    if not path.exists():
        return "none yet"
    try:
        alone = hold_alone(path.with_name("lock"))
    except StorageError:
        # Looking into it would lock out the appliance.
        return "in use by the running appliance"
    with alone:
        outbox = Outbox(lambda: connect_file(path), 0, lambda: 0)
        try:
            waits, dead = outbox.waiting(), outbox.dead()
        finally:
            outbox.close()
    aside = f", {dead} that the desk could not open" if dead else ""
    return f"{waits} alerts wait for their receipt{aside}"


def _broker(settings: Settings) -> str:
    refusal = transport.refusal(settings.broker) or diagnose(settings.broker)
    if refusal is not None:
        raise BrokerError(refusal)
    version = "3.1.1" if settings.broker.protocol == "3.1.1" else "5"
    answer = _ask_broker(settings, version)
    silent = answer is None or answer.unsupported_version
    if silent and settings.broker.protocol == "auto":
        version = "3.1.1"
        answer = _ask_broker(settings, version)
    place = f"{settings.broker.host}:{settings.broker.port}"
    if answer is None:
        msg = f"The broker {place} takes the connection but does not answer: is it MQTT there?"
        raise BrokerError(msg)
    if not answer.accepted:
        msg = f"The broker {place} refuses this device: {answer.reason}."
        raise BrokerError(msg)
    if answer.largest_bytes is not None and answer.largest_bytes < LARGEST_PACKET_BYTES:
        msg = (
            f"The broker {place} takes messages of {answer.largest_bytes} bytes at most, alerts "
            f"need {LARGEST_PACKET_BYTES}: raise its limit (Mosquitto: max_packet_size)."
        )
        raise BrokerError(msg)
    note = expiry_note(settings.broker, datetime.now(UTC))
    secrecy = "TLS 1.3" if settings.broker.tls else "no TLS (this device)"
    return f"{place}, MQTT {version}, {secrecy}{f'; {note}' if note else ''}"


def _ask_broker(settings: Settings, version: str) -> Connected | None:
    events: SimpleQueue[Any] = SimpleQueue()
    # An identity of its own, so that a running appliance is not thrown out; no will.
    connection = Connection(
        settings.broker, "3.1.1" if version == "3.1.1" else "5", "passerby-doctor", None, events
    )
    connection.open()
    try:
        event = events.get(timeout=CONNECT_TIMEOUT_S)
    except Empty:
        return None
    finally:
        connection.close()
    return event if isinstance(event, Connected) else None

"""The appliance's surroundings in one folder: its list, the desk, a broker, the gateway."""

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from device.bundles import load_list
from device.errors import ConfigurationError, PictureError
from device.files import write_atomically
from device.identity import own_keys
from device.protocol.identifiers import utc_text
from device.protocol.topics import Topics
from device.protocol.watchlist import Reference, encode_list
from device.settings import BrokerSettings, ModelSettings, Settings
from tools.desk.devices import Register
from tools.desk.gateway.database import Database
from tools.desk.main import main as desk
from tools.lab.bench.live.children import (
    Child,
    OnLine,
    Order,
    free_port,
    listens,
    mosquitto,
    refuse_taken,
)
from tools.lab.random_list import unit

LIST: Final = "watchlist.bin"
_START_S: Final = 30.0
_SEED: Final = 20


def broker_settings(port: int) -> BrokerSettings:
    """Return how to reach the broker; Mosquitto speaks MQTT 5, the embedded one 3.1.1."""
    return BrokerSettings("127.0.0.1", port, protocol="auto" if mosquitto() else "3.1.1", tls=False)


def start_broker(stack: ExitStack, work: Path, port: int | None = None) -> tuple[int, str]:
    """Start a broker that ends with the stack. Returns its port and what it is.

    port: None for a free one. Raises BrokerError when it is taken, PasserbyError when the broker
    does not come up.
    """
    if port is not None:
        refuse_taken(port)
    port = port or free_port()
    program = mosquitto()
    if program is None:
        command = [sys.executable, "-m", "tools.lab.main", "broker", "--port", str(port)]
        name = "the embedded broker (amqtt): no Mosquitto is installed"
    else:
        (work / "mosquitto.conf").write_text(_MOSQUITTO.format(port=port), "utf-8")
        command, name = [program, "-c", str(work / "mosquitto.conf")], "Mosquitto"
    child = stack.enter_context(Child(Order("broker", command)))
    child.wait_for(lambda: listens(port), "to listen", _START_S)
    return port, name


# Started by root, Mosquitto would become another user, who may not read a temporary folder.
_MOSQUITTO: Final = "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\n"


def start_gateway(stack: ExitStack, work: Path, settings: Settings, on_line: OnLine) -> Child:
    """Let the desk know the device, and start its gateway; each event is one line of JSON.

    Raises PasserbyError when it cannot listen.
    """
    address = f"sqlite:///{work / 'desk.db'}"
    database = Database(address)
    device = settings.device
    try:
        keys = own_keys(Path(device.state_directory)).public
        Register(database).add(Topics(device.site, device.id), keys, utc_text(time.time_ns()))
    finally:
        database.close()
    tables = {
        "desk": {"keys": str(work / "desk.key"), "database": address, "suite": settings.desk.suite},
        "broker": msgspec.to_builtins(settings.broker),
        "emit": {"to": ["stdout"]},
    }
    write_toml(work / "desk.toml", tables)
    command = [
        sys.executable,
        "-m",
        "tools.desk.main",
        "gateway",
        "--config",
        str(work / "desk.toml"),
    ]
    gateway = stack.enter_context(Child(Order("gateway", command, on_line=on_line)))
    gateway.wait_for(lambda: gateway.said("ready") is not None, "to start", _START_S)
    return gateway


def make_list(work: Path, photos: Sequence[Path], models: ModelSettings, size: int) -> Path:
    """Enrol photographs, and fill the list up with references of nobody.

    Raises PictureError when nobody could be enrolled, ConfigurationError for too small a list.
    """
    folder, out = work / "photos", work / LIST
    folder.mkdir(exist_ok=True)
    for photo in photos:
        (folder / photo.name).write_bytes(photo.read_bytes())
    names = ["--detector", models.detector, "--embedder", models.embedder]
    if desk(["enrol", "--photos", str(folder), "--out", str(out), *names]):
        raise PictureError("The people of the bench could not be enrolled.")
    enrolled = load_list(out)
    missing = size - len(enrolled.references)
    if missing < 0:
        raise ConfigurationError(
            f"{len(enrolled.references)} people are enrolled: the list cannot have {size} only."
        )
    rng = np.random.default_rng(_SEED)
    # A template's length weighs: nobody's are as long as those of the people beside them.
    length = np.float32(np.median([_length(each) for each in enrolled.references]))
    nobody = [
        Reference(f"random-{number}", [(unit(rng, enrolled.dimension) * length).tobytes()])
        for number in range(missing)
    ]
    whole = msgspec.structs.replace(enrolled, references=[*enrolled.references, *nobody])
    write_atomically(out, encode_list(whole))
    return out


def _length(reference: Reference) -> float:
    return float(np.linalg.norm(np.frombuffer(reference.templates[0], np.float32)))


def write_toml(file: Path, tables: dict[str, dict[str, Any]]) -> None:
    """Write tables of plain values; what is None is left out."""
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        # A JSON string, number, boolean or array of these is the same in TOML.
        lines += [
            f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None
        ]
    file.write_text("\n".join(lines) + "\n", "utf-8")

"""A back office on this machine for demonstrations: the real gateway, with keys of its own."""

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from device.errors import BrokerError
from device.identity import own_keys
from device.protocol.alert import Alert, decode_alert
from device.protocol.identifiers import utc_text
from device.protocol.keys import PrivateKeys, encode_keys
from device.protocol.topics import Topics
from device.settings import Settings as ApplianceSettings
from tools.desk.devices import Register
from tools.desk.gateway import Emission, Gateway, Settings
from tools.desk.gateway.database import Database
from tools.desk.gateway.settings import DeskSettings, GatewaySettings

_WAIT_S = 20.0
_PRIVATE, _PUBLIC, _DATABASE = "desk.key", "desk.pub", "desk.db"


def make_desk(work: Path) -> Path:
    """Make the keys of a desk, once; return the file with the public ones."""
    private, public = work / _PRIVATE, work / _PUBLIC
    if not private.exists():
        keys = PrivateKeys.generate()
        private.touch(mode=0o600)
        private.write_bytes(encode_keys(keys))
        public.write_bytes(encode_keys(keys.public))
    return public


class BackOffice:
    """Knows one device and receives its alerts; a context manager.

    appliance: the device's settings, whose broker is this desk's too. on_alert: called for each
    alert as it arrives. Raises BrokerError when the gateway does not come up.
    """

    def __init__(
        self, work: Path, appliance: ApplianceSettings, on_alert: Callable[[Alert], None]
    ) -> None:
        self.alerts: list[Alert] = []
        self._on_alert = on_alert
        address = f"sqlite:///{work / _DATABASE}"
        database = Database(address)
        device = appliance.device
        keys = own_keys(Path(device.state_directory)).public
        Register(database).add(Topics(device.site, device.id), keys, utc_text(time.time_ns()))
        database.close()
        settings = Settings(
            desk=DeskSettings(str(work / _PRIVATE), address),
            gateway=GatewaySettings(session_h=0),
            broker=appliance.broker,
        )
        self._gateway = Gateway(settings, self._take)

    def __enter__(self) -> Self:
        self._gateway.start()
        if not self._gateway.ready.wait(_WAIT_S):
            self._gateway.stop()
            raise BrokerError("The gateway of the demonstration could not listen.")
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._gateway.stop()

    def wait_for(self, count: int) -> None:
        """Return when `count` alerts have arrived. Raises BrokerError when they do not."""
        deadline = time.monotonic() + _WAIT_S
        while len(self.alerts) < count:
            if time.monotonic() > deadline:
                raise BrokerError(f"Of {count} alerts that were sent, some did not arrive.")
            time.sleep(0.02)

    def _take(self, emission: Emission) -> None:
        if emission.kind == "alert":
            alert = decode_alert(emission.event.encode())
            self.alerts.append(alert)
            self._on_alert(alert)

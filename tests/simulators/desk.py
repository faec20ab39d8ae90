"""A desk in a folder: keys, configuration, database, and gateways, in threads or processes."""

import subprocess
import sys

from sqlalchemy import select

from device.protocol.identifiers import utc_text
from device.protocol.keys import PrivateKeys, encode_keys
from device.settings import BrokerSettings
from tests.simulators.device_simulator import DeviceSimulator
from tests.simulators.mosquitto import wait_until
from tools.desk.devices import Register
from tools.desk.gateway import Gateway, Settings
from tools.desk.gateway.database import Database
from tools.desk.gateway.settings import (
    DeskRetentionSettings,
    DeskSettings,
    EmitSettings,
    GatewaySettings,
)
from tools.desk.gateway.tables import alerts


class Desk:
    """port: of its broker. url: of its database; None: an SQLite file in the folder."""

    def __init__(self, folder, port, url=None):
        self.folder = folder
        self.port = port
        self.url = url or f"sqlite:///{folder / 'desk.db'}"
        self.keys = PrivateKeys.generate()
        key_file = folder / "desk.key"
        key_file.write_bytes(encode_keys(self.keys))
        key_file.chmod(0o600)
        self.database = Database(self.url)
        self.register = Register(self.database)
        self.devices = []
        self.gateways = []
        self.processes = []

    def device(self, name="d1", *, known=True, **options):
        one = DeviceSimulator(self.keys.public, device=name, **options)
        if known:
            self.register.add(one.topics, one.keys.public, utc_text(0))
        self.devices.append(one)
        return one

    def settings(
        self, name="1", session_h=1, alerts_h=24.0, emit=None, resend_orders_s=30.0, **more
    ):
        broker = BrokerSettings("127.0.0.1", self.port, **({"tls": False} | more))
        return Settings(
            DeskSettings(str(self.folder / "desk.key"), self.url, "x25519"),
            GatewaySettings(name, session_h, resend_orders_s),
            broker,
            emit or EmitSettings(),
            BrokerSettings("127.0.0.1", self.port, tls=False),
            DeskRetentionSettings(alerts_h),
        )

    def gateway(self, on_event=None, *, wait=True, **options):
        clock = {"now_ns": options.pop("now_ns")} if "now_ns" in options else {}
        one = Gateway(self.settings(**options), on_event, **clock)
        self.gateways.append(one)
        one.start()
        if wait:
            wait_until(one.ready.is_set, what="the gateway")
        return one

    def write_configuration(self, name="1", extra=""):
        path = self.folder / f"desk-{name}.toml"
        path.write_text(
            f'[desk]\nkeys = "desk.key"\ndatabase = "{self.url}"\nsuite = "x25519"\n'
            f'[gateway]\nname = "{name}"\n'
            f'[broker]\nhost = "127.0.0.1"\nport = {self.port}\ntls = false\n{extra}'
        )
        return path

    def process(self, *arguments, config=None, stderr=None):
        """Start `passerby-desk gateway` as a user does."""
        command = [sys.executable, "-m", "tools.desk.main", "gateway", "--config"]
        one = subprocess.Popen(
            [*command, str(config or self.write_configuration()), *arguments],
            stdout=subprocess.PIPE,
            stderr=stderr or subprocess.PIPE,
            text=True,
        )
        self.processes.append(one)
        return one

    def rows(self):
        with self.database.reading() as connection:
            return connection.execute(select(alerts).order_by(alerts.c.number)).all()

    def close(self):
        for device in self.devices:
            device.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for gateway in self.gateways:
            if not gateway.ended.is_set():
                gateway.stop()
        self.database.close()

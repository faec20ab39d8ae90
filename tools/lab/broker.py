"""An embedded broker (amqtt, MQTT 3.1.1) in a process of its own, for demonstrations.

Loopback only, no passwords, no persistence: never for a deployment.
"""

import argparse
import asyncio
import logging
import signal
import socket
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

from amqtt.broker import Broker

from device.errors import BrokerError

_START_S = 15.0


def run(options: argparse.Namespace) -> int:
    """Serve on 127.0.0.1 until SIGTERM."""
    logging.disable(logging.CRITICAL)
    asyncio.run(_serve(options.port))
    return 0


async def _serve(port: int) -> None:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
            },
        }
    )
    await broker.start()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    await broker.shutdown()


class EmbeddedBroker:
    """Starts the broker in a child process; a context manager. port: where it listens."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", "tools.lab.main", "broker", "--port", str(self.port)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.05)
        self.__exit__(None, None, None)
        raise BrokerError("The embedded broker did not start; run `make venv` again.")

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

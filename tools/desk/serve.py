"""`passerby-desk gateway`: runs a gateway until SIGTERM or Ctrl-C."""

import argparse
import logging
import signal
import sys
import threading

import msgspec

from device.errors import ConfigurationError, StorageError
from tools.desk.gateway import Gateway, Settings, read_desk_configuration

_FORMAT = "%(asctime)s %(levelname)s %(message)s"
_TARGETS = ("stdout", "mqtt", "webhook")


def serve(options: argparse.Namespace) -> int:
    """Run; 0 when it was asked to stop."""
    settings = _with_targets(read_desk_configuration(options.config), options.to or [])
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=_FORMAT)
    asked = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked.set())
    gateway = Gateway(settings)
    gateway.start()
    said = False
    try:
        while not asked.wait(0.1) and not gateway.ended.is_set():
            if gateway.ready.is_set() and not said:
                said = True
                print("ready", file=sys.stderr, flush=True)
    finally:
        gateway.stop()
    if gateway.end is not None:
        raise StorageError(gateway.end)
    return 0


def _with_targets(settings: Settings, to: list[list[str]]) -> Settings:
    """Replace [emit] by what the command line says: [["stdout"], ["webhook", URL]]."""
    if not to:
        return settings
    emit = settings.emit
    for name, *rest in to:
        if name not in _TARGETS or len(rest) != (name == "webhook"):
            raise ConfigurationError(
                f"--to {' '.join([name, *rest])} is no target: write --to stdout, --to mqtt or "
                "--to webhook URL."
            )
        if rest:
            emit = msgspec.structs.replace(emit, webhook_url=rest[0])
    names = tuple(one[0] for one in to)
    return msgspec.structs.replace(settings, emit=msgspec.structs.replace(emit, to=names))

"""A device without a camera, as a process to kill: the real post and courier, drafts at a rate.

    python -m tests.reliability.publisher --folder F --port P --rate 50

Keys: F/state/identity.key (made the first time) and F/desk.pub. The journal F/journal gets `I <id>`
before an alert is submitted and `C <id>` once `submit` has promised to keep it; every line is one
write to the file, so that a kill -9 loses none. Started again it goes on with the same outbox.
"""

import argparse
import json
import os
import random
import signal
import threading
import time
from array import array
from contextlib import suppress
from pathlib import Path

from device.alerts import Courier, Limits, Post, client
from device.alerts.outbox import NAME
from device.identity import own_keys
from device.protocol.envelope import Envelope
from device.protocol.keys import decode_public_keys
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import AlertSettings, BrokerSettings
from tests.simulators.drafts import make_draft

_LOOK_S = 0.1
_CAPTURED_BEFORE_NS = 40_000_000
"""`make_draft` says that the frame was captured so long before: here it is captured now."""


class Journal:
    """Lines that are with the kernel when `write` returns. path: None: nothing is written."""

    def __init__(self, path):
        self._file = None
        if path is not None:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, line):
        if self._file is not None:
            os.write(self._file, f"{line}\n".encode())


def resident_mb(name="VmRSS", process="self"):
    """Return the memory of a process; "VmHWM": the most that it ever had."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def make_courier(options):
    """Wire the courier as `device.correspondence` does, without orders."""
    state = options.folder / "state"
    topics = Topics(options.site, options.device)
    desk = decode_public_keys((options.folder / "desk.pub").read_bytes())
    envelope = Envelope(own_keys(state), desk, topics, options.suite)
    limits = Limits(options.outbox_mb * 1_000_000, 24 * 3600)
    alerts = AlertSettings(
        outbox_mb=options.outbox_mb,
        drain_s=0,
        receipt_timeout_s=options.receipt_timeout,
        unreceipted=options.unreceipted,
        cover="off",
    )
    post = Post(state / NAME, limits, envelope)
    return Courier(_broker(options), topics, alerts, envelope, post)


def _broker(options):
    if options.tls_ca is None:
        return BrokerSettings("127.0.0.1", options.port, tls=False)
    return BrokerSettings(
        "127.0.0.1",
        options.port,
        ca_file=str(options.tls_ca),
        certificate_file=str(options.tls_certificate),
        key_file=str(options.tls_key),
    )


class Publisher:
    """Submits drafts until it is asked to stop, or `count` are submitted and nothing waits."""

    def __init__(self, options):
        self._options = options
        self._courier = make_courier(options)
        self._source = Topics(options.site, options.device).source
        self._journal = Journal(None if options.drain else options.folder / "journal")
        self._crop = random.Random(1).randbytes(options.crop_bytes)
        self._stopping = threading.Event()
        self.seconds = array("d")

    def stop(self, *_):
        self._stopping.set()

    def run(self):
        self._courier.start()
        self._courier.report(StatusData("online", "comparing", demonstration=True))
        if self._options.when_online:
            self._wait(lambda: self._courier.online)
        if not self._options.drain:
            self._submit_all()
        if self._options.drain or self._options.count:
            self._wait(lambda: not len(self._courier))
        return self._courier.stop()

    def _submit_all(self):
        period_s = 1 / self._options.rate if self._options.rate else 0.0
        due_s, number, count = time.monotonic(), 0, self._options.count
        while not self._stopping.is_set() and not 0 < count <= number:
            self._submit()
            number += 1
            due_s = max(due_s + period_s, time.monotonic() - 1.0)
            self._stopping.wait(max(0.0, due_s - time.monotonic()))

    def _submit(self):
        draft = make_draft(time.time_ns() + _CAPTURED_BEFORE_NS, self._crop, self._source)
        self._journal.write(f"I {draft.id}")
        began_s = time.perf_counter()
        kept = self._courier.submit(draft)
        if self._options.report is not None:
            self.seconds.append(time.perf_counter() - began_s)
        if kept:
            self._journal.write(f"C {draft.id}")

    def _wait(self, condition):
        while not condition() and not self._stopping.wait(_LOOK_S):
            pass


def parser():
    arguments = argparse.ArgumentParser(prog="publisher", description=__doc__.splitlines()[0])
    add = arguments.add_argument
    add("--folder", type=Path, required=True)
    add("--port", type=int, required=True)
    add(
        "--rate", type=float, default=10.0, help="alerts per second; 0: as many as the outbox takes"
    )
    add(
        "--count", type=int, default=0, help="submit so many, wait for all receipts, end; 0: no end"
    )
    add("--drain", action="store_true", help="submit nothing, end when the outbox is empty")
    add("--site", default="s1")
    add("--device", default="d1")
    add("--suite", default="mlkem768-x25519", choices=("mlkem768-x25519", "x25519"))
    add("--unreceipted", type=int, default=256)
    add("--receipt-timeout", type=float, default=30.0)
    add("--outbox-mb", type=int, default=256)
    add("--crop-bytes", type=int, default=4000, help="of the picture in every alert")
    add("--tls-ca", type=Path)
    add("--tls-certificate", type=Path)
    add("--tls-key", type=Path)
    add("--when-online", action="store_true", help="submit nothing before the broker is there")
    add("--nagle", action="store_true", help="leave Nagle's algorithm on, as paho does")
    add("--report", type=Path, help="at the end: memory, and the seconds of every submit, as JSON")
    return arguments


def main(arguments=None):
    options = parser().parse_args(arguments)
    imported_mb, imported_s = resident_mb(), time.process_time()
    if options.nagle:
        client.without_delay = lambda *_: None
    one = Publisher(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, one.stop)
    waiting = one.run()
    if options.report is not None:
        found = {
            "waiting": waiting,
            "imported_mb": imported_mb,
            "resident_mb": resident_mb(),
            "most_mb": resident_mb("VmHWM"),
            "cpu_s": time.process_time() - imported_s,
            "submit_s": list(one.seconds),
        }
        options.report.write_text(json.dumps(found))
    return 0


def make_folder(folder, desk):
    """Make the folder of a device with new keys; return the public ones. desk: public, encoded."""
    (folder / "state").mkdir(parents=True, exist_ok=True)
    (folder / "desk.pub").write_bytes(desk)
    return own_keys(folder / "state").public


def read_journal(folder):
    """Return the ids that were begun, and those that were promised to be kept."""
    begun, kept = [], []
    with suppress(FileNotFoundError):
        for line in (folder / "journal").read_text().splitlines():
            (begun if line[0] == "I" else kept).append(line[2:])
    return begun, kept


if __name__ == "__main__":
    raise SystemExit(main())

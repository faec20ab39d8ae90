"""One short run of the real appliance in this process, and everything that it said.

The street and its eye are stand-ins that really look; camera thread, conditions, notebook, audit
log, ledger and tally are the product's own. Time is counted in processed frames, and a camera that
is lost waits until that was told: two runs of as many frames say the same, unless people make a
difference. What they say is compared by `difference`.
"""

import contextlib
import logging
import os
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest.mock import patch

import msgspec

from device import notebook as notebooks
from device import recognition
from device.appliance import Appliance
from device.audit import Ledger, Tally
from device.audit.reading import Snapshot
from device.capture import Camera
from device.errors import CameraError, StorageError
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import VisionSettings
from tests.simulators.sink import RecordingSink
from tests.simulators.street import StreetSource, eye, gallery, settings

ENROLLED = [30, 150]
"""Hues of the people on the list; strangers have hues between 60 and 120."""
SECONDS_PER_FRAME = 2.0
"""Of the notebook's and the tally's clock: a minute's line is due after thirty frames."""
UNPLUGGED = "The camera was unplugged."
_PATIENCE_S = 10.0

BEFORE_FACES = ("camera", "driver", "disk", "audit log", "motion", "detection")
"""Where a fault comes whether or not anybody passes."""
WITH_FACES = ("tracking", "alignment", "embedding", "comparison")
"""Where a fault needs a face to come."""


@dataclass(frozen=True)
class Trouble:
    """A fault in a stage at the frame of this number, for as many frames."""

    stage: str
    frame: int
    lasts: int = 1

    def at(self, frames):
        return self.frame <= frames < self.frame + self.lasts


@dataclass
class Told:
    """All that a run said.

    statuses: as handed to the sink. files: contents of the status file. shown: after how many
    frames the newest status was told to all, and that status.
    """

    folder: Path
    statuses: list[StatusData] = field(default_factory=list)
    files: list[bytes] = field(default_factory=list)
    lines: list[logging.LogRecord] = field(default_factory=list)
    shown: tuple[int, StatusData | None] = (-1, None)
    ledger: Ledger = field(default_factory=Ledger)
    sink: RecordingSink = field(default_factory=RecordingSink)

    def audit(self, event=None):
        """Return the lines of the audit log, or those of one event."""
        lines = [line for _, line in Snapshot.of(self.folder / "audit.jsonl").lines()]
        return lines if event is None else [line for line in lines if line.event == event]

    def comparable(self):
        """Return what was said without time stamps, process numbers and folder names."""
        files = [msgspec.json.decode(content) for content in self.files]
        for one in files:
            del one["at"], one["process"]
        texts = [(r.name, r.levelname, self._neutral(r.getMessage())) for r in self.lines]
        rooms = dict.fromkeys(sorted({name for name, _, _ in texts}))
        return {
            "statuses": _changes([self._neutral(str(status)) for status in self.statuses]),
            "status files": _changes([self._neutral(str(one)) for one in files]),
            # Two threads log: only the order within one room is certain.
            "log": [text for room in rooms for text in texts if text[0] == room],
        }

    def _neutral(self, text):
        return text.replace(str(self.folder), "STATE")


def _changes(items):
    return [item for at, item in enumerate(items) if at == 0 or items[at - 1] != item]


def difference(one, other):
    """Return which of statuses, status files and log lines two runs did not say alike."""
    left, right = one.comparable(), other.comparable()
    return [name for name in left if left[name] != right[name]]


def run_small(folder, people, frames=24, troubles=(), *, orders=None):
    """Run the appliance over a street, log level DEBUG. orders: of the desk, by frame. Returns all.

    Those of frame 0 are given before it starts.
    """
    told = Told(folder)
    told.sink = _Sink(told)
    # Without the gate an empty street is searched too, and every frame: so that a fault comes there
    # as it does in a full one.
    gate = any(trouble.stage == "motion" for trouble in troubles)
    configuration = settings(
        folder, vision=VisionSettings(motion_gate=gate, searches_per_s=60, follows_per_s=60)
    )
    seeing = eye(configuration)

    def now_s():
        return told.ledger.frames * SECONDS_PER_FRAME

    notebook = Notebook(folder, now_s)
    obedience = Obedience(folder, Topics("s1", "d1").source, notebook)
    orders = orders or {}
    if 0 in orders:
        obedience.take(orders.pop(0))
    source = _Source(people, frames, told, troubles)
    source.orders = {number: partial(obedience.take, order) for number, order in orders.items()}
    with contextlib.ExitStack() as stack:
        stack.enter_context(patch("device.appliance.Tally", partial(Tally, now_s=now_s)))
        stack.enter_context(patch("device.capture.camera._RETRY_S", (0.0,)))
        # The machine of the test may be hot.
        stack.enter_context(patch("device.pacing.SYS", folder / "no thermometer"))
        appliance = Appliance(
            configuration,
            seeing,
            gallery(ENROLLED),
            Camera(source, stall_s=60),
            told.sink,
            notebook=notebook,
            obedience=obedience,
        )
        told.ledger = appliance.ledger
        stack.enter_context(_listening(told))
        stack.enter_context(_seeing_what_is_shown(told, notebook))
        _break(stack, appliance, seeing, told, troubles)
        appliance.run()
    return told


class _Sink(RecordingSink):
    """Keeps every status that it is handed, repeated ones too."""

    def __init__(self, told):
        super().__init__()
        self._told = told

    def report(self, status):
        super().report(status)
        self._told.statuses.append(status)


class _Source(StreetSource):
    """Loses no frame, and comes back after a fault, once that fault was told."""

    def __init__(self, people, frames, told, troubles):
        super().__init__(people, frames, self._fail)
        self.endless = True
        self.orders = {}
        self._told = told
        self._faults = {t.frame: t.stage for t in troubles if t.stage in ("camera", "driver")}
        self._waits_for = None

    def open(self):
        if self._waits_for is not None:
            _wait_until(self._was_told)

    def _was_told(self):
        _, status = self._told.shown
        return any(self._waits_for in reason for reason in status.reasons)

    def _fail(self, number):
        self.orders.pop(number, lambda: None)()
        stage = self._faults.pop(number, None)
        if stage is None:
            return
        _wait_until(lambda: self._told.shown[0] == len(self.given))
        if stage == "camera":
            self._waits_for = UNPLUGGED
            raise CameraError(UNPLUGGED)
        self._waits_for = "fault injected"
        raise RuntimeError("fault injected")


def _wait_until(condition):
    until = time.monotonic() + _PATIENCE_S
    while not condition() and time.monotonic() < until:
        time.sleep(0.005)


@contextlib.contextmanager
def _listening(told):
    """Keep every log line of every level, and every status file as it lies on the disk."""
    root, handler = logging.getLogger(), logging.Handler()
    handler.emit = told.lines.append
    root.addHandler(handler)
    levels = [(logger, logger.level) for logger in (root, logging.getLogger("device"))]
    for logger, _ in levels:
        logger.setLevel(logging.DEBUG)
    write = notebooks.write_status

    def write_and_look(directory, status):
        write(directory, status)
        told.files.append((directory / "status.json").read_bytes())

    try:
        with patch.object(notebooks, "write_status", write_and_look):
            yield
    finally:
        root.removeHandler(handler)
        for logger, level in levels:
            logger.setLevel(level)


def _seeing_what_is_shown(told, notebook):
    show = notebook.show

    def show_and_say(status, camera, broker):
        show(status, camera, broker)
        told.shown = (told.ledger.frames, status)

    return patch.object(notebook, "show", show_and_say)


def _break(stack, appliance, seeing, told, troubles):
    """Put the faults in: what is called fails at its frames, and works again afterwards."""
    observer = appliance._recogniser._observer
    places = {
        "disk": (os, "fsync", _full),
        "audit log": (appliance._notebook._audit, "write", _unwritable),
        "motion": (observer._gate, "moved", _injected),
        "detection": (seeing.detector, "detect", _injected),
        "tracking": (observer._tracker, "update", _misshapen),
        "alignment": (seeing.aligner, "align", _injected),
        "embedding": (seeing.embedder, "embed", _injected),
        "comparison": (recognition, "compare", _injected),
    }
    for stage in {trouble.stage for trouble in troubles} & set(places):
        where, name, error = places[stage]
        mine = [trouble for trouble in troubles if trouble.stage == stage]
        broken = partial(_call, getattr(where, name), error, mine, told)
        stack.enter_context(patch.object(where, name, broken))


def _call(whole, error, troubles, told, *arguments):
    if any(trouble.at(told.ledger.frames) for trouble in troubles):
        raise error(*arguments)
    return whole(*arguments)


def _full(*_):
    return OSError(28, "No space left on device")


def _unwritable(*_):
    return StorageError("The audit log cannot be written: nothing is compared without it.")


def _injected(*_):
    return RuntimeError("fault injected")


def _misshapen(rows, *_):
    """As NumPy words it: the number of faces stands in the text of the error."""
    return ValueError(f"operands could not be broadcast together with shapes {rows.shape} (0,4)")

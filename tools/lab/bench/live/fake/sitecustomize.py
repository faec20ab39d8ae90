"""A watch and a pencil in the appliance's process: Python imports this by itself at the start.

It wraps three methods of the product when their modules are loaded, and appends records of five
numbers to a file: no buffer that grows, no thread, about two microseconds each. A frame: when it
was taken, when its processing began and ended, the thread's processor time. A letter: when it was
put into the outbox and when its receipt took it out.
"""

import os
import struct
import sys
import time
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any, Final

VARIABLE: Final = "PASSERBY_BENCH_NOTES"
"""Names the file; without it nothing is wrapped."""
RECORD: Final = struct.Struct("<qqqqq")
FRAME, QUEUED, RECEIPTED = 1, 2, 3
"""Kinds of records; what follows:
FRAME: taken, began, ended (nanoseconds since boot), processor time of the thread (nanoseconds).
QUEUED: sequence, number in the outbox, began, ended (wall clock, nanoseconds).
RECEIPTED: number in the outbox, 0, 0, wall clock in nanoseconds."""

_boot_ns = time.clock_gettime_ns


class _Pencil:
    """Opened at the first record: the appliance starts itself anew before."""

    def __init__(self) -> None:
        self._file: int | None = None

    def note(self, kind: int, *facts: int) -> None:
        if self._file is None:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(os.environ[VARIABLE], flags, 0o600)
        os.write(self._file, RECORD.pack(kind, *facts))


_pencil = _Pencil()


def _recognition(module: ModuleType) -> None:
    process = module.Recogniser.process

    def watched(self: Any, frame: Any, *more: Any, **named: Any) -> Any:  # noqa: ANN401
        began, worked = _boot_ns(time.CLOCK_BOOTTIME), time.thread_time_ns()
        try:
            return process(self, frame, *more, **named)
        finally:
            ended, worked = _boot_ns(time.CLOCK_BOOTTIME), time.thread_time_ns() - worked
            _pencil.note(FRAME, round(frame.seconds * 1e9), began, ended, worked)

    module.Recogniser.process = watched


def _outbox(module: ModuleType) -> None:
    append, remove = module.Outbox.append, module.Outbox.remove

    def queued(self: Any, seal: Callable[[str, int], Any], *, numbered: bool = True) -> Any:  # noqa: ANN401
        sequences = []

        def noted(epoch: str, sequence: int) -> Any:  # noqa: ANN401
            sequences.append(sequence if numbered else 0)
            return seal(epoch, sequence)

        began = time.time_ns()
        number = append(self, noted, numbered=numbered)
        _pencil.note(QUEUED, sequences[0], number or 0, began, time.time_ns())
        return number

    def removed(self: Any, digest: str) -> Any:  # noqa: ANN401
        number = remove(self, digest)
        if number is not None:
            _pencil.note(RECEIPTED, number, 0, 0, time.time_ns())
        return number

    module.Outbox.append = queued
    module.Outbox.remove = removed


_WRAPPED: dict[str, Callable[[ModuleType], None]] = {
    "device.recognition": _recognition,
    "device.alerts.outbox": _outbox,
}


class _Finder(MetaPathFinder):
    """Finds the modules above as Python would, and wraps them once they are loaded."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder.find_spec`."""
        wrap = _WRAPPED.get(name)
        spec = PathFinder.find_spec(name, path, target) if wrap else None
        if wrap is None or spec is None or spec.loader is None:
            return None
        load = spec.loader.exec_module

        def loaded(module: ModuleType) -> None:
            load(module)
            wrap(module)

        spec.loader.exec_module = loaded  # type: ignore[method-assign]
        return spec


if VARIABLE in os.environ:
    sys.meta_path.insert(0, _Finder())

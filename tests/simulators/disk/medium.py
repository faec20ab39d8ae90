"""The disk, in the hands of the test and under SQLite."""

import contextlib
import gc
import sqlite3
import threading

from tests.simulators.disk import vfs
from tests.simulators.disk.faults import ANSWERS, Fault
from tests.simulators.disk.handle import CREATE, Handle
from tests.simulators.disk.state import File, Names, image_after_cut
from tests.simulators.disk.vfs import Refusal

READ_ONLY = 0x1
READ_WRITE = 0x2
ACCESS_EXISTS = 0
ACCESS_READ_WRITE = 1


@contextlib.contextmanager
def _no_collection():
    """Keep Python from closing forgotten connections meanwhile: this thread would write."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Disk:
    """A simulated disk, registered with SQLite under `name` until it is closed.

    files: what is on it at first, name to bytes, durable. capacity_bytes: None is endless.
    read_only: see the package. operations: writes, syncs, truncations and deletions so far.
    surprises: exceptions inside the simulator itself; a test asserts that there are none.
    """

    def __init__(self, files=None, *, capacity_bytes=None):
        self.capacity_bytes = capacity_bytes
        self.read_only = False
        self.operations = 0
        self.powered = True
        self.surprises = []
        self._lock = threading.RLock()
        self._number = 0
        self._faults = []
        self._cut_at = None
        self._load(files or {})
        self.name = vfs.register(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Take the disk out of SQLite for ever. Connections still open get I/O errors."""
        vfs.unregister(self)
        self.powered = False
        self._load({})

    def uri(self, path="/outbox.sqlite"):
        """For `sqlite3.connect(..., uri=True)`."""
        return f"file:{path}?vfs={self.name}"

    def files(self):
        """Return what the program sees, name to bytes."""
        with self._lock:
            return {name: bytes(file.content) for name, file in self._names.seen.items()}

    @property
    def used_bytes(self):
        return self._used

    # Power

    def cut_after(self, operations):
        """Let the power fail during this operation, counted from now: 1 is the next one.

        That operation may be done, partly done or not done: it is one of the un-synced changes. A
        sync that is cut short has synced nothing for certain. From then on everything fails with
        SQLITE_IOERR, until `power_cut` switches the power on again. None calls the cut off.
        """
        with self._lock:
            self._cut_at = None if operations is None else self.operations + operations

    def image(self, rng, mode="some"):
        """Return what a power cut would leave, name to bytes. Changes nothing. See MODES.

        Use `Disk(disk.image(...))` to try several outcomes of one moment.
        """
        with self._lock, _no_collection():
            return image_after_cut(self._names, rng, mode)

    def power_cut(self, rng, mode="some"):
        """Cut the power, unless it is cut already, and switch it on again.

        Files that were open then fail with SQLITE_IOERR for ever: their process is dead. Capacity,
        read_only and faults stay as they are. Keep the dead process's connection until here, or
        Python closes it in good order and there is less to lose. Close it afterwards: that does
        nothing to the disk, and Python 3.13 warns of connections that nobody closed.
        """
        with self._lock:
            image = self.image(rng, mode)
            self._load(image)
            self._cut_at = None
            self.powered = True

    # Faults

    def fail(self, kind, after=0, times=1, on=""):
        """Let operations fail: "write", "sync", "read", "truncate", "delete" or "open".

        after: so many pass first. times: so many fail then, None is all. on: only files whose name
        ends like this, such as "-wal".
        """
        if kind not in ANSWERS:
            raise ValueError(f"{kind!r} is none of {', '.join(ANSWERS)}")
        self._faults.append(Fault(kind, after, times, on))

    def heal(self):
        """End all faults, room and write protection included. What was lost stays lost."""
        self._faults.clear()
        self.capacity_bytes = None
        self.read_only = False

    def corrupt(self, path, offset, data):
        """Overwrite bytes of a file behind SQLite's back, durably. It keeps its length."""
        with self._lock:
            file = self._names.seen[path]
            if offset + len(data) > len(file.content):
                raise ValueError(f"{path} has only {len(file.content)} bytes")
            file.content[offset : offset + len(data)] = data
            part = data[: max(0, len(file.durable) - offset)]
            file.durable[offset : offset + len(part)] = part

    def flip(self, path, rng):
        """Flip one bit of a file; returns the byte's offset."""
        content = self._names.seen[path].content
        offset = rng.randrange(len(content))
        self.corrupt(path, offset, bytes([content[offset] ^ 1 << rng.randrange(8)]))
        return offset

    # What SQLite calls, by way of vfs.py. They raise Refusal with SQLite's code.

    def open(self, name, flags):
        """name: None for a temporary file. Returns the handle and the flags that were granted."""
        with self._lock:
            self._require_power()
            self._provoke("open", name)
            file = self._names.seen.get(name)
            if self.read_only:
                flags = flags & ~(READ_WRITE | CREATE) | READ_ONLY
            if file is None:
                file = self._create(name, flags)
            handle = Handle(self, file, name, flags)
            file.handles.append(handle)
            self._handles.append(handle)
            return handle, flags

    def delete(self, name, sync_directory):
        with self._lock:
            dying = self._begin("delete", name)
            file = self._names.seen.get(name)
            if file is None:
                self._end(dying)
                raise Refusal(sqlite3.SQLITE_IOERR_DELETE_NOENT)
            self._names.change(self._next(), name, None)
            self._forget_if_unused(file, name=None)
            self._end(dying)
            if sync_directory:
                self._names.make_durable()

    def access(self, name, question):
        with self._lock:
            self._require_power()
            file = self._names.seen.get(name)
            if file is None:
                return False
            if question == ACCESS_EXISTS:
                # The unix VFS counts an empty file as missing.
                return bool(file.content)
            return not (question == ACCESS_READ_WRITE and self.read_only)

    # What handles call

    def _write(self, handle, offset, data):
        file = handle.file
        dying = self._begin("write", handle.name)
        growth = max(0, offset + len(data) - len(file.content))
        if self.capacity_bytes is not None and growth > self.capacity_bytes - self._used:
            self._write_what_fits(file, offset, data)
            self._end(dying)
            raise Refusal(sqlite3.SQLITE_FULL)
        self._used += growth
        file.change(self._next(), offset, data)
        self._end(dying)

    def _write_what_fits(self, file, offset, data):
        # Holes take room too; only what fits behind them is written.
        end = len(file.content) + max(0, self.capacity_bytes - self._used)
        part = data[: max(0, end - offset)]
        if part:
            self._used += max(0, offset + len(part) - len(file.content))
            file.change(self._next(), offset, part)

    def _truncate(self, handle, size):
        dying = self._begin("truncate", handle.name)
        self._used += size - len(handle.file.content)
        handle.file.change(self._next(), size, None)
        self._end(dying)

    def _sync(self, handle):
        try:
            dying = self._begin("sync", handle.name)
        except Refusal:
            # Linux marks the pages clean all the same: no later sync writes them.
            handle.file.pending.clear()
            raise
        self._end(dying)
        handle.file.make_durable()
        if handle.syncs_directory:
            handle.syncs_directory = False
            self._names.make_durable()
        else:
            self._names.make_durable_one(handle.name, handle.file)

    def _close(self, handle):
        self._handles.remove(handle)
        handle.file.handles.remove(handle)
        if handle.deletes and self._names.seen.get(handle.name) is handle.file:
            self._names.change(self._next(), handle.name, None)
        self._forget_if_unused(handle.file, handle.name)

    # Inside

    def _load(self, files):
        with self._lock:
            for handle in getattr(self, "_handles", ()):
                handle.alive = False
            self._handles = []
            self._names = Names({name: File(data) for name, data in files.items()})
            self._used = sum(map(len, files.values()))

    def _create(self, name, flags):
        # SQLite opens temporary files, which have no name, without exception with CREATE.
        if not flags & CREATE:
            raise Refusal(sqlite3.SQLITE_CANTOPEN)
        file = File()
        if name is not None:
            self._names.change(self._next(), name, file)
        return file

    def _forget_if_unused(self, file, name):
        """Give a file's room back: it takes room as long as it has a name or is open."""
        if not file.handles and self._names.seen.get(name) is not file:
            self._used -= len(file.content)

    def _begin(self, kind, name):
        """Count an operation and let it fail; returns whether the power fails during it."""
        self._require_power()
        self.operations += 1
        if self._cut_at is not None and self.operations >= self._cut_at:
            return True
        self._provoke(kind, name)
        if self.read_only:
            raise Refusal(ANSWERS[kind])
        return False

    def _end(self, dying):
        if dying:
            self.powered = False
            raise Refusal(sqlite3.SQLITE_IOERR)

    def _next(self):
        self._number += 1
        return self._number

    def _provoke(self, kind, name):
        if self._faults and any(fault.strikes(kind, name) for fault in self._faults):
            raise Refusal(ANSWERS[kind])

    def _require_power(self):
        if not self.powered:
            raise Refusal(sqlite3.SQLITE_IOERR)

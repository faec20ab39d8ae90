"""A file that SQLite has open."""

import sqlite3

from tests.simulators.disk.vfs import Refusal

CREATE = 0x4
DELETE_ON_CLOSE = 0x8
JOURNALS = 0x800 | 0x4000 | 0x80000
"""A rollback journal, a super-journal, a WAL."""
SHARED, RESERVED, PENDING = 1, 2, 3


class Handle:
    """Fails for ever once the power was cut: then its process is dead."""

    def __init__(self, disk, file, name, flags):
        self.disk = disk
        self.file = file
        self.name = name
        self.alive = True
        self.level = 0
        self.deletes = bool(flags & DELETE_ON_CLOSE)
        # Like the unix VFS: with the first sync of each opening, whether the file is new or not.
        self.syncs_directory = bool(flags & CREATE and flags & JOURNALS)

    def read(self, size, offset):
        with self.disk._lock:
            self._require()
            self.disk._provoke("read", self.name)
            return bytes(self.file.content[offset : offset + size])

    def write(self, offset, data):
        with self.disk._lock:
            self._require()
            self.disk._write(self, offset, data)

    def truncate(self, size):
        with self.disk._lock:
            self._require()
            self.disk._truncate(self, size)

    def sync(self):
        with self.disk._lock:
            self._require()
            self.disk._sync(self)

    def size(self):
        with self.disk._lock:
            self._require()
            return len(self.file.content)

    def lock(self, level):
        with self.disk._lock:
            self._require()
            others = max((h.level for h in self.file.handles if h is not self), default=0)
            # Of others, a reader stands PENDING, a RESERVED one an EXCLUSIVE one.
            limit = {SHARED: PENDING, RESERVED: RESERVED}.get(level, SHARED)
            if level > self.level and others >= limit:
                if level > PENDING and self.level >= RESERVED and others < PENDING:
                    self.level = PENDING  # no new readers while it waits
                raise Refusal(sqlite3.SQLITE_BUSY)
            self.level = max(self.level, level)

    def unlock(self, level):
        with self.disk._lock:
            self.level = min(self.level, level)

    def is_reserved(self):
        with self.disk._lock:
            self._require()
            return any(handle.level >= RESERVED for handle in self.file.handles)

    def close(self):
        with self.disk._lock:
            if self.alive:
                self.alive = False
                self.disk._close(self)

    def _require(self):
        if not (self.alive and self.disk.powered):
            raise Refusal(sqlite3.SQLITE_IOERR)

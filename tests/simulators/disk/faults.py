"""I/O errors that a test has ordered."""

import dataclasses
import sqlite3

ANSWERS = {
    "write": sqlite3.SQLITE_IOERR_WRITE,
    "sync": sqlite3.SQLITE_IOERR_FSYNC,
    "read": sqlite3.SQLITE_IOERR_READ,
    "truncate": sqlite3.SQLITE_IOERR_TRUNCATE,
    "delete": sqlite3.SQLITE_IOERR_DELETE,
    "open": sqlite3.SQLITE_CANTOPEN,
}
"""What SQLite's unix VFS says when the call under it fails."""


@dataclasses.dataclass
class Fault:
    kind: str
    after: int
    times: int | None
    on: str

    def strikes(self, kind, name):
        if kind != self.kind or not (name or "").endswith(self.on) or self.times == 0:
            return False
        if self.after:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True

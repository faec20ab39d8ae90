"""A disk in memory that loses power, fills up and breaks, under the real SQLite.

    with Disk() as disk:
        connection = sqlite3.connect(disk.uri("/outbox.sqlite"), uri=True)
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")   # there is no shared memory
        ...
        disk.cut_after(7)                     # the power fails during the 7th change from now
        ...                                   # sqlite3.OperationalError: disk I/O error
        disk.power_cut(random.Random(1), "some")
        connection = sqlite3.connect(disk.uri("/outbox.sqlite"), uri=True)   # after the reboot

The program under test, the `sqlite3` module and its library are the real ones; only the bottom
layer, SQLite's VFS, is replaced. The disk answers as SQLite's unix VFS answers on Linux.

What is simulated:

- what is written is seen at once, and durable only after the file's next successful sync;
- a power cut takes away un-synced changes, by one of `MODES`:
  "none"    none of them survives;
  "prefix"  they survive in their order up to a point, the last one torn at a sector's border;
  "some"    every sector of 512 bytes, every file's size and every name is, each on its own, in the
            state after some of its changes: torn and reordered writes, sizes without data. A
            truncation is done wholly or not at all, and before what is written behind it;
  "all"     all survive: the program was killed, the machine was not;
- a sync that fails drops what it should have written, for ever, as Linux does: the program still
  sees it, and the next sync succeeds without it;
- names: a new file's name is durable after the first sync of that file, as on ext4. A journal's or
  WAL's first sync makes all names durable, because SQLite's unix VFS then syncs the directory too.
  A deletion is durable with the next of those, or at once where SQLite asks for a directory sync;
- a full disk: a write stores what still fits, then SQLITE_FULL;
- a read-only disk: files open read-only, as after a reboot (SQLITE_READONLY on writing), new ones
  not at all (SQLITE_CANTOPEN); files already open fail with SQLITE_IOERR, as they do on Linux when
  the kernel remounts a broken file system;
- I/O errors of every kind, flipped bits, and two programs with one database (SQLITE_BUSY).

What is not simulated:

- a disk that lies: a cache that reports a sync as done and is not, or firmware that breaks old data
  while it writes new. Against these no program helps. An SD card may be such a disk;
- a sector that is itself torn: SQLite relies on 512 bytes being written wholly or not at all, and
  on neighbours being left alone (SQLITE_IOCAP_POWERSAFE_OVERWRITE, as its unix VFS does);
- the file system's own metadata: it is taken to be journalled, so that a cut never makes the disk
  unmountable or mixes files. Old blocks never show up in grown files: they read as zeros;
- blocks: a file takes its length, to the byte, and a name takes nothing;
- silent corruption, but for what a test does with `corrupt` and `flip`;
- shared memory and memory-mapped files: WAL needs locking_mode=EXCLUSIVE, set first;
- chance inside SQLite (a WAL's salts): the same seed cuts at the same place in the same way, while
  the salts differ.

`CannotSimulate` is raised where the running Python hides its SQLite library: skip loudly.
"""

from tests.simulators.disk.library import CannotSimulate
from tests.simulators.disk.medium import Disk
from tests.simulators.disk.state import MODES

__all__ = ["MODES", "CannotSimulate", "Disk"]

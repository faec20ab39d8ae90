"""Finds the very SQLite library that Python's `sqlite3` uses, and proves that it is the one."""

import _sqlite3
import ctypes
import functools
import itertools
import sqlite3
from contextlib import closing
from ctypes import c_char_p, c_int, c_void_p
from pathlib import Path

MAPS = Path("/proc/self/maps")
_counter = itertools.count(1)


class CannotSimulate(Exception):  # noqa: N818 - a sentence for whoever skips
    """The SQLite library of this Python cannot be reached."""


class Vfs(ctypes.Structure):
    """`sqlite3_vfs`, version 2. Functions are plain addresses, so that they can be copied."""


Vfs._fields_ = [
    ("iVersion", c_int),
    ("szOsFile", c_int),
    ("mxPathname", c_int),
    ("pNext", c_void_p),
    ("zName", c_char_p),
    ("pAppData", c_void_p),
    ("xOpen", c_void_p),
    ("xDelete", c_void_p),
    ("xAccess", c_void_p),
    ("xFullPathname", c_void_p),
    ("xDlOpen", c_void_p),
    ("xDlError", c_void_p),
    ("xDlSym", c_void_p),
    ("xDlClose", c_void_p),
    ("xRandomness", c_void_p),
    ("xSleep", c_void_p),
    ("xCurrentTime", c_void_p),
    ("xGetLastError", c_void_p),
    ("xCurrentTimeInt64", c_void_p),
]


def unique_name(prefix):
    return f"{prefix}-{next(_counter)}"


def copy_of_default(library, name):
    """Make a VFS that does what the default one does, under another name. Not yet registered."""
    default = library.sqlite3_vfs_find(None).contents
    vfs = Vfs.from_buffer_copy(default)
    vfs.iVersion = min(default.iVersion, 2)
    vfs.pNext = None
    vfs.zName = name.encode()
    return vfs


@functools.cache
def find_library():
    """Raises CannotSimulate."""
    for path in _candidates():
        library = _load(path)
        if library is not None and _is_pythons(library):
            return library
    raise CannotSimulate(
        "The SQLite library inside this Python cannot be reached (it is linked statically and "
        "hides its symbols), so no simulated disk can be put under it. Use a Python whose _sqlite3 "
        "module is linked to a shared libsqlite3, such as the distribution's."
    )


def _candidates():
    # A handle of the extension module also finds symbols in the library it is linked to.
    yield getattr(_sqlite3, "__file__", None)
    lines = MAPS.read_text().splitlines() if MAPS.exists() else []
    yield from sorted({line.split(maxsplit=5)[-1] for line in lines if "sqlite3" in line})
    yield None  # the program itself


def _load(path):
    try:
        library = ctypes.CDLL(path)
        library.sqlite3_sourceid.restype = c_char_p
        library.sqlite3_vfs_find.argtypes = [c_char_p]
        library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
        library.sqlite3_vfs_register.argtypes = [ctypes.POINTER(Vfs), c_int]
        library.sqlite3_vfs_unregister.argtypes = [ctypes.POINTER(Vfs)]
    except (OSError, AttributeError):
        return None
    return library


def _is_pythons(library):
    """Two copies of one version have one source id: only a registered name tells them apart."""
    with closing(sqlite3.connect(":memory:")) as connection:
        source_id = connection.execute("SELECT sqlite_source_id()").fetchone()[0]
    if library.sqlite3_sourceid().decode() != source_id:
        return False
    name = unique_name("probe")
    probe = copy_of_default(library, name)
    library.sqlite3_vfs_register(ctypes.byref(probe), 0)
    try:
        sqlite3.connect(f"file::memory:?vfs={name}", uri=True).close()
    except sqlite3.OperationalError:
        return False
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(probe))
    return True

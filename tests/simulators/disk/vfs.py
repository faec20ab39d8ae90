"""The bridge: SQLite's C calls become calls of `Disk` and `Handle`.

The callbacks belong to the module, not to a disk, and live as long as the process: a connection
that outlives its disk then still finds them. SQLite's pointer tells which disk or handle is meant.
An exception must never reach C: a `Refusal` becomes its code, anything else SQLITE_IOERR and one
of the disk's `surprises`.
"""

import atexit
import ctypes
import functools
import sqlite3
from ctypes import c_char_p, c_int, c_int64, c_void_p

from tests.simulators.disk.library import copy_of_default, find_library, unique_name

UNIX_SECTOR = 4096
POWERSAFE_OVERWRITE = 0x1000
"""Sector size and characteristics of SQLite's unix VFS: SQLite must behave as on the appliance."""
LONGEST_PATH = 512

_disks = {}  # address of the VFS: Disk
_handles = {}  # address of the sqlite3_file: Handle
_registered = {}  # name: VFS, for ever: a connection may hold its pointer after the disk is gone


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """SQLite gets this result code."""

    def __init__(self, code):
        super().__init__(code)
        self.code = code


class SqliteFile(ctypes.Structure):
    _fields_ = [("methods", c_void_p)]


def register(disk):
    """Raises CannotSimulate. Returns the name for `vfs=`."""
    library = find_library()
    name = unique_name("disk")
    vfs = copy_of_default(library, name)
    vfs.szOsFile = ctypes.sizeof(SqliteFile)
    vfs.mxPathname = LONGEST_PATH
    for field, callback in VFS_CALLBACKS.items():
        setattr(vfs, field, _address(callback))
    _registered[name] = vfs
    _disks[ctypes.addressof(vfs)] = disk
    library.sqlite3_vfs_register(ctypes.byref(vfs), 0)
    return name


def unregister(disk):
    vfs = _registered[disk.name]
    if _disks.pop(ctypes.addressof(vfs), None):
        find_library().sqlite3_vfs_unregister(ctypes.byref(vfs))


def _address(callback):
    return ctypes.cast(callback, c_void_p).value


def _callback(*arguments):
    """Make a C function that takes a pointer and `arguments` and returns a result code."""

    def decorate(function):
        @functools.wraps(function)
        def guarded(address, *rest):
            try:
                return function(address, *rest) or 0
            except Refusal as refusal:
                return refusal.code
            except BaseException as error:  # noqa: BLE001 - C cannot take it
                _note(address, error)
                return sqlite3.SQLITE_IOERR

        return ctypes.CFUNCTYPE(c_int, c_void_p, *arguments)(guarded)

    return decorate


def _note(address, error):
    disk = _disks.get(address)
    if disk is None and address in _handles:
        disk = _handles[address].disk
    if disk is not None:
        disk.surprises.append(error)


def _disk(address):
    if address not in _disks:
        raise Refusal(sqlite3.SQLITE_IOERR)  # closed
    return _disks[address]


def _text(name):
    return None if name is None else name.decode("utf-8", "surrogateescape")


@_callback(c_char_p, c_void_p, c_int, c_void_p)
def _open(vfs, name, file, flags, flags_out):
    # Without methods SQLite does not close what was not opened.
    SqliteFile.from_address(file).methods = None
    handle, granted = _disk(vfs).open(_text(name), flags)
    _handles[file] = handle
    SqliteFile.from_address(file).methods = ctypes.addressof(METHODS)
    if flags_out:
        c_int.from_address(flags_out).value = granted


@_callback(c_char_p, c_int)
def _delete(vfs, name, sync_directory):
    _disk(vfs).delete(_text(name), bool(sync_directory))


@_callback(c_char_p, c_int, c_void_p)
def _access(vfs, name, question, result):
    c_int.from_address(result).value = _disk(vfs).access(_text(name), question)


@_callback(c_char_p, c_int, c_void_p)
def _full_path(vfs, name, size, result):
    path = name if name.startswith(b"/") else b"/" + name
    if len(path) >= size:
        return sqlite3.SQLITE_CANTOPEN
    ctypes.memmove(result, path + b"\0", len(path) + 1)
    return 0


@_callback(c_int, c_void_p)
def _last_error(vfs, size, result):
    return 0


@_callback()
def _close(file):
    _handles.pop(file).close()


@_callback(c_void_p, c_int, c_int64)
def _read(file, buffer, size, offset):
    data = _handles[file].read(size, offset)
    ctypes.memmove(buffer, data, len(data))
    if len(data) < size:
        ctypes.memset(buffer + len(data), 0, size - len(data))
        return sqlite3.SQLITE_IOERR_SHORT_READ
    return 0


@_callback(c_void_p, c_int, c_int64)
def _write(file, buffer, size, offset):
    _handles[file].write(offset, ctypes.string_at(buffer, size))


@_callback(c_int64)
def _truncate(file, size):
    _handles[file].truncate(size)


@_callback(c_int)
def _sync(file, flags):
    _handles[file].sync()


@_callback(c_void_p)
def _size(file, result):
    c_int64.from_address(result).value = _handles[file].size()


@_callback(c_int)
def _lock(file, level):
    _handles[file].lock(level)


@_callback(c_int)
def _unlock(file, level):
    _handles[file].unlock(level)


@_callback(c_void_p)
def _is_reserved(file, result):
    c_int.from_address(result).value = _handles[file].is_reserved()


@_callback(c_int, c_void_p)
def _control(file, operation, argument):
    return sqlite3.SQLITE_NOTFOUND


@_callback()
def _sector_size(file):
    return UNIX_SECTOR


@_callback()
def _characteristics(file):
    return POWERSAFE_OVERWRITE


VFS_CALLBACKS = {
    "xOpen": _open,
    "xDelete": _delete,
    "xAccess": _access,
    "xFullPathname": _full_path,
    "xGetLastError": _last_error,
}
"""The rest (time, sleep, randomness) is the default VFS's."""

METHOD_CALLBACKS = {
    "xClose": _close,
    "xRead": _read,
    "xWrite": _write,
    "xTruncate": _truncate,
    "xSync": _sync,
    "xFileSize": _size,
    "xLock": _lock,
    "xUnlock": _unlock,
    "xCheckReservedLock": _is_reserved,
    "xFileControl": _control,
    "xSectorSize": _sector_size,
    "xDeviceCharacteristics": _characteristics,
}
"""In the order of `sqlite3_io_methods`, version 1."""


class Methods(ctypes.Structure):
    _fields_ = [("iVersion", c_int), *[(name, c_void_p) for name in METHOD_CALLBACKS]]


METHODS = Methods(1, *map(_address, METHOD_CALLBACKS.values()))


@atexit.register
def _outlive_python():
    """Let a connection that nobody closed die in peace after the callbacks are gone.

    SQLite's own functions stand in for them: one that always returns 1, SQLITE_ERROR, and for
    closing one that returns 0. They take no arguments, and C lets them be called with some.
    """
    if not _registered:
        return
    library = find_library()
    for name in METHOD_CALLBACKS:
        setattr(METHODS, name, _address(library.sqlite3_threadsafe))
    METHODS.xClose = _address(library.sqlite3_initialize)
    for vfs in _registered.values():
        for name in VFS_CALLBACKS:
            setattr(vfs, name, _address(library.sqlite3_threadsafe))
    for memory in (METHODS, *_registered.values()):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))

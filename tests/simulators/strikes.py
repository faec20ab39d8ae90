"""Strikes at one system call of a piece of code: it fails, or the process dies there with kill -9.

    count = calls(run)                              how many there are
    with struck(Strike(3, errno.EIO)): run()        the third fails
    died = killed(run, 3)                           a child dies at the third

Struck are the calls that change a disk or wait for it, as Python's `os` makes them; `tempfile`,
`shutil` and `pathlib` go through the same. Reads are left alone.
"""

import contextlib
import errno
import os
import signal
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

CHANGES = ("write", "fsync", "unlink", "rename", "replace", "rmdir", "mkdir", "link", "symlink")
OPENS_TO_WRITE = os.O_WRONLY | os.O_RDWR | os.O_CREAT


@dataclass
class Strike:
    """At call `number`, from 1; lasting: at all later ones, too. only: at calls of these names."""

    number: int
    code: int = errno.EIO
    lasting: bool = False
    only: tuple = ()
    kill: bool = False
    seen: int = 0

    def at(self, name, path):
        if self.only and name not in self.only:
            return
        self.seen += 1
        if self.seen != self.number and not (self.lasting and self.seen > self.number):
            return
        if self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.code, os.strerror(self.code), str(path))


@contextlib.contextmanager
def struck(strike, trace=None):
    """Let calls pass by `strike`. trace: a list that gets the name and path of each."""
    with contextlib.ExitStack() as patches:
        for name in CHANGES:
            real = getattr(os, name)
            patches.enter_context(mock.patch.object(os, name, _passing(name, real, strike, trace)))
        patches.enter_context(mock.patch.object(os, "open", _opening(os.open, strike, trace)))
        make = _passing("create", tempfile.mkstemp, strike, trace)
        patches.enter_context(mock.patch.object(tempfile, "mkstemp", make))
        yield strike


def calls(run):
    """Run it, and return how many calls it made."""
    with struck(Strike(0)) as strike:
        run()
    return strike.seen


def killed(run, number):
    """Run it in a child that dies at that call; return whether it did."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads, which it has none of
        child = os.fork()
    if child == 0:
        try:
            with struck(Strike(number, kill=True)):
                run()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _passing(name, real, strike, trace):
    def call(*arguments, **options):
        where = arguments[0] if arguments else options.get("dir", "")
        if isinstance(where, int):
            where = Path(f"/proc/self/fd/{where}").readlink()
        if trace is not None:
            trace.append((name, str(where)))
        strike.at(name, where)
        return real(*arguments, **options)

    return call


def _opening(real, strike, trace):
    def call(path, flags, *arguments, **options):
        if flags & OPENS_TO_WRITE and not flags & os.O_CREAT:
            if trace is not None:
                trace.append(("open", str(path)))
            strike.at("open", path)
        return real(path, flags, *arguments, **options)

    return call

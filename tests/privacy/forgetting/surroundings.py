"""What goes wrong around a running appliance, for real: its disk, its memory, its broker, a crash.

Each is a context: it begins when the block is entered and is over when the block is left. What
cannot be made here is in `NOT_HERE`, for the report.
"""

import contextlib
import errno
import os
import resource
import shutil
import signal
import subprocess
import time
from functools import cache
from pathlib import Path

NOT_HERE = {
    "swap pressure": (
        "Nothing is ever swapped out here: there is no swap area, and the proof makes none on "
        "other people's machines. That pages cannot be swapped is shown by VmLck and VmSwap."
    ),
}
_SMALL_MB = 8
_BLOCK = 1 << 16
_FILL = "filling"


def _as_root(*words):
    before = [] if os.geteuid() == 0 else ["sudo", "-n"]
    return [*before, *map(str, words)]


@cache
def no_small_disk():
    """Return why no file system can be mounted here, in a sentence, or None."""
    if os.geteuid() == 0:
        return None
    if shutil.which("sudo") and not subprocess.run(_as_root("true"), check=False).returncode:
        return None
    return "Only root may mount a small disk."


class SmallDisk:
    """A file system of a few megabytes at a folder; mount it before the appliance starts.

    Without root, or sudo that asks for no password, there is none: `no_small_disk` says so, and
    `file_limit` stands in.
    """

    def __init__(self, folder, megabytes=_SMALL_MB):
        self._folder = Path(folder)
        self._megabytes = megabytes

    def __enter__(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        kept = {path.name: path.read_bytes() for path in self._folder.iterdir()}
        options = f"size={self._megabytes}m,mode=700,uid={os.geteuid()},gid={os.getegid()}"
        line = _as_root("mount", "-t", "tmpfs", "-o", options, "small-disk", self._folder)
        subprocess.run(line, check=True)
        for name, content in kept.items():
            (self._folder / name).write_bytes(content)
            (self._folder / name).chmod(0o600)
        return self

    def __exit__(self, *_):
        # Lazily: a process that was killed may hold it for a moment longer.
        subprocess.run(_as_root("umount", "-l", self._folder), check=False)

    @contextlib.contextmanager
    def full(self):
        """Fill it to the last byte: every write is answered with ENOSPC."""
        path = self._folder / _FILL
        with path.open("wb", buffering=0) as file:
            for size in (_BLOCK, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        assert self.refuses(), "the disk is not full"
        try:
            yield
        finally:
            path.unlink(missing_ok=True)

    def refuses(self):
        """Tell whether a byte can no longer be written."""
        probe = self._folder / "one-byte"
        try:
            probe.write_bytes(b"x" * _BLOCK)
        except OSError as error:
            return error.errno == errno.ENOSPC
        finally:
            probe.unlink(missing_ok=True)
        return False


@contextlib.contextmanager
def _limited(pid, which, least):
    before = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (least, before[1]))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it has ended of it
            resource.prlimit(pid, which, before)


def file_limit(pid, least=0):
    """No file may grow beyond so many bytes: EFBIG where a small disk cannot be had.

    Python ignores SIGXFSZ, so the write fails as on a full disk and the process goes on.
    """
    return _limited(pid, resource.RLIMIT_FSIZE, least)


def no_memory(pid, more_kb=0):
    """The process gets no more address space than it has, but for a little: mmap and brk fail.

    What is in its allocator's free lists it still has. A running appliance asks for hardly any
    more, so that it goes on; where it must fail, begin with `memory_at_most`.
    """
    return _limited(pid, resource.RLIMIT_AS, _size_bytes(pid) + more_kb * 1024)


def memory_at_most(megabytes):
    """Return what stands before a command line to give it so little address space from the start.

    With the built-in models the appliance lives in some 520 MB of it; below, it ends at its start.
    """
    return ["prlimit", f"--as={megabytes << 20}"]


def _size_bytes(pid):
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
    return pages * resource.getpagesize()


@contextlib.contextmanager
def broker_down(tap, how="refuse"):
    """how: "refuse" (nobody listens) or "hang" (everything is taken, nothing is answered)."""
    {"refuse": tap.refuse, "hang": tap.hang}[how]()
    try:
        yield
    finally:
        tap.heal()


def crash(pid, number=signal.SIGSEGV, wait=None):
    """Make a process crash as by an error of its own; return the core files that came of it.

    wait: called until the process has ended, as `process.wait`. core_pattern stays as it is on
    this machine. Where it pipes to a program (systemd-coredump), nothing of it can be seen in a
    folder: see `core_pattern`.
    """
    folders = {Path(f"/proc/{pid}/cwd").readlink()}
    pattern = core_pattern()
    if pattern.startswith("/"):
        folders.add(Path(pattern).parent)
    began_s = time.time() - 1
    os.kill(pid, number)
    if wait is not None:
        wait()
    return [
        path
        for folder in folders
        if folder.is_dir()
        for path in folder.iterdir()
        if _core_like(path, pid, pattern) and path.stat().st_mtime >= began_s
    ]


def _core_like(path, pid, pattern):
    name = Path(pattern).name.partition("%")[0]
    return path.is_file() and (path.name.startswith(name or "core") or str(pid) in path.name)


def core_pattern():
    """Return where the kernel writes core files on this machine."""
    return Path("/proc/sys/kernel/core_pattern").read_text().strip()


def dump_limits(pid):
    """Return the limit of a process's core files in bytes (soft, hard); (0, 0): there are none."""
    return resource.prlimit(pid, resource.RLIMIT_CORE)

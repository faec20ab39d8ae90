"""Every write, every peer and every program of a process, as strace lists them.

`prefix(file)` goes before the program's command line; `Traced.read(file)` is what it did, threads
and children included. The tracer is no parent of the program: the program's id is that of the
process that was started, and its exit code is its own. Reading a file is never listed.
"""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.privacy.forgetting.calls import (
    Peer,
    calls_in,
    content_of,
    descriptors_in,
    ends_in,
    flags_in,
    names_in,
    peers_in,
    words_in,
)

PROGRAM = shutil.which("strace")
_WHOLE = 1 << 20
"""Longest stretch of one write that is kept with `contents`; the appliance's are far shorter."""

_BY_NAME = (
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "truncate"),
    *("unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "mknod", "mknodat"),
    *("setxattr", "lsetxattr"),
)
_BY_DESCRIPTOR = ("write", "writev", "pwrite64", "pwritev", "pwritev2", "ftruncate", "fallocate")
_BETWEEN_DESCRIPTORS = ("sendfile", "splice", "copy_file_range", "vmsplice", "tee")
_SOCKETS = ("connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg")
_OPENING = ("open", "openat", "openat2", "creat")
_PROGRAMS = ("execve", "execveat")
_PROCESSES = ("fork", "vfork", "clone", "clone3")
# Ways out of a process that nothing of ours uses and that this list could not follow.
ODD = (
    *("io_uring_setup", "ptrace", "process_vm_writev", "pidfd_getfd", "mount", "swapon", "bpf"),
    *("shmget", "shmat", "mq_open", "msgget", "add_key", "keyctl", "memfd_secret", "userfaultfd"),
    *("perf_event_open", "init_module", "finit_module", "kexec_load", "open_by_handle_at"),
)
_CALLS = (
    *_BY_NAME,
    *_BY_DESCRIPTOR,
    *_BETWEEN_DESCRIPTORS,
    *_SOCKETS,
    *_OPENING,
    *_PROGRAMS,
    *_PROCESSES,
    *ODD,
    *("mmap", "memfd_create", "fsetxattr", "chdir", "fchdir"),
)

_WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)")


def why_not() -> str | None:
    """Return why nothing can be traced here, in a sentence, or None."""
    if PROGRAM is None:
        return "strace is not installed: please run: sudo apt install strace"
    tried = subprocess.run(
        [PROGRAM, "-D", "-f", "-q", "-o", "/dev/null", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode or tried.stderr:
        return f"strace may not trace here ({tried.stderr.strip()}): allow ptrace."
    return None


def prefix(file, *, contents=False):
    """Return what stands before the command line of the program that is to be traced.

    contents: keep every byte that it writes and sends too, so that `Traced.search` can look
    through what was written to a file that is no longer there.
    """
    calls = ",".join(f"?{name}" for name in _CALLS)
    line = [PROGRAM, "-D", "-f", "--seccomp-bpf", "-q", "-yy"]
    return [*line, "-s", str(_WHOLE if contents else 0), "-o", str(file), "-e", f"trace={calls}"]


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was opened for writing, written, made, renamed, removed…: `call` says which."""

    path: str
    call: str
    process: int


class Traced:
    """What a process and all that it started did. cwd: where it was started."""

    def __init__(self, text, cwd=None):
        self.calls = list(calls_in(text))
        self._cwd = str(cwd or Path.cwd())

    @classmethod
    def read(cls, file, *, cwd=None, patience_s=10.0):
        """Read a trace; wait until the tracer has written its last line."""
        file = Path(file)
        deadline = time.monotonic() + patience_s
        text = file.read_bytes()
        while not _whole(text) and time.monotonic() < deadline:
            time.sleep(0.05)
            text = file.read_bytes()
        return cls(text.decode("utf-8", "surrogateescape"), cwd)

    @cached_property
    def writes(self):
        """All files that were written or named, in order; memory files and devices included."""
        found = []
        cwd = self._cwd
        for call in self.calls:
            if call.failed:
                continue
            if call.name in {"chdir", "fchdir"}:
                cwd = next(names_in(call, cwd), cwd)
                continue
            found += [Written(path, call.name, call.process) for path in _written(call, cwd)]
        return found

    def writes_outside(self, allowed):
        """Return what was written to a file system, but not in these folders and files."""
        allowed = [str(Path(one).absolute()) for one in allowed]
        return [
            one
            for one in self.writes
            if not one.path.startswith("memfd:")
            and one.path != "/dev/null"  # keeps nothing
            and not any(one.path == part or one.path.startswith(f"{part}/") for part in allowed)
        ]

    def memory_files(self):
        """Return the names of files in memory (memfd): seen by `disk.descriptors`, not on disk."""
        return {one.path for one in self.writes if one.path.startswith("memfd:")}

    @cached_property
    def peers(self):
        """Everybody who was contacted or could be heard, the kernel's netlink left out."""
        found = [peer for call in self.calls for peer in peers_in(call)]
        own = {end for call in self.calls for end in ends_in(call)}
        return {
            Peer(one.family, one.address, one.port, itself=(one.address, one.port) in own)
            for one in found
        }

    def commands(self):
        """Return the command lines of all programs that were executed; needs `contents=True`."""
        return [words_in(call) for call in self.calls if call.name in _PROGRAMS and not call.failed]

    def copies(self):
        """Return the calls that gave a process of its own a copy of this one's memory."""
        return [
            call
            for call in self.calls
            if call.name in _PROCESSES
            and not (call.failed or "CLONE_VM" in call.arguments or call.name == "vfork")
        ]

    def processes(self):
        """Return the ids of processes (not threads) that were started."""
        return [
            int(call.result.split()[0])
            for call in self.calls
            if call.name in _PROCESSES
            and "CLONE_THREAD" not in call.arguments
            and call.result[0].isdigit()
        ]

    def odd(self):
        """Return calls that could carry something out on ways which this list cannot follow."""
        return [call for call in self.calls if call.name in ODD and not call.failed]

    def search(self, needles):
        """Look through every byte that was written or sent; needs `prefix(contents=True)`."""
        found = []
        for call in self.calls:
            where, parts = content_of(call)
            for part in parts:
                found += needles.search(part, where=where)
        return found

    def bytes_kept(self):
        """Return how many bytes `search` looks through."""
        return sum(len(part) for call in self.calls for part in content_of(call)[1])


def _whole(text):
    """Tell whether every process and thread in the trace has ended."""
    seen, ended = set(), set()
    for line in text.splitlines():
        process, _, rest = line.partition(b" ")
        seen.add(process)
        # A thread that calls execve goes on under its process's id: "+++ superseded by execve".
        if rest.lstrip().startswith(b"+++ "):
            ended.add(process)
    return bool(seen) and seen == ended


def _written(call, cwd):
    """Return the paths of files that a call writes."""
    if call.name in _OPENING:
        flags = flags_in(call)
        if call.name != "creat" and not _WRITING.search(flags):
            return []
        opened = descriptors_in(call.result)
        return [one for one in opened if one] or list(names_in(call, cwd))
    if call.name in _BY_NAME:
        # What a symbolic link points to is not touched.
        return list(names_in(call, cwd))[1 if call.name.startswith("symlink") else 0 :]
    if call.name == "memfd_create":
        return descriptors_in(call.result)
    if call.name == "mmap":
        flags = flags_in(call)
        shared = "PROT_WRITE" in flags and "MAP_SHARED" in flags
        places = descriptors_in(call.arguments)[:shared]
    elif call.name in (*_BY_DESCRIPTOR, "fsetxattr"):
        # The first one: behind it there is content, which may look like another.
        places = descriptors_in(call.arguments)[:1]
    elif call.name in _BETWEEN_DESCRIPTORS:
        places = descriptors_in(call.arguments)
        places = places[:1] if call.name in {"sendfile", "vmsplice"} else places[-1:]
    else:
        places = []
    return [path for path in places if path]

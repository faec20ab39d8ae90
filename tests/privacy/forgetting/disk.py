"""What a process leaves on disks: changed files, what is in them, open descriptors, swap.

`Watch` tells which files changed since it was made, in every place that a process may write to.
`search` looks through every byte of every file: a database's free pages, its log and its journal
are bytes like others.
Templates in a text: see `texts`.
"""

import contextlib
import itertools
import os
import re
import subprocess
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.privacy.forgetting.texts import Numbers, text_forms

__all__ = ["Numbers", "text_forms"]

_CHUNK = 16 << 20
_OVERLAP = 1 << 16
_NUMERAL = re.compile(r"\d+(\.\d+)?")
_PSEUDO = ("proc", "sysfs", "cgroup", "cgroup2", "devtmpfs", "devpts", "debugfs", "tracefs", "bpf")


def places(*more):
    """Return the folders that any process of this user may write to, `more` among them."""
    named = [tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm", "/run", "/var/log"]
    named += [Path.home(), Path.cwd(), sysconfig.get_paths()["purelib"], *more]
    found = []
    for one in sorted({Path(name).resolve() for name in named}):
        if one.is_dir() and not any(one.is_relative_to(other) for other in found):
            found.append(one)
    # A file system that is mounted inside a place is a place of its own: find stays on one.
    mounted = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    inside = [
        Path(_unescaped(where))
        for _, where, kind, options, *_ in mounted
        if kind not in _PSEUDO and "rw" in options.split(",") and where != "/"
    ]
    return found + [one for one in inside if one not in found and _within(one, found)]


def _unescaped(text):
    """Return a mount point's name: /proc/mounts writes a blank as \\040."""
    return text.encode().decode("unicode_escape")


def _within(path, folders):
    return any(path.is_relative_to(folder) for folder in folders)


@dataclass(frozen=True, slots=True)
class Change:
    """kind: "new" or "changed" file; "emptied" folder: something was removed or moved away."""

    path: str
    kind: str
    size: int


class Watch:
    """What changed on disks since this was made, whoever changed it.

    A file's ctime is the kernel's own mark and moves with every change of content, name or rights;
    no user can set it back. So nothing has to be remembered, and one walk at the end will do.
    """

    def __init__(self, *more):
        self.places = places(*more)
        self.seconds = 0.0
        self._folder = tempfile.TemporaryDirectory(prefix="mark")
        self._mark = Path(self._folder.name) / "mark"
        self._mark.touch()
        self._began_s = self._mark.stat().st_ctime_ns / 1e9
        time.sleep(0.02)  # the kernel's clock for files ticks every few milliseconds

    def changes(self, allowed=()):
        """Return all changes outside of these folders and files."""
        began = time.monotonic()
        allowed = [str(Path(one).resolve()) for one in (*allowed, self._folder.name)]
        searches = [self._walk(place) for place in self.places]
        entries = [entry for one in searches for entry in _entries(one)]
        self.seconds = time.monotonic() - began
        found = [self._change(entry) for entry in entries]
        explained = {os.path.dirname(one.path) for one in found if one.kind != "emptied"}  # noqa: PTH120
        return [
            one
            for one in found
            if not _inside(one.path, allowed)
            and not (one.kind == "emptied" and (one.path in explained or _holds(one, allowed)))
        ]

    def close(self):
        self._folder.cleanup()

    def _walk(self, place):
        line = ["find", place, "-xdev", "-newercm", self._mark]
        return subprocess.Popen(
            [*line, "-printf", r"%y %s %B@ %p\0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def _change(self, entry):
        kind, size, born, path = entry.split(" ", 3)
        # Where a file system keeps no time of birth, find prints something that is no number.
        new = _NUMERAL.fullmatch(born) is not None and float(born) >= self._began_s - 0.01
        if kind == "d" and not new:
            return Change(path, "emptied", 0)
        return Change(path, "new" if new else "changed", int(size))


def _entries(search):
    with search:
        output, _ = search.communicate()
    return os.fsdecode(output).split("\0")[:-1]


def _inside(path, allowed):
    return any(path == one or path.startswith(f"{one}/") for one in allowed)


def _holds(change, allowed):
    """A folder in which an allowed folder lies changes when that one is made."""
    return any(os.path.dirname(one) == change.path for one in allowed)  # noqa: PTH120


def attributed(changes, traced):
    """Return the changes that the traced program made, and those of others."""
    written = {one.path for one in traced.writes}
    ours = [one for one in changes if one.path in written]
    return ours, [one for one in changes if one.path not in written]


def search(folder, needles):
    """Look through the names and every byte of every file below a folder."""
    found = []
    for parent, folders, names in os.walk(folder):
        for name in names + folders:
            path = Path(parent, name)
            found += needles.search(os.fsencode(name), where=f"name {path}")
            if not path.is_symlink() and path.is_file():
                found += search_file(path, needles)
            with contextlib.suppress(OSError):
                for key in os.listxattr(path, follow_symlinks=False):
                    content = os.getxattr(path, key, follow_symlinks=False)
                    found += needles.search(content, where=f"attribute {key} of {path}")
    return found


def search_file(path, needles, where=""):
    """Look through one file, however large."""
    found = {}
    with Path(path).open("rb") as file:
        begin, kept = 0, b""
        while chunk := file.read(_CHUNK):
            content = kept + chunk
            for find in needles.search(content, base=begin, where=where or str(path)):
                # A stretch in the overlap is found twice, cut the first time: the longer counts.
                before = found.get(find.at)
                found[find.at] = find if before is None or find.length > before.length else before
            kept = content[-_OVERLAP:]
            begin += len(content) - len(kept)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One open descriptor. kind: "file", "deleted", "memory" or what the kernel calls it."""

    number: int
    name: str
    kind: str


def descriptors(pid):
    """Return all open descriptors of a process."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            name = str(entry.readlink())
            found.append(Descriptor(int(entry.name), name, _kind(name)))
    return sorted(found, key=lambda one: one.number)


def _kind(name):
    if name.startswith(("/memfd:", "/dev/shm/")):
        return "memory"
    if not name.startswith("/"):
        return name.partition(":")[0]
    if name.startswith("/dev/"):
        return "device"
    return "deleted" if name.endswith(" (deleted)") else "file"


def search_descriptors(pid, needles):
    """Look through every file that is open, those that have no name any more among them."""
    found = []
    for one in descriptors(pid):
        if one.kind in {"file", "deleted", "memory"}:
            entry = Path(f"/proc/{pid}/fd/{one.number}")
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):
                found += search_file(entry, needles, where=f"descriptor {one.number}, {one.name}")
    return found


@dataclass(frozen=True, slots=True)
class Swap:
    """swapped_kb: of this process. areas: swap files and partitions. locked_kb: cannot be."""

    swapped_kb: int
    areas: tuple[str, ...]
    locked_kb: int


def swap(pid):
    """Return how much of a process lies in swap, and whether there is any."""
    status = Path(f"/proc/{pid}/status").read_text("ascii", "replace")
    numbers = dict(re.findall(r"^(VmSwap|VmLck):\s+(\d+) kB", status, re.MULTILINE))
    areas = Path("/proc/swaps").read_text().splitlines()[1:]
    return Swap(
        int(numbers.get("VmSwap", 0)),
        tuple(line.split()[0] for line in areas),
        int(numbers.get("VmLck", 0)),
    )


def canaries_in(finds):
    """Return whose canaries were found."""
    return sorted({find.canary for find in finds})


def total_bytes(folder):
    """Return how many bytes `search` looks through."""
    files = itertools.chain.from_iterable(
        (Path(parent, name) for name in names) for parent, _, names in os.walk(folder)
    )
    return sum(path.stat().st_size for path in files if path.is_file())

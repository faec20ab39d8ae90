"""What a process has mapped, and which of its pages can hold anything, as the kernel tells it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

PAGE = 4096
ENTRY = 8
# The kernel's own, the same in every process: clock data, and code without any data.
KERNELS_OWN = frozenset({"[vvar]", "[vvar_vclock]", "[vdso]", "[vsyscall]"})
PRESENT = np.uint64(1 << 63)
SWAPPED = np.uint64(1 << 62)
OF_A_FILE = np.uint64(1 << 61)


@dataclass(frozen=True, slots=True)
class Mapping:
    """One line of /proc/PID/maps. start, end: addresses."""

    start: int
    end: int
    permissions: str
    inode: int
    path: str

    @property
    def length(self):
        return self.end - self.start

    @property
    def name(self):
        """For a person: "heap rw-p", "/memfd:frames (deleted) rw-s"."""
        return f"{self.path or 'anonymous'} {self.permissions} at {self.start:x}"

    @property
    def shared(self):
        return self.permissions.endswith("s")

    @property
    def anonymous(self):
        """Private and without a file: holds nothing but what this process wrote."""
        return not self.shared and self.inode == 0


def mappings(pid):
    """All mappings of the process in order of address, but the kernel's own."""
    lines = Path(f"/proc/{pid}/maps").read_text(errors="surrogateescape").splitlines()
    found = [_mapping(line) for line in lines]
    return [each for each in found if each.path not in KERNELS_OWN]


def _mapping(line):
    addresses, permissions, _, _, inode, *path = line.split(maxsplit=5)
    start, _, end = addresses.partition("-")
    return Mapping(int(start, 16), int(end, 16), permissions, int(inode), path[0] if path else "")


def pages_of(pagemap, mapping, *, whole):
    """The page numbers of a mapping that can hold anything. Ascending, int64.

    Of anonymous memory, those that were ever written. Of a file mapped privately, all of them if
    `whole`; else, and where the process closed it to itself, those of which it made a copy of its
    own by writing: the rest is the file. Of shared memory and of deleted files, always all.
    """
    first, count = mapping.start // PAGE, mapping.length // PAGE
    lasting = not mapping.shared and not mapping.path.endswith("(deleted)")
    whole = whole and "r" in mapping.permissions
    if not mapping.anonymous and (whole or not lasting):
        return np.arange(first, first + count)
    pagemap.seek(first * ENTRY)
    entries = np.frombuffer(_exactly(pagemap, count * ENTRY), np.uint64)
    touched = (entries & (PRESENT | SWAPPED)) != 0
    if not mapping.anonymous:
        touched &= (entries & OF_A_FILE) == 0
    return first + np.flatnonzero(touched)


def _exactly(file, size):
    content = bytearray()
    while len(content) < size:
        more = file.read(size - len(content))
        if not more:
            raise OSError(f"{file.name} ended early: is the process gone?")
        content += more
    return bytes(content)

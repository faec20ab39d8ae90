"""`Witness`: the journal knows how often the index of the manifests was written (R27).

An index that is put back from an old copy names fewer manifests, and carries a good checksum: only
somebody else can tell that there was a newer one. The journal can, by the number of each index.
Whoever puts back an old journal too is found by its copy at the auditor's.
"""

import time
from dataclasses import dataclass
from typing import Final

from tools.desk.rights.journal import Journal

EVENT: Final = "manifests indexed"


@dataclass(frozen=True, slots=True)
class Witness:
    """The journal of the workplace that the manifests are of. Every method raises StorageError."""

    journal: Journal

    def newest(self) -> int:
        """Return the number of the newest index that there was; 0: none is known."""
        for year in reversed(self.journal.years()):
            for line in reversed(self.journal.lines(year)):
                if line.event == EVENT:
                    return int(line.details["number"])
        return 0

    def note(self, number: int, files: int, digest: str) -> None:
        """Write down that an index was written. digest: its SHA-256."""
        self.journal.write(time.time_ns(), EVENT, number=number, files=files, index=digest)

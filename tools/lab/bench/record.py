"""What a benchmark found: one section per part, written after each, so that nothing is lost."""

import time
from pathlib import Path
from typing import Any

import msgspec

from device.errors import StorageError
from device.files import write_atomically
from device.protocol.identifiers import utc_text


class Record:
    """The sections so far. Each is what a part returned, as plain JSON."""

    def __init__(self, folder: Path) -> None:
        """folder: where `bench.json` goes. Raises StorageError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"{folder} cannot be made ({error.strerror}).") from error
        self.path = folder / "bench.json"
        self.sections: dict[str, Any] = {"at": utc_text(time.time_ns())}
        self.absent: dict[str, str] = {}

    def add(self, name: str, found: object) -> None:
        """Note what a part found, and write all that there is."""
        self.sections[name] = msgspec.to_builtins(found, str_keys=True)
        self._write()

    def leave_out(self, name: str, why: str) -> None:
        """Note that a part, or somebody in it, could not take part."""
        self.absent[name] = why
        self._write()

    def join(self, other: dict[str, Any]) -> None:
        """Take over what another record has and this one has not; the earliest time stays."""
        for name, section in other.items():
            if name == "absent":
                self.absent = {**section, **self.absent}
            elif name == "at":
                self.sections["at"] = min(str(section), str(self.sections["at"]))
            else:
                self.sections.setdefault(name, section)
        self._write()

    def _write(self) -> None:
        content = {**self.sections, "absent": self.absent}
        encoded = msgspec.json.format(msgspec.json.encode(content), indent=1)
        write_atomically(self.path, encoded + b"\n", mode=0o644)


def read_record(path: Path) -> dict[str, Any]:
    """Return the sections of a written record. Raises StorageError: it is none."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise StorageError(f"{path} cannot be read ({error.strerror}).") from error
    except msgspec.DecodeError as error:
        raise StorageError(f"{path} is no record of a benchmark ({error}).") from error
    if not isinstance(found, dict):
        raise StorageError(f"{path} is no record of a benchmark.")
    return found

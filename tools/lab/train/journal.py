"""What a training tells of itself: one JSON object per line, which the model cards quote."""

import json
import time
from pathlib import Path


class Journal:
    """Appends to a file, and forgets lines past the point from which a training goes on."""

    def __init__(self, path: Path, *, samples: int) -> None:
        self.path = path
        kept = [line for line in self.read(path) if line.get("samples", 0) <= samples]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), "utf-8")
        self._before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the training has taken, earlier parts of it included."""
        return self._before + time.monotonic() - self._start

    def write(self, **values: object) -> None:
        """Append a line."""
        line = {**values, "seconds": round(self.seconds, 1)}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    @staticmethod
    def read(path: Path) -> list[dict[str, float]]:
        """Return the lines of a journal; a line that was cut by a crash ends it."""
        lines: list[dict[str, float]] = []
        if path.is_file():
            for text in path.read_text("utf-8").splitlines():
                try:
                    lines.append(json.loads(text))
                except json.JSONDecodeError:
                    break
        return lines

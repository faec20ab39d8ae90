"""Writes the pages that are made from code: settings, schemas, the distance table.

`python -m tools.setup.pages` writes them, `--check` only tells whether they are up to date.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from device.configuration import documentation
from device.protocol.alert import ALERT_SCHEMA, Alert
from device.protocol.status import STATUS_SCHEMA, Status
from tools.lab.distances import table
from tools.lab.evaluate.report import EVALUATION_SCHEMA, Evaluation
from tools.lab.evaluate.statement import STATEMENT_SCHEMA, ThresholdStatement

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BEGIN, _END = "<!-- distances: begin -->", "<!-- distances: end -->"


def schema(kind: type[msgspec.Struct], name: str) -> str:
    """Return the JSON Schema 2020-12 of a message."""
    document: dict[str, Any] = _without_indents(msgspec.json.schema(kind))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name}
    return msgspec.json.format(msgspec.json.encode(head | document), indent=2).decode() + "\n"


def _without_indents(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Clean the descriptions that come from docstrings; Python 3.13 strips their indents itself."""
    if isinstance(part, dict):
        return {
            key: inspect.cleandoc(value)
            if key == "description" and isinstance(value, str)
            else _without_indents(value)
            for key, value in part.items()
        }
    return [_without_indents(item) for item in part] if isinstance(part, list) else part


def pages() -> dict[Path, str]:
    """Return the path and the text of every generated page."""
    vision = (DOCS / "vision.md").read_text("utf-8")
    before, _, rest = vision.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return {
        DOCS / "configuration.md": documentation(),
        DOCS / "schemas/alert.schema.json": schema(Alert, ALERT_SCHEMA),
        DOCS / "schemas/status.schema.json": schema(Status, STATUS_SCHEMA),
        DOCS / "schemas/evaluation.schema.json": schema(Evaluation, EVALUATION_SCHEMA),
        DOCS / "schemas/threshold-statement.schema.json": schema(
            ThresholdStatement, STATEMENT_SCHEMA
        ),
        DOCS / "vision.md": f"{before}{_BEGIN}\n{table()}\n{_END}{after}",
    }


def main() -> int:
    """Write or check the pages; 1 when `--check` finds an old one."""
    check = "--check" in sys.argv[1:]
    stale = 0
    for path, text in pages().items():
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale += 1
        print(f"{'out of date' if check else 'written'}: {path.relative_to(DOCS.parent)}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())

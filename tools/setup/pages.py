"""Writes the pages that are made from code: settings, schemas, distances, the retention schedule.

`python -m tools.setup.pages` writes them, `--check` only tells whether they are up to date.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

import msgspec

from device.configuration import documentation, documentation_of
from device.protocol.alert import ALERT_SCHEMA, Alert
from device.protocol.cover import COVER_SCHEMA, Cover
from device.protocol.order import ADJUDICATION_SCHEMA, COMMAND_SCHEMA, Adjudication, Command
from device.protocol.part import BUNDLE_PART_SCHEMA, BundlePart
from device.protocol.receipt import RECEIPT_SCHEMA, Receipt
from device.protocol.record import RECORD_SCHEMA, Record
from device.protocol.status import STATUS_SCHEMA, Status
from device.protocol.unlocking import (
    UNLOCK_REQUEST_SCHEMA,
    UNLOCK_SCHEMA,
    Unlock,
    UnlockRequest,
)
from tools.desk.gateway.settings import Settings as DeskSettings
from tools.desk.retention import page as retention
from tools.desk.retention.schedule import default_path, read_schedule
from tools.lab.distances import table
from tools.lab.evaluate.report import EVALUATION_SCHEMA, Evaluation
from tools.lab.evaluate.statement import STATEMENT_SCHEMA, ThresholdStatement

DOCS = Path(__file__).resolve().parents[2] / "docs"
MESSAGES: dict[str, tuple[type[msgspec.Struct], str]] = {
    "alert": (Alert, ALERT_SCHEMA),
    "status": (Status, STATUS_SCHEMA),
    "receipt": (Receipt, RECEIPT_SCHEMA),
    "command": (Command, COMMAND_SCHEMA),
    "adjudication": (Adjudication, ADJUDICATION_SCHEMA),
    "record": (Record, RECORD_SCHEMA),
    "cover": (Cover, COVER_SCHEMA),
    "unlock-request": (UnlockRequest, UNLOCK_REQUEST_SCHEMA),
    "unlock": (Unlock, UNLOCK_SCHEMA),
    "bundle-part": (BundlePart, BUNDLE_PART_SCHEMA),
}
"""The schema of every message, docs/schemas/<name>.schema.json."""
_BEGIN, _END = "<!-- distances: begin -->", "<!-- distances: end -->"


def schema(kind: type[msgspec.Struct], name: str) -> str:
    """Return the JSON Schema 2020-12 of a message."""
    document: dict[str, Any] = _for_readers(msgspec.json.schema(kind))
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": name}
    return msgspec.json.format(msgspec.json.encode(head | document), indent=2).decode() + "\n"


def _for_readers(part: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Clean what comes from Python: docstrings of their indents, patterns of their end mark.

    Python 3.13 strips the indents itself. The end of a text is written $ in JSON Schema.
    """
    if isinstance(part, dict):
        return {key: _text_for_readers(key, value) for key, value in part.items()}
    return [_for_readers(item) for item in part] if isinstance(part, list) else part


def _text_for_readers(key: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if key == "description" and isinstance(value, str):
        return inspect.cleandoc(value)
    if key == "pattern" and isinstance(value, str):
        return value.replace(r"\Z", "$")
    return _for_readers(value)


def _configuration() -> str:
    desk = documentation_of(
        DeskSettings,
        "# `desk.toml`: the desk's gateway",
        "The same rules; by default `desk.toml` of the working folder, else `--config`.",
    )
    return f"{documentation()}\n{desk.replace('## `[', '## Desk: `[')}"


def pages() -> dict[Path, str]:
    """Return the path and the text of every generated page."""
    vision = (DOCS / "vision.md").read_text("utf-8")
    before, _, rest = vision.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return {
        DOCS / "configuration.md": _configuration(),
        **{DOCS / f"schemas/{name}.schema.json": schema(*one) for name, one in MESSAGES.items()},
        DOCS / "schemas/evaluation.schema.json": schema(Evaluation, EVALUATION_SCHEMA),
        DOCS / "schemas/threshold-statement.schema.json": schema(
            ThresholdStatement, STATEMENT_SCHEMA
        ),
        retention.PAGE: retention.page(
            read_schedule(default_path()), retention.PAGE.read_text("utf-8")
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

"""The record of a deployment: what its audit log adds up to, over all runs and restarts (R37)."""

import time
from pathlib import Path
from typing import Literal

from device.audit.record import totals_of
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.record import Count, Record, RecordData
from device.protocol.topics import Topics
from device.settings import Settings

LOG = "audit.jsonl"
_NOBODYS = "\0"
"""No list has this id: of a list that nobody knows all counts are unknown."""
_UNKNOWN: Literal["unknown"] = "unknown"


def deployment_record(  # noqa: PLR0913 - what a record says, and how much the log knows
    settings: Settings,
    watchlist: ListVersion | None,
    list_size: Count,
    threshold_id: str,
    *,
    running: bool,
    written: bool,
) -> Record:
    """Return the record of a watchlist's deployment on this device.

    watchlist: None where nobody knows any more which one it was; then all counts are unknown.
    running: see `device.audit.record.totals_of`. written: the notebook has nothing left to write;
    otherwise the log lacks what was counted, and all counts are unknown. Raises StorageError when
    the log cannot be read.
    """
    log = Path(settings.device.state_directory) / LOG
    known = watchlist.id if watchlist is not None and written else _NOBODYS
    totals = totals_of(log, known, running=running)
    now = utc_text(time.time_ns())
    data = RecordData(
        from_at=totals.from_at or _UNKNOWN,
        until_at=now,
        watchlist=watchlist,
        list_size=list_size,
        threshold_id=threshold_id,
        faces=totals.faces,
        compared=totals.compared,
        attacks=totals.attacks,
        alerts=totals.alerts,
    )
    source = Topics(settings.device.site, settings.device.id).source
    return Record(id=uuid7(time.time_ns()), source=source, time=now, data=data)

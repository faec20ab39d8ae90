"""The record of a deployment, made when the desk ends it."""

import time

from device.alerts.maker import Circumstances
from device.audit import Ledger
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.record import Record, RecordData
from device.protocol.topics import Topics
from device.settings import Settings


def deployment_record(
    circumstances: Circumstances, list_size: int, ledger: Ledger, from_at: str
) -> Record:
    """Return the record of a run: what its ledger knows, from its start until now (R37)."""
    now_ns = time.time_ns()
    return Record(
        id=uuid7(now_ns),
        source=circumstances.source,
        time=utc_text(now_ns),
        data=RecordData(
            from_at=from_at,
            until_at=utc_text(now_ns),
            watchlist=circumstances.watchlist,
            list_size=list_size,
            threshold_id=circumstances.threshold_id,
            faces=ledger.faces,
            compared=ledger.compared,
            attacks=ledger.attacks,
            alerts=ledger.alerts,
        ),
    )


def record_of_nothing(settings: Settings) -> Record:
    """Return the record of a deployment whose counts a restart has taken: all unknown."""
    now_ns = time.time_ns()
    data = RecordData(
        from_at="unknown",
        until_at=utc_text(now_ns),
        watchlist=None,
        list_size="unknown",
        threshold_id="unknown",
        faces="unknown",
        compared="unknown",
        attacks="unknown",
        alerts="unknown",
    )
    source = Topics(settings.device.site, settings.device.id).source
    return Record(id=uuid7(now_ns), source=source, time=utc_text(now_ns), data=data)

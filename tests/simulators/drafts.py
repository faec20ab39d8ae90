"""Alerts as the maker hands them to the outbox."""

from device.alerts.maker import AlertMaker, Circumstances
from device.matching import Confirmed
from device.protocol.alert import ListVersion, ModelHash

NOW_NS = 1_790_000_000_123_000_000


def make_draft(now_ns=NOW_NS, crop=b"\xff\xd8jpeg", source="urn:passerby:s1:d1"):
    circumstances = Circumstances(
        source,
        ListVersion("list-1", 3),
        [ModelHash("embedder", "e", "ab" * 32)],
        "threshold-1",
        (0.55, 0.65),
        demonstration=True,
    )
    confirmed = Confirmed("ref-7", 0.612345, 0.2, 2, 0.873)
    return AlertMaker(circumstances, lambda: now_ns).draft(confirmed, now_ns - 40_000_000, crop)

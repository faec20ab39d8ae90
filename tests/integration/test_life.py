"""The whole life of a list, with the real programs and time as it passes: reliability/life.py."""

import json
from contextlib import ExitStack

from device.protocol.manifest import decode_manifest
from tests.reliability.life import Life, page, whole


def test_a_list_lives_as_the_law_says(scratch):
    with ExitStack() as stack:
        life = Life(scratch, stack, window_s=20)
        whole(life, begins_s=25)
    audit = [json.loads(line) for line in (scratch / "state/audit.jsonl").read_text().splitlines()]
    events = [line["event"] for line in audit]
    order = (
        "bundle installed",
        "unlocked",
        "list loaded",
        "armed",
        "alert",
        "list wiped",
        "erased",
    )
    assert [event for event in dict.fromkeys(events) if event in order] == list(order)
    (alert,) = [line["details"] for line in audit if line["event"] == "alert"]
    assert (alert["reference"], alert["sent"]) == (life.reference, "no: silent mode")
    # Nobody was engaged (R35): the desk received a status and the record, and no alert.
    emitted = [
        json.loads(line)
        for line in (scratch / "gateway.log").read_text().splitlines()
        if line.startswith("{")
    ]
    kinds = {event["type"] for event in emitted}
    assert kinds == {"passerby.status.v1", "passerby.record.v1"}
    (record,) = [event["data"] for event in emitted if event["type"] == "passerby.record.v1"]
    assert (record["alerts"], record["list_size"]) == (1, 1)
    assert record["faces"] > 1
    # Nothing of the list is left on the device but its manifest (R24, R27).
    targets = list((scratch / "state/bundle").rglob("targets/*"))
    assert targets == []
    (manifest,) = (scratch / "state/manifests").iterdir()
    (listing,) = decode_manifest(manifest.read_bytes()).listings
    assert (listing.reference_id, listing.until_at != "unknown") == (life.reference, True)
    # Nor at the desk, where the manifest still answers (R38).
    names = sorted(path.name for path in (scratch / life.deployment).rglob("*") if path.is_file())
    assert not [name for name in names if name.endswith((".age", "watchlist.sealed"))]
    assert life.reference in (scratch / "letter.txt").read_text()
    assert "not signed by both" in page(life)

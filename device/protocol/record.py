"""`Record`: the counts of a deployment (R37), sealed; the only message with counts (R16)."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from device.protocol.alert import ListVersion
from device.protocol.event import Source, Time, TimeOrUnknown, Uuid

RECORD_TYPE: Final = "passerby.record.v1"
RECORD_SCHEMA: Final = "urn:passerby:schema:record:1"

Count = Annotated[int, Meta(ge=0, le=2**53 - 1)] | Literal["unknown"]
"""What is not known reads "unknown", never 0."""


class RecordData(Struct, frozen=True, forbid_unknown_fields=True):
    """What a device can say of a deployment.

    from_at, until_at: what the counts cover. faces: tracks, that is people passing as well as the
    tracker can tell. compared: shots. attacks: judged presentation attacks. alerts: raised.
    list_size: references.
    """

    from_at: TimeOrUnknown
    until_at: TimeOrUnknown
    watchlist: ListVersion | None
    list_size: Count
    threshold_id: str
    faces: Count
    compared: Count
    attacks: Count
    alerts: Count


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    """A record as a CloudEvents 1.0 event."""

    id: Uuid
    source: Source
    time: Time
    data: RecordData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.record.v1"] = RECORD_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:record:1"] = RECORD_SCHEMA

"""`Cover`: a dummy. Sealed, it cannot be told from an alert; the desk answers it and drops it."""

from typing import Final, Literal

from msgspec import Struct

from device.protocol.event import Source, Time, Uuid

COVER_TYPE: Final = "passerby.cover.v1"
COVER_SCHEMA: Final = "urn:passerby:schema:cover:1"


class CoverData(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing."""


class Cover(Struct, frozen=True, forbid_unknown_fields=True):
    """A dummy as a CloudEvents 1.0 event."""

    id: Uuid
    source: Source
    time: Time
    data: CoverData = CoverData()
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.cover.v1"] = COVER_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:cover:1"] = COVER_SCHEMA

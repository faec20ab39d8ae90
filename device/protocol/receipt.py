"""`Receipt`: the desk has a message in its database. Nothing else empties a device's outbox."""

from typing import Final, Literal

from msgspec import Struct

from device.errors import MessageError
from device.protocol.event import DeskSource, Sha256, Source, Time, Uuid

RECEIPT_TYPE: Final = "passerby.receipt.v1"
RECEIPT_SCHEMA: Final = "urn:passerby:schema:receipt:1"

Outcome = Literal["stored", "refused", "cover"]


class ReceiptData(Struct, frozen=True, forbid_unknown_fields=True):
    """Which message, and what became of it.

    device: who sent it. digest: SHA-256 of the letter; null for cover. outcome: "stored" and
    "refused" are final: a refused letter is the device's own, but damaged, and would never be
    accepted. "cover" answers a dummy, so that answers do not tell dummies from alerts.
    """

    device: Source
    outcome: Outcome
    digest: Sha256 | None


class Receipt(Struct, frozen=True, forbid_unknown_fields=True):
    """A receipt as a CloudEvents 1.0 event. id: UUIDv7. source: the desk."""

    id: Uuid
    source: DeskSource
    time: Time
    data: ReceiptData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.receipt.v1"] = RECEIPT_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:receipt:1"] = RECEIPT_SCHEMA


def check_receipt(receipt: Receipt) -> None:
    """Raise MessageError when a receipt contradicts itself."""
    if (receipt.data.outcome == "cover") != (receipt.data.digest is None):
        raise MessageError("A receipt names a letter and is for cover, or names none.")

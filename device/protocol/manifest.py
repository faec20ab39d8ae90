"""The manifest: what stays when a watchlist is erased (R27). No template, no image, no name.

It answers "was this reference on the list between these dates?" with reference ids that mean
nothing outside the desk.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.alert import ListVersion
from device.protocol.event import Sha256, Time, TimeOrUnknown, Uuid
from device.protocol.identifiers import utc_ns
from device.protocol.order import ReferenceId


class Listing(Struct, frozen=True, forbid_unknown_fields=True):
    """One reference on one list. until_at: when it was revoked, expired or erased with the list.

    template_sha256: of the templates as they were on the device (transformed), so that a finding
    elsewhere can be compared.
    """

    reference_id: ReferenceId
    from_at: Time
    until_at: TimeOrUnknown
    template_sha256: Sha256


class Manifest(Struct, frozen=True, forbid_unknown_fields=True):
    """One version of one list. sealed_sha256: of the file that was erased. reason: why it was."""

    deployment: Uuid
    watchlist: ListVersion
    loaded_at: TimeOrUnknown
    erased_at: TimeOrUnknown
    reason: Annotated[str, Meta(max_length=300)]
    sealed_sha256: Sha256
    listings: list[Listing]
    kind: Literal["passerby manifest 1"] = "passerby manifest 1"

    def listed(self, reference_id: str, from_ns: int, until_ns: int) -> list[Listing]:
        """Return the listings of a reference that touch [from_ns, until_ns], UTC since 1970.

        A listing whose end is unknown counts as one that lasts.
        """
        return [
            one
            for one in self.listings
            if one.reference_id == reference_id
            and utc_ns(one.from_at) <= until_ns
            and (one.until_at == "unknown" or utc_ns(one.until_at) >= from_ns)
        ]


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical JSON."""
    return msgspec.json.encode(manifest, order="sorted")


def decode_manifest(content: bytes) -> Manifest:
    """Return the manifest of its JSON. Raises MessageError."""
    try:
        return msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"This manifest is damaged: {error}.") from error

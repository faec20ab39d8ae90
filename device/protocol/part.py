"""`BundlePart`: a piece of a bundle, because a broker takes no more than a cell at a time.

The archive of a bundle (`device.bundles.archive`) is cut into pieces of `PART_BYTES`; each travels
retained in a cell of its own. The number of parts is rounded up to a multiple of `PARTS_STEP`: the
parts behind the end are empty, which nobody sees from outside. What the parts bring is not trusted
because it came whole: TUF says whether it is a bundle (`device.bundles.install`).
"""

import hashlib
from collections.abc import Iterator
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.event import DeskSource, Sha256, Source, Time, Uuid

BUNDLE_PART_TYPE: Final = "passerby.bundle-part.v1"
BUNDLE_PART_SCHEMA: Final = "urn:passerby:schema:bundle-part:1"

PART_BYTES: Final = 7_800
"""Content of a part: in base64, with its event and signature, it fits a cell of either suite."""
PARTS_STEP: Final = 32
"""A bundle has a multiple of this many parts, so that small differences do not show."""
LARGEST_BUNDLE_BYTES: Final = 24 * 1024 * 1024
"""Above the sum of `LARGEST_TARGET_BYTES` (`device.protocol.bundle`) with its metadata."""


def parts_of(size: int) -> int:
    """Return how many parts a bundle of so many bytes travels in."""
    filled = -(-size // PART_BYTES)
    return -(-filled // PARTS_STEP) * PARTS_STEP


MOST_PARTS: Final = parts_of(LARGEST_BUNDLE_BYTES)


class BundlePartData(Struct, frozen=True, forbid_unknown_fields=True):
    """One part of one bundle, for one device.

    offered_at: when the desk offered the bundle; of two the later one counts. bundle, size: SHA-256
    and bytes of the whole archive. part: from 1. content: `PART_BYTES` of it, less at its end, none
    behind it.
    """

    device: Source
    offered_at: Time
    bundle: Sha256
    size: Annotated[int, Meta(ge=1, le=LARGEST_BUNDLE_BYTES)]
    part: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    parts: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    content: Annotated[bytes, Meta(max_length=PART_BYTES)]


class BundlePart(Struct, frozen=True, forbid_unknown_fields=True):
    """A part as a CloudEvents 1.0 event. source: the desk. time: when this sending was made."""

    id: Uuid
    source: DeskSource
    time: Time
    data: BundlePartData
    specversion: Literal["1.0"] = "1.0"
    type: Literal["passerby.bundle-part.v1"] = BUNDLE_PART_TYPE
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:passerby:schema:bundle-part:1"] = BUNDLE_PART_SCHEMA


def digest_of_bundle(archive: bytes) -> str:
    """Return the name of a bundle in its parts. Raises MessageError when it is none of ours."""
    if not 1 <= len(archive) <= LARGEST_BUNDLE_BYTES:
        raise MessageError(f"A bundle has 1 to {LARGEST_BUNDLE_BYTES} bytes, not {len(archive)}.")
    return hashlib.sha256(archive).hexdigest()


def cut(archive: bytes, bundle: str, device: str, offered_at: str, part: int) -> BundlePartData:
    """Return one part of an archive. bundle: `digest_of_bundle`. part: from 1.

    Raises MessageError when there is no such part.
    """
    parts = parts_of(len(archive))
    if not 1 <= part <= parts:
        raise MessageError(f"A bundle of {parts} parts has no part {part}.")
    begin = (part - 1) * PART_BYTES
    content = archive[begin : begin + PART_BYTES]
    return BundlePartData(device, offered_at, bundle, len(archive), part, parts, content)


def check_part(data: BundlePartData) -> None:
    """Raise MessageError when a part contradicts itself."""
    if data.parts != parts_of(data.size):
        raise MessageError("A part of a bundle counts the parts wrongly.")
    if data.part > data.parts:
        raise MessageError("A part of a bundle has a number that there is not.")
    if len(data.content) != length_of(data.size, data.part):
        raise MessageError("A part of a bundle has not the length of its place.")


def length_of(size: int, part: int) -> int:
    """Return how many bytes a part holds. part: from 1."""
    return max(0, min(PART_BYTES, size - (part - 1) * PART_BYTES))


def filled(size: int) -> Iterator[int]:
    """Return the numbers of the parts that hold something."""
    return iter(range(1, -(-size // PART_BYTES) + 1))

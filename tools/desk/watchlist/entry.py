"""An entry: everything that is written down of one person on a watchlist, at the desk.

What is a closed list here cannot be talked round: there is no "other" (R3), and nobody who has
witnessed, suffered or only knows something has a word (R11). Whether an entry is lawful today is
decided by `rules`.
"""

import secrets
from datetime import date
from typing import Annotated, Final, Literal, get_args

from msgspec import Meta, Struct

from device.protocol.event import Sha256, Time

Source = Literal["booking photograph"]
"""Where a photograph may come from (R2): taken by a police service when it charged the person."""

Category = Literal[
    "wanted on an arrest warrant",
    "unlawfully at large",
    "in breach of a release order",
    "excluded from the place by a court order",
]
"""Why a person is listed (R3): each one is a document that a judge, a justice or a prison issued,
and that somebody can ask to see. None rests on what the police would like to know ("persons where
intelligence is required", R (Bridges) v South Wales Police [2020] EWCA Civ 1058, 124)."""

Disposition = Literal[
    "none yet",
    "convicted",
    "withdrawn",
    "dismissed",
    "quashed",
    "stayed",
    "acquitted",
    "not guilty",
    "not criminally responsible",
]
"""What became of the charge for which the photograph was taken."""

SUSPENDING: Final[frozenset[str]] = frozenset(
    {
        "withdrawn",
        "dismissed",
        "quashed",
        "stayed",
        "acquitted",
        "not guilty",
        "not criminally responsible",
    }
)
"""Dispositions with which an entry must not be looked for, from the moment they are known (R8)."""

SOURCES: Final[tuple[str, ...]] = get_args(Source)
CATEGORIES: Final[tuple[str, ...]] = get_args(Category)
DISPOSITIONS: Final[tuple[str, ...]] = get_args(Disposition)

REFERENCE: Final = r"^r-[0-9a-f]{12}\Z"
Text = Annotated[str, Meta(min_length=2, max_length=300)]
Rationale = Annotated[str, Meta(min_length=20, max_length=4000)]


class OffenceClass(Struct, frozen=True, forbid_unknown_fields=True):
    """One class of serious offences (R9). id: as entries name it. words: what it covers."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z-]{2,63}\Z")]
    words: Annotated[str, Meta(min_length=3, max_length=300)]


class Photograph(Struct, frozen=True, forbid_unknown_fields=True):
    """A photograph that was enrolled: its digest, never a copy. remarks: what a better one has."""

    sha256: Sha256
    enrolled_at: Time
    remarks: list[str] = []


class Review(Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody looked again and found that the entry must stay until the next review (R7)."""

    by: Text
    at: Time
    until: date


class Entry(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One person on the list. Dates are days in UTC.

    reference_id: made by the desk, random; the only thing of an entry that leaves it (R56).
    source, held_by, captured_on, exhibit: the photograph's origin: its kind, the service that
    holds it, the day it was taken, and its file or exhibit number (R1, R2). legal_basis: the
    document that allows listing this person, by number. attested_by, attested_on: who says, and
    when, that the photograph is lawfully held and has not to be destroyed (R1). necessity,
    proportionality: why this person, here, by this means (R4). offence_class: an
    `OffenceClass.id` (R9). review_on, expires_on: the first days on which the entry no longer
    counts, unless it is reviewed before, or at all (R7). disposition: of the charge (R8).
    suspended_on: from that day on it is never sealed again, whatever the disposition says later.
    """

    reference_id: Annotated[str, Meta(pattern=REFERENCE)]
    name: Text
    born_on: date
    source: Source
    held_by: Text
    captured_on: date
    exhibit: Text
    legal_basis: Text
    attested_by: Text
    attested_on: date
    category: Category
    necessity: Rationale
    proportionality: Rationale
    offence_class: str
    review_on: date
    expires_on: date
    added_at: Time
    disposition: Disposition = "none yet"
    suspended_on: date | None = None
    photographs: list[Photograph] = []
    reviews: list[Review] = []

    @property
    def suspended(self) -> bool:
        """Whether it must not be looked for any more (R8)."""
        return self.suspended_on is not None or self.disposition in SUSPENDING

    def __repr__(self) -> str:
        # A traceback or a log must not carry a name.
        return f"<Entry {self.reference_id}>"


def new_reference() -> str:
    """Return a reference id that says nothing: 48 random bits."""
    return f"r-{secrets.token_hex(6)}"

"""A draft: what somebody typed or a table held, before it may become an entry.

Everything that can be read is read, so that the rules can name all faults at once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

import msgspec

from device.errors import WatchlistError
from tools.desk.watchlist.entry import Entry, Photograph

TEXTS: Final = (
    "name",
    "source",
    "held_by",
    "exhibit",
    "legal_basis",
    "attested_by",
    "category",
    "necessity",
    "proportionality",
    "offence_class",
    "disposition",
)
DATES: Final = ("born_on", "captured_on", "attested_on", "review_on", "expires_on")
FIELDS: Final = (*TEXTS, *DATES)
"""What a person fills in, in a form or as the columns of a table."""
OPTIONAL: Final = {"disposition": "none yet"}

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class Claim(Protocol):
    """What the rules look at: a draft before it is an entry, and an entry ever after."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def born_on(self) -> date | None: ...  # noqa: D102
    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def held_by(self) -> str: ...  # noqa: D102
    @property
    def captured_on(self) -> date | None: ...  # noqa: D102
    @property
    def exhibit(self) -> str: ...  # noqa: D102
    @property
    def legal_basis(self) -> str: ...  # noqa: D102
    @property
    def attested_by(self) -> str: ...  # noqa: D102
    @property
    def attested_on(self) -> date | None: ...  # noqa: D102
    @property
    def category(self) -> str: ...  # noqa: D102
    @property
    def necessity(self) -> str: ...  # noqa: D102
    @property
    def proportionality(self) -> str: ...  # noqa: D102
    @property
    def offence_class(self) -> str: ...  # noqa: D102
    @property
    def review_on(self) -> date | None: ...  # noqa: D102
    @property
    def expires_on(self) -> date | None: ...  # noqa: D102
    @property
    def disposition(self) -> str: ...  # noqa: D102
    @property
    def suspended(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An entry in the making. A date that is missing or cannot be read is None; faults say why."""

    name: str
    born_on: date | None
    source: str
    held_by: str
    captured_on: date | None
    exhibit: str
    legal_basis: str
    attested_by: str
    attested_on: date | None
    category: str
    necessity: str
    proportionality: str
    offence_class: str
    review_on: date | None
    expires_on: date | None
    disposition: str
    faults: tuple[str, ...] = field(default=())

    @property
    def suspended(self) -> bool:
        """A draft is judged by its disposition alone."""
        return False

    def __repr__(self) -> str:
        return "<Draft>"


def drafted(fields: Mapping[str, str]) -> Draft:
    """Return the draft of what was typed; blanks around and within are evened out."""
    kept = {name: " ".join(fields.get(name, "").split()) for name in FIELDS}
    for name, usual in OPTIONAL.items():
        kept[name] = kept[name] or usual
    dates: dict[str, date | None] = {}
    faults = []
    for name in DATES:
        dates[name], fault = _date(name, kept[name])
        faults += [fault] if fault else []
    return Draft(**{name: kept[name] for name in TEXTS}, **dates, faults=tuple(faults))  # type: ignore[arg-type]  # by name


def entry_of(
    draft: Draft, reference_id: str, added_at: str, photographs: list[Photograph]
) -> Entry:
    """Return the entry of a draft without faults. Raises WatchlistError when it has some."""
    fields = {name: getattr(draft, name) for name in FIELDS}
    fields |= {"reference_id": reference_id, "added_at": added_at, "photographs": photographs}
    try:
        return msgspec.convert(fields, Entry)
    except msgspec.ValidationError as error:
        raise WatchlistError(f"This entry cannot be kept: {error}.") from error


def _date(name: str, text: str) -> tuple[date | None, str]:
    if not text:
        return None, f"{name} is missing: write it as YYYY-MM-DD"
    if not _DATE.match(text):
        return None, f"{name} is no date: write it as YYYY-MM-DD"
    try:
        return date.fromisoformat(text), ""
    except ValueError:
        return None, f"{name} is a day that there is not: correct it (R10)"

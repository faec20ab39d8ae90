"""The authorisation: what two people sign before a device may compare anything (R5, R6, R40).

A target of the bundle, so both signatures are TUF's; this is its content. It is one canonical JSON
object: keys sorted, no blanks, every field present. Which of its conditions hold at a moment is
decided by `device.policy`; here stands only what may be written down at all.
"""

import unicodedata
from collections.abc import Iterator
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import MessageError
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.event import Sha256, Source, Time, Uuid, read_event
from device.protocol.identifiers import utc_ns
from device.protocol.refusals import NotCanonicalError

LIST_CAP: Final = 2000
"""The cap of R12; an authorisation may lower it."""
LONGEST_PILOT_DAYS: Final = 366
"""A pilot ends (R54); one that shall go on needs a new authorisation."""
LONGEST_RETENTION_H: Final = 24.0
"""Of R24 and R25; an authorisation may shorten it."""
HIGHEST_FPIR: Final = 0.01
"""Of the stop rule: with more than one false alert in a hundred faces a device is of no use, and a
rule that allows any rate stops nothing (R32)."""
_DAY_NS: Final = 86_400 * 10**9

Sentence = Annotated[str, Meta(min_length=10, max_length=2000)]
Name = Annotated[str, Meta(min_length=2, max_length=200)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
Mode = Literal["silent", "alerting"]
"""silent: what would be alerts is recorded for evaluation, and nobody is engaged (R35)."""
Operation = Literal["demonstration", "silent", "alerting"]
"""What a device does with candidates; a demonstration has no authorisation."""


class Window(Struct, frozen=True, forbid_unknown_fields=True):
    """When comparing is allowed: from begins_at on, before ends_at."""

    begins_at: Time
    ends_at: Time


class Signage(Struct, frozen=True, forbid_unknown_fields=True):
    """Who attests that the notice hangs at the place, and when it was seen there (R36)."""

    attested_by: Name
    attested_at: Time


class Threshold(Struct, frozen=True, forbid_unknown_fields=True):
    """The threshold and its signed floor, and what stands behind them (R28, R29, R31).

    kind: "provisional" where no evaluation supports target_fpir; then the mode must be silent.
    threshold: that the device applies. floor: that it may never go below. list_size: references of
    the evaluation. evaluation_sha256: of the threshold statement's file; null only in a provisional
    one. words: the statement's own sentence.
    """

    kind: Literal["evaluated", "provisional"]
    threshold_id: Annotated[str, Meta(min_length=1, max_length=128)]
    threshold: Annotated[float, Meta(ge=0.05, le=0.99)]
    floor: Annotated[float, Meta(ge=0.05, le=0.99)]
    target_fpir: Fraction
    list_size: Annotated[int, Meta(ge=1, le=10_000_000)]
    evaluation_sha256: Sha256 | None
    words: Sentence


class Retention(Struct, frozen=True, forbid_unknown_fields=True):
    """How long things are kept after they were needed, in hours; 24 at most (R24, R25)."""

    alerts_h: Annotated[float, Meta(gt=0, le=LONGEST_RETENTION_H)] = LONGEST_RETENTION_H
    watchlist_h: Annotated[float, Meta(ge=0, le=LONGEST_RETENTION_H)] = 0.0


class StopRule(Struct, frozen=True, forbid_unknown_fields=True):
    """When a device suspends itself (R32).

    It does when adjudicated false alerts show, with this confidence, a rate per face seen above
    authorised_fpir.
    """

    authorised_fpir: Annotated[float, Meta(gt=0, le=HIGHEST_FPIR)] = 0.001
    confidence: Annotated[float, Meta(ge=0.5, le=0.999)] = 0.95


class Authorisation(Struct, frozen=True, forbid_unknown_fields=True):
    """What was authorised.

    deployment: its id. version: from 1, one more with each change. objective: the one purpose (R5);
    the audit log names it with every search. place: in words, for the notice. devices: that may use
    it. windows: ordered, not overlapping. legal_basis, impact_assessment: references to documents.
    models: the only ones that may run (R34). watchlist: the only list that may be loaded.
    officer, custodian: the two who sign, by office and number. exit_evaluation: who reports on the
    pilot, and where (R54). signed_at: no device believes a clock that says less.
    """

    deployment: Uuid
    version: Annotated[int, Meta(ge=1)]
    signed_at: Time
    objective: Sentence
    place: Name
    devices: Annotated[list[Source], Meta(min_length=1, max_length=256)]
    windows: Annotated[list[Window], Meta(min_length=1, max_length=366)]
    legal_basis: Name
    impact_assessment: Name
    signage: Signage | None
    threshold: Threshold
    models: Annotated[list[ModelHash], Meta(min_length=2, max_length=16)]
    watchlist: ListVersion
    officer: Name
    custodian: Name
    pilot_ends_at: Time
    exit_evaluation: Name
    mode: Mode = "silent"
    list_cap: Annotated[int, Meta(ge=1, le=LIST_CAP)] = LIST_CAP
    retention: Retention = Retention()
    stop_rule: StopRule = StopRule()
    kind: Literal["passerby authorisation 1"] = "passerby authorisation 1"

    @property
    def ends_ns(self) -> int:
        """End of the last window, nanoseconds since 1970: then the watchlist is to be erased."""
        return utc_ns(self.windows[-1].ends_at)


def encode_authorisation(authorisation: Authorisation) -> bytes:
    """Return the canonical JSON."""
    return msgspec.json.encode(authorisation, order="sorted")


def decode_authorisation(content: bytes) -> Authorisation:
    """Return the authorisation of a canonical JSON. Raises MessageError and its kinds."""
    found = read_event(content, Authorisation, "authorisation")
    if encode_authorisation(found) != content:
        raise NotCanonicalError("This authorisation is not in its one form.")
    check_authorisation(found)
    return found


def same_person(one: str, other: str) -> bool:
    """Return whether two names stand for one person (R5).

    Only letters and numbers count: neither case, nor blanks, nor signs, nor the form in which
    Unicode writes a letter or a digit. Who cannot be told apart so needs another office or number.
    """
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return "".join(
        str(unicodedata.decimal(letter, letter)) for letter in folded if letter.isalnum()
    )


def check_authorisation(authorisation: Authorisation) -> None:
    """Raise MessageError when an authorisation contradicts itself, in one sentence."""
    _check_printable(authorisation)
    try:
        _check_windows(authorisation)
    except ValueError as error:
        raise MessageError("An authorisation has a time that there is not.") from error
    _check_people(authorisation)
    _check_threshold(authorisation)
    if len(set(authorisation.devices)) != len(authorisation.devices):
        raise MessageError("An authorisation names a device twice.")


def _check_windows(authorisation: Authorisation) -> None:
    end_ns = 0
    for window in authorisation.windows:
        begins_ns, ends_ns = utc_ns(window.begins_at), utc_ns(window.ends_at)
        if begins_ns >= ends_ns:
            raise MessageError("A time window of an authorisation ends before it begins.")
        if begins_ns < end_ns:
            raise MessageError("The time windows of an authorisation overlap, or are not in order.")
        end_ns = ends_ns
    signed_ns, pilot_ns = utc_ns(authorisation.signed_at), utc_ns(authorisation.pilot_ends_at)
    if end_ns > pilot_ns:
        raise MessageError("A time window of an authorisation ends after the pilot does.")
    if pilot_ns - signed_ns > LONGEST_PILOT_DAYS * _DAY_NS:
        raise MessageError(f"A pilot lasts {LONGEST_PILOT_DAYS} days at most (R54).")
    if authorisation.signage is not None:
        utc_ns(authorisation.signage.attested_at)


def _check_printable(authorisation: Authorisation) -> None:
    """Refuse what a screen would not show as it is written: a line break could forge a line."""
    for name, text in _texts(msgspec.to_builtins(authorisation), "authorisation"):
        if not text.isprintable():
            raise MessageError(
                f"{name} has a character that is not shown as it is written, as a line break: "
                "write it in one line of plain text."
            )


def _texts(part: object, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, str):
        yield name, part
    elif isinstance(part, dict):
        for field, value in part.items():
            yield from _texts(value, f"{name}.{field}")
    elif isinstance(part, list):
        for number, value in enumerate(part):
            yield from _texts(value, f"{name}[{number}]")


def _check_people(authorisation: Authorisation) -> None:
    if same_person(authorisation.officer, authorisation.custodian):
        raise MessageError("Officer and custodian of an authorisation are one person (R5).")


def _check_threshold(authorisation: Authorisation) -> None:
    threshold = authorisation.threshold
    if threshold.threshold < threshold.floor:
        raise MessageError("The threshold of an authorisation is below its own floor (R31).")
    if threshold.kind == "evaluated" and threshold.evaluation_sha256 is None:
        raise MessageError("An evaluated threshold names no evaluation (R28).")
    if threshold.kind == "provisional" and authorisation.mode != "silent":
        raise MessageError("With a provisional threshold the mode must be silent (R31, R35).")

"""What the officer and the custodian read before they sign: every condition, line by line.

No text of an authorisation can pass for a line of its own: what is not printable is shown escaped,
and a long text goes on indented, within the width of any screen.
"""

import textwrap
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from device.protocol.authorisation import Authorisation
from tools.desk.shown import shown_device

COLUMNS: Final = 80
_INDENT: Final = 14
_WIDE: Final = frozenset("WF")


def lines_to_sign(
    signed: Authorisation,
    local_devices: Sequence[str],
    entries: int,
    categories: Mapping[str, int],
    offences: Mapping[str, int],
) -> list[str]:
    """Return the lines.

    local_devices: sources of the devices that hold the list's key themselves. entries: on the list.
    categories, offences: how many of them by their words.
    """
    return [
        *_deployment(signed, local_devices),
        *_line("Entries", f"{entries} of {signed.list_cap} at most, as whoever sealed it counted"),
        *(f"  category      {count:5d}  {_cut(name)}" for name, count in categories.items()),
        *(f"  offence       {count:5d}  {_cut(name)}" for name, count in offences.items()),
        *_matching(signed),
        *_ending(signed),
    ]


def plain(text: str) -> str:
    """Return a text in one line, with what a screen would not show as it is written escaped."""
    shown = (
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
    return " ".join("".join(shown).split())


def _deployment(signed: Authorisation, local_devices: Sequence[str]) -> Iterator[str]:
    yield from _line("Deployment", f"{signed.deployment}, version {signed.version}")
    yield from _line("Sealed at", signed.signed_at)
    yield from _line("List", f"{signed.watchlist.id}, version {signed.watchlist.version}")
    yield from _line("Objective", signed.objective)
    yield from _line("Place", signed.place)
    yield from _line("Devices", ", ".join(shown_device(source) for source in signed.devices))
    yield from _line("Unlock locally", _local(local_devices))
    for window in signed.windows:
        yield from _line("Window", f"{window.begins_at} to {window.ends_at}")
    yield from _line("Legal basis", signed.legal_basis)
    yield from _line("Assessment", signed.impact_assessment)
    yield from _line("Signage", _signage(signed))
    yield from _line("Mode", signed.mode)


def _matching(signed: Authorisation) -> Iterator[str]:
    threshold, rule = signed.threshold, signed.stop_rule
    yield from _line(
        "Threshold",
        f"{threshold.threshold:.4f} ({threshold.kind}); floor {threshold.floor:.4f}; "
        f"{threshold.threshold_id}",
    )
    yield from _line("", threshold.words)
    yield from _line(
        "Target FPIR",
        f"{threshold.target_fpir:g} false alerts per face, for {threshold.list_size} references",
    )
    yield from _line(
        "Evaluation", threshold.evaluation_sha256 or "NONE: nothing stands behind the threshold"
    )
    yield from _line(
        "Stop rule",
        f"a device suspends itself when more than {rule.authorised_fpir:g} false alerts per face "
        f"are shown with a confidence of {rule.confidence:g}",
    )
    for one in signed.models:
        yield from _line("Model", f"{one.role} {one.name}")
        yield from _line("", one.sha256)


def _ending(signed: Authorisation) -> Iterator[str]:
    yield from _line("Retention", f"alerts {signed.retention.alerts_h:g} h")
    yield from _line("", f"list {signed.retention.watchlist_h:g} h after the last window")
    yield from _line("Pilot ends", f"{signed.pilot_ends_at}; then: {signed.exit_evaluation}")
    yield from _line("Officer", signed.officer)
    yield from _line("Custodian", signed.custodian)


def _line(label: str, text: str) -> Iterator[str]:
    content = plain(text)
    width = COLUMNS - _INDENT - 2
    if any(unicodedata.east_asian_width(letter) in _WIDE for letter in content):
        width //= 2  # each of them fills two columns
    parts = textwrap.wrap(content, width, break_on_hyphens=False) or [""]
    for number, part in enumerate(parts):
        yield f"{label if number == 0 else '':<{_INDENT}}  {part}".rstrip()


def _cut(name: str) -> str:
    return plain(name)[:50]


def _local(devices: Sequence[str]) -> str:
    if not devices:
        return "none: every device asks the desk for the key at each start"
    names = ", ".join(shown_device(source) for source in devices)
    return f"{names}: whoever takes the card of one can open the list"


def _signage(signed: Authorisation) -> str:
    if signed.signage is None:
        return "NOT ATTESTED: no device arms with this (R36)"
    return f"attested by {signed.signage.attested_by} at {signed.signage.attested_at}"

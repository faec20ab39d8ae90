"""`passerby-desk notice`: the public notice, from the authorisation and the schedule (R23, R36).

One page of HTML that needs nothing else, for a wall (A4) and the web, in English and French side by
side. Every text that comes from a file is escaped; nothing of the watchlist is in it.
"""

import argparse
import html
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from device.errors import ConfigurationError, MessageError
from device.files import write_atomically
from device.protocol.authorisation import Authorisation, decode_authorisation
from device.protocol.identifiers import utc_ns
from tools.desk.retention.schedule import (
    ITEMS,
    ItemName,
    Schedule,
    default_path,
    read_schedule,
)
from tools.desk.rights.notice_words import (
    BETWEEN,
    LANGUAGES,
    LOCAL_TIME,
    MODES,
    PARTS,
    UNITS,
    Language,
)
from tools.desk.rights.office import Office, read_office

LARGEST_BYTES: Final = 65_536
_SECOND_NS: Final = 10**9
_LEAST_OBJECTIVE: Final = 10


@dataclass(frozen=True, slots=True)
class Words:
    """What a notice says beside what was authorised.

    objective_fr: the objective in French. zone: in which times are shown.
    """

    office: Office
    schedule: Schedule
    objective_fr: str
    zone: tzinfo = UTC


def notice(options: argparse.Namespace) -> int:
    """`notice --authorisation FILE --office FILE --objective-fr TEXT --out FILE.html`."""
    authorisation = read_authorisation(options.authorisation)
    schedule = read_schedule(options.schedule or default_path())
    words = Words(
        read_office(options.office), schedule, options.objective_fr, _zone(options.timezone)
    )
    write_atomically(options.out, render(authorisation, words).encode(), mode=0o644)
    print(f"{options.out}: print it on A4, and hang it where people see it before the camera does.")
    if utc_ns(authorisation.windows[-1].ends_at) < time.time_ns():
        print("Its last time window is over already.")
    if authorisation.signage is None:
        print("Then somebody must attest in the authorisation that it hangs there (R36).")
    return 0


def read_authorisation(path: Path) -> Authorisation:
    """Return the authorisation of a file. Raises ConfigurationError."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The authorisation {path} cannot be read ({error.strerror or error})."
        ) from error
    try:
        return decode_authorisation(content)
    except MessageError as error:
        raise ConfigurationError(f"{path} is no authorisation: {error}") from error


def render(authorisation: Authorisation, words: Words) -> str:
    """Return the notice as one HTML page. Raises ConfigurationError.

    Also when the authorisation keeps anything for longer than the schedule allows.
    """
    _check(authorisation, words)
    cells = (list(_cells(authorisation, words, language)) for language in LANGUAGES)
    rows = (f'<section class="row">{"".join(row)}</section>' for row in zip(*cells, strict=True))
    number = html.escape(f"{authorisation.deployment}, {authorisation.version}")
    return _PAGE.format(body="\n".join(rows), number=number)


def _check(authorisation: Authorisation, words: Words) -> None:
    item, given = words.schedule.item, authorisation.retention
    if given.alerts_h > min(item("alerts_device").maximum_h, item("alerts_desk").maximum_h):
        raise ConfigurationError(
            "The authorisation keeps alerts for longer than the retention schedule: a notice "
            "cannot say both."
        )
    if given.watchlist_h > item("watchlist_device").maximum_h:
        raise ConfigurationError(
            "The authorisation keeps the watchlist for longer than the retention schedule: a "
            "notice cannot say both."
        )
    if len(words.objective_fr.strip()) < _LEAST_OBJECTIVE:
        raise ConfigurationError("--objective-fr must say the objective in French, as a sentence.")


def _cells(authorisation: Authorisation, words: Words, language: Language) -> Iterator[str]:
    """Yield the sections of one language, as escaped HTML."""
    told = _told(authorisation, words, language)
    several = {
        "{when}": _windows(authorisation, words, language),
        "{kept}": _kept(authorisation, words, language),
    }
    for heading, paragraphs in PARTS[language]:
        texts = [
            filled
            for paragraph in paragraphs
            for filled in (several.get(paragraph) or [_filled(paragraph, told)])
        ]
        body = "".join(f"<p>{html.escape(text)}</p>" for text in texts)
        title = html.escape(_filled(heading, told))
        yield f'<div lang="{language}"><h2>{title}</h2>{body}</div>'


def _told(authorisation: Authorisation, words: Words, language: Language) -> dict[str, str]:
    office, deadlines, english = words.office, words.schedule.deadlines, language == "en"
    return {
        "mode": MODES[language][authorisation.mode],
        "objective": authorisation.objective if english else words.objective_fr,
        "place": authorisation.place,
        "zone": "UTC" if words.zone is UTC else LOCAL_TIME[language],
        "service": office.service_en if english else office.service_fr,
        "legal_basis": authorisation.legal_basis,
        "assessment": authorisation.impact_assessment,
        "pilot_ends": authorisation.pilot_ends_at[:10],
        "evaluation": authorisation.exit_evaluation,
        "answer": _period(deadlines.answer, language),
        "extension": _period(deadlines.extension, language),
        "contact": office.contact_en if english else office.contact_fr,
        "complaints": office.complaints_en if english else office.complaints_fr,
    }


def _filled(text: str, told: dict[str, str]) -> str:
    """Fill in names in braces, each once: what is filled in may have braces of its own."""
    before, brace, rest = text.partition("{")
    if not brace:
        return text
    name, _, after = rest.partition("}")
    return f"{before}{told[name]}{_filled(after, told)}"


def _windows(authorisation: Authorisation, words: Words, language: Language) -> list[str]:
    lines = []
    for one in authorisation.windows:
        begins, ends = (
            datetime.fromtimestamp(utc_ns(at) // _SECOND_NS, UTC).astimezone(words.zone)
            for at in (one.begins_at, one.ends_at)
        )
        until = f"{ends:%H:%M}" if begins.date() == ends.date() else f"{ends:%Y-%m-%d %H:%M}"
        lines.append(BETWEEN[language].format(f"{begins:%Y-%m-%d}", f"{begins:%H:%M}", until))
    return lines


def _kept(authorisation: Authorisation, words: Words, language: Language) -> list[str]:
    lines = []
    for name in ITEMS:
        item = words.schedule.item(name)
        text = item.notice_en if language == "en" else item.notice_fr
        if text is not None:
            keep = _period(_longest(name, authorisation, words.schedule), language)
            maximum = _period(item.maximum, language)
            lines.append(text.replace("{keep}", keep).replace("{maximum}", maximum))
    return lines


def _longest(name: ItemName, authorisation: Authorisation, schedule: Schedule) -> str:
    """Return for how long an item is kept: the longer period where two programs keep it."""
    item = schedule.item(name)
    if name != "alerts_desk":
        return item.keep
    # The device by the authorisation, the desk by the schedule.
    return f"{max(authorisation.retention.alerts_h, item.keep_h):g} hours"


def _period(period: str, language: Language) -> str:
    """Return a period for people: "24 hours", "30 jours"."""
    number, _, unit = period.partition(" ")
    return f"{number} {UNITS[language][unit]}{'' if float(number) == 1 else 's'}"


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"--timezone {name[:60]}: this computer knows no such time zone; UTC always works."
        ) from error


_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Face recognition is in use here – La reconnaissance faciale est utilisée ici</title>
<style>
@page {{ size: A4; margin: 12mm; }}
body {{ margin: 0 auto; max-width: 60rem; padding: 1rem; background: #fff; color: #000;
  font: 1.1rem/1.4 system-ui, "Liberation Sans", Arial, sans-serif; }}
.row {{ display: grid; grid-template-columns: 1fr 1fr; gap: 0 2rem; border-top: 1px solid #000;
  padding: .4rem 0; break-inside: avoid; }}
.row:first-of-type {{ border-top: 0; }}
.row:first-of-type h2 {{ font-size: 1.9rem; line-height: 1.15; }}
h2 {{ font-size: 1.25rem; margin: .2rem 0; }}
p {{ margin: .2rem 0; overflow-wrap: anywhere; }}
footer {{ border-top: 1px solid #000; margin-top: .3rem; font-size: .75rem; }}
@media print {{ body {{ padding: 0; max-width: none; font-size: 12pt; line-height: 1.35; }} }}
@media (max-width: 40rem) {{ .row {{ grid-template-columns: 1fr; }} }}
</style>
</head>
<body>
{body}
<footer>{number}</footer>
</body>
</html>
"""

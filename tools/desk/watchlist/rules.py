"""What must hold of an entry, on a day, for it to be on a list. Pure; one function per rule.

Every function returns sentences that name the field and what to do; none means that the rule holds.
A fault in one field never hides another, and no sentence repeats what was typed: a report of
faults holds no name. The same rules judge a draft when it is entered and an
entry each time that a list is sealed.
"""

import re
from collections.abc import Callable, Container, Sequence
from datetime import date, timedelta
from typing import Final

from tools.desk.watchlist.draft import Claim
from tools.desk.watchlist.entry import CATEGORIES, DISPOSITIONS, SOURCES, SUSPENDING
from tools.desk.watchlist.naming import names_in as names_in  # noqa: PLC0414 - a rule as well
from tools.desk.watchlist.offences import Offences

YEARS: Final = 18
"""Nobody is listed who has not completed them (R10)."""
_MOST_YEARS: Final = 110
SHORTEST_RATIONALE: Final = 60
"""Characters of each half of the rationale."""
FEWEST_WORDS: Final = 8
"""Different words in each half: a sentence, not a filler."""
LONGEST_TEXT: Final = 300
LONGEST_RATIONALE: Final = 4000

_FILLER = re.compile(
    r"\b(n/?a|tbd|tbc|todo|as above|see above|see file|lorem ipsum|xxx+)\b", re.IGNORECASE
)
_NOTHING = frozenset(
    {"none", "nil", "na", "notapplicable", "unknown", "tbd", "tbc", "tofollow", "pending", "xxx"}
)
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//|\bwww\.|\bdata:[a-z]+/", re.IGNORECASE)
_FEBRUARY, _LEAP_DAY = 2, 29


def faults_of(
    claim: Claim, today: date, offences: Offences, others: Container[str] = ()
) -> list[str]:
    """Return why an entry may not be on a list today; empty when it may.

    today: in UTC. others: `essence` of the rationales of all other entries.
    """
    rules: tuple[Callable[[], list[str]], ...] = (
        lambda: provenance(claim),
        lambda: attestation(claim, today),
        lambda: origin(claim),
        lambda: addresses(claim),
        lambda: category(claim),
        lambda: rationale(claim, others),
        lambda: dates(claim, today, offences),
        lambda: disposition(claim),
        lambda: offence(claim, offences),
        lambda: adulthood(claim, today),
        lambda: sizes(claim),
    )
    return [fault for rule in rules for fault in rule()]


def provenance(claim: Claim) -> list[str]:
    """R1: who is meant, where the photograph comes from, and the basis on which it is held."""
    wanted = {
        "name": "the name of the person",
        "held_by": "the police service that holds the photograph",
        "exhibit": "the file or exhibit number of the photograph",
        "legal_basis": "the warrant, order or judgment by its number",
    }
    return [
        f"{name} is missing: write {what} (R1)"
        for name, what in wanted.items()
        if _says_nothing(getattr(claim, name))
    ]


def attestation(claim: Claim, today: date) -> list[str]:
    """R1: somebody attests that the photograph is lawfully held, and not before it was taken."""
    faults = []
    if _says_nothing(claim.attested_by):
        faults.append(
            "attested_by is missing: somebody must attest that the photograph is lawfully held (R1)"
        )
    if claim.attested_on is not None:
        if claim.attested_on > today:
            faults.append("attested_on is in the future: nobody can have attested it yet (R1)")
        if claim.captured_on is not None and claim.attested_on < claim.captured_on:
            faults.append("attested_on is before captured_on: correct one of the two (R1)")
    if claim.captured_on is not None and claim.captured_on > today:
        faults.append("captured_on is in the future: correct it (R1)")
    return faults


def origin(claim: Claim) -> list[str]:
    """R2: only booking photographs."""
    if claim.source in SOURCES:
        return []
    fault = f'source is refused: only a "{SOURCES[0]}" may be enrolled (R2)'
    return [fault]


def addresses(claim: Claim) -> list[str]:
    """R2: nothing in an entry is the address of something to be fetched."""
    names = ("name", "source", "held_by", "exhibit", "legal_basis", "attested_by")
    return [
        f"{name} holds a network address: nothing is taken from a network (R2)"
        for name in names
        if is_address(getattr(claim, name))
    ]


def is_address(text: str) -> bool:
    """Whether a text looks like the address of something on a network."""
    return _ADDRESS.search(text) is not None


def category(claim: Claim) -> list[str]:
    """R3, R11: the reason is one of a closed list, in which no bystander has a word."""
    if claim.category in CATEGORIES:
        return []
    fault = (
        f"category is none of the list: write one of {_choices(CATEGORIES)}; who is none of these "
        "cannot be listed (R3, R11)"
    )
    return [fault]


def rationale(claim: Claim, others: Container[str] = ()) -> list[str]:
    """R4: necessity and proportionality, each in words of this entry's own."""
    faults = []
    for name in ("necessity", "proportionality"):
        text = getattr(claim, name)
        if len(text) < SHORTEST_RATIONALE or len(_words(text)) < FEWEST_WORDS:
            faults.append(
                f"{name} is too short: say in {SHORTEST_RATIONALE} characters and {FEWEST_WORDS} "
                "different words at least why this holds for this person (R4)"
            )
        elif _FILLER.search(text):
            faults.append(f"{name} has a filler in it: write the reason itself (R4)")
        elif essence(claim, name) in others:
            faults.append(f"{name} is another entry's: every person needs their own (R4)")
    if claim.necessity and essence(claim, "necessity") == essence(claim, "proportionality"):
        faults.append("proportionality repeats necessity: weigh it against the intrusion (R4)")
    return faults


def essence(claim: Claim, name: str) -> str:
    """Return a rationale without what is easily changed: case, numbers, signs, the name."""
    own = set(_letters(claim.name))
    return " ".join(word for word in _letters(getattr(claim, name)) if word not in own)


def dates(claim: Claim, today: date, offences: Offences) -> list[str]:
    """R7: review and expiry lie ahead, in this order, and not further than configured."""
    faults = []
    if claim.review_on is not None:
        if claim.review_on <= today:
            faults.append("review_on is past: review the entry, or remove it (R7)")
        if claim.review_on > today + timedelta(days=offences.longest_review_days):
            limit = offences.longest_review_days
            faults.append(f"review_on is more than {limit} days ahead: choose an earlier one (R7)")
    if claim.expires_on is not None:
        if claim.expires_on <= today:
            faults.append("expires_on is past: the entry is over (R7)")
        if claim.expires_on > today + timedelta(days=offences.longest_days):
            limit = offences.longest_days
            faults.append(f"expires_on is more than {limit} days ahead: choose an earlier one (R7)")
    if _after(claim.review_on, claim.expires_on):
        faults.append("review_on is after expires_on: nobody would review it (R7)")
    return faults


def disposition(claim: Claim) -> list[str]:
    """R8: a charge that has come to nothing suspends the entry."""
    if claim.disposition not in DISPOSITIONS:
        fault = f"disposition is none of the list: write one of {_choices(DISPOSITIONS)} (R8)"
        return [fault]
    if claim.disposition in SUSPENDING:
        return [f"disposition is {claim.disposition}: the person must not be looked for (R8)"]
    if claim.suspended:
        return ["the entry was suspended: if a new charge stands, make a new entry (R8)"]
    return []


def offence(claim: Claim, offences: Offences) -> list[str]:
    """R9: the offence belongs to a configured class of serious ones."""
    if claim.offence_class in offences.ids:
        return []
    fault = (
        f"offence_class is no configured serious offence: write one of {_choices(offences.ids)}, "
        "or leave the person out (R9)"
    )
    return [fault]


def adulthood(claim: Claim, today: date) -> list[str]:
    """R10: 18 completed years today, and also on the day when the photograph was taken.

    The second, because a booking photograph of a minor is a youth record, which may neither be kept
    nor used as an adult's (Youth Criminal Justice Act, sections 113 to 128).

    On the birthday itself nobody is listed: the days here are UTC's, and where the person is it may
    be the day before, for up to 12 hours. The same holds for the day of a photograph, whose zone
    nobody wrote down.
    """
    born = claim.born_on
    if born is None:
        return []
    if born > today or today.year - born.year > _MOST_YEARS:
        return ["born_on cannot be right: check the year (R10)"]
    adult_on = adult_from(born)
    faults = []
    if today < adult_on:
        faults.append("born_on: the person is under 18 and cannot be listed (R10)")
    elif today == adult_on:
        faults.append("born_on: the person turns 18 today: not before tomorrow, in UTC (R10)")
    if claim.captured_on is not None and claim.captured_on <= adult_on:
        faults.append(
            "captured_on: the person was under 18 when the photograph was taken, or turned 18 on "
            "that day; it cannot be used (R10)"
        )
    return faults


def adult_from(born: date) -> date:
    """Return the first day on which somebody has completed 18 years: the 18th birthday itself.

    Who was born on 29 February completes a year on 1 March where there is no such day: of the two
    readings the one that protects longer.
    """
    year = born.year + YEARS
    if (born.month, born.day) == (_FEBRUARY, _LEAP_DAY) and not _is_leap(year):
        return date(year, 3, 1)
    return born.replace(year=year)


def sizes(claim: Claim) -> list[str]:
    """No field is longer than what somebody would read."""
    short = ("name", "held_by", "exhibit", "legal_basis", "attested_by")
    limits = dict.fromkeys(short, LONGEST_TEXT)
    limits |= dict.fromkeys(("necessity", "proportionality"), LONGEST_RATIONALE)
    return [
        f"{name} has more than {limit} characters: shorten it"
        for name, limit in limits.items()
        if len(getattr(claim, name)) > limit
    ]


def _says_nothing(text: str) -> bool:
    """Whether a field was filled in to be rid of it; one letter is no name, either."""
    bare = "".join(letter for letter in text.casefold() if letter.isalnum())
    return len(bare) < 2 or bare in _NOTHING  # noqa: PLR2004


def _choices(words: Sequence[str]) -> str:
    return ", ".join(f'"{word}"' for word in words)


def _words(text: str) -> set[str]:
    return set(_letters(text))


def _letters(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.casefold())


def _after(one: date | None, other: date | None) -> bool:
    return one is not None and other is not None and one > other


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)

"""What must hold of an authorisation before it is sealed and signed. Pure; one function per rule.

The device asks again before it arms (`device.policy`): here somebody can still correct it.
"""

from collections.abc import Callable
from typing import Final

from device.errors import MessageError
from device.protocol.alert import ModelHash
from device.protocol.authorisation import Authorisation, check_authorisation, same_person
from device.protocol.identifiers import utc_ns
from tools.desk.watchlist.admission import over_the_cap
from tools.desk.watchlist.evaluation import covers

_FILLERS: Final = frozenset(
    {"na", "none", "no", "nil", "tbd", "tba", "tbc", "todo", "pending", "unknown", "later"}
    | {"test", "notapplicable", "notyet", "xx", "xxx"}
)


def obstacles(authorisation: Authorisation, listed: int, now_ns: int) -> list[str]:
    """Return why this may not be sealed now; empty when it may.

    What contradicts itself, as alerting with a provisional threshold (R35) or a pilot without an
    end (R54), `check_authorisation` finds, on the device too.

    listed: entries on the list. now_ns: wall clock.
    """
    try:
        check_authorisation(authorisation)
    except MessageError as error:
        return [str(error)]
    rules: tuple[Callable[[], list[str]], ...] = (
        lambda: two_people(authorisation),
        lambda: assessed(authorisation),
        lambda: pilot_ends(authorisation, now_ns),
        lambda: evaluated_afterwards(authorisation),
        lambda: covered(authorisation, listed),
        lambda: over_the_cap(listed, authorisation.list_cap),
        lambda: announced(authorisation, now_ns),
        lambda: ahead(authorisation, now_ns),
    )
    return [sentence for rule in rules for sentence in rule()]


def two_people(authorisation: Authorisation) -> list[str]:
    """R5: officer and custodian are two named people."""
    faults = [
        f"{office} names nobody: write the office and number of a person (R5)"
        for office in ("officer", "custodian")
        if not _names_something(getattr(authorisation, office))
    ]
    if same_person(authorisation.officer, authorisation.custodian):
        faults.append("officer and custodian are one person: two people sign a list (R5)")
    return faults


def assessed(authorisation: Authorisation) -> list[str]:
    """R40: an impact assessment is named, pilots included."""
    if _names_something(authorisation.impact_assessment):
        return []
    return ["impact_assessment names none: write its reference; a pilot needs one too (R40)"]


def pilot_ends(authorisation: Authorisation, now_ns: int) -> list[str]:
    """R54: the pilot's end lies ahead, and no window outlasts it."""
    if utc_ns(authorisation.pilot_ends_at) <= now_ns:
        return ["pilot_ends_at is past: going on needs an exit evaluation first (R54)"]
    return []


def evaluated_afterwards(authorisation: Authorisation) -> list[str]:
    """R54: it says who reports on the pilot, and where."""
    if _names_something(authorisation.exit_evaluation):
        return []
    return ["exit_evaluation names nobody: write who reports on the pilot, and to whom (R54)"]


def covered(authorisation: Authorisation, listed: int) -> list[str]:
    """R29: the evaluation had 90 % of the list's length at least."""
    if covers(authorisation.threshold.list_size, listed):
        return []
    fault = (
        f"the evaluation had {authorisation.threshold.list_size} references, less than 90 % of "
        f"the {listed} on the list: authorise it anew with a longer evaluation (R29)"
    )
    return [fault]


def announced(authorisation: Authorisation, now_ns: int) -> list[str]:
    """R36: whoever attests the notice has seen it, before the first window.

    It may be attested later, in a new version; until then no device arms.
    """
    signage = authorisation.signage
    if signage is None:
        return []
    faults = []
    attested_ns = utc_ns(signage.attested_at)
    if attested_ns > now_ns:
        faults.append("signage.attested_at is in the future: attest what was seen (R36)")
    if attested_ns > utc_ns(authorisation.windows[0].begins_at):
        faults.append(
            "signage.attested_at is after the first window begins: the notice comes first; leave "
            "windows out that began before it (R36)"
        )
    if not _names_something(signage.attested_by):
        faults.append("signage.attested_by names nobody: write who saw the notice (R36)")
    return faults


def enrolled_with(authorisation: Authorisation, embedder: ModelHash | None) -> list[str]:
    """R34: the embedder that made the templates is one of the authorised models.

    embedder: the register's; None while the list has no photograph.
    """
    if embedder is None or embedder in authorisation.models:
        return []
    fault = (
        f"the list was made with the embedder {embedder.name} ({embedder.sha256[:12]}…), which is "
        "not authorised: authorise that one, or enrol the photographs anew in a new deployment "
        "(R34)"
    )
    return [fault]


def ahead(authorisation: Authorisation, now_ns: int) -> list[str]:
    """R6: some of the time windows is not over yet."""
    if authorisation.ends_ns <= now_ns:
        return ["the last time window is over: there is nothing left to authorise (R6)"]
    return []


def _names_something(text: str) -> bool:
    letters = "".join(filter(str.isalnum, text.casefold()))
    return bool(letters) and letters not in _FILLERS

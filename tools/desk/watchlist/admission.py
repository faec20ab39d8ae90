"""Who may come onto a list: the rules, the person once only, every photograph once only (R12)."""

from collections import Counter
from collections.abc import Iterable, Sequence

from device.protocol.authorisation import LIST_CAP
from tools.desk.watchlist.draft import Claim, Draft
from tools.desk.watchlist.entry import Entry, Photograph
from tools.desk.watchlist.rules import essence

_HALVES = ("necessity", "proportionality")


def essences(claims: Iterable[Claim]) -> Counter[str]:
    """Return how often each rationale stands in some entries, see `rules.essence`."""
    return Counter(essence(claim, half) for claim in claims for half in _HALVES)


def essences_beside(entry: Entry, all_of_them: Counter[str]) -> frozenset[str]:
    """Return those of all other entries; `all_of_them` counts this entry's too."""
    own = Counter(essence(entry, half) for half in _HALVES)
    return frozenset(text for text in own if all_of_them[text] > own[text])


def listed_already(draft: Draft, entries: Sequence[Entry]) -> list[str]:
    """Return that the person is on the list, under which reference."""
    person = _person(draft)
    return [
        f"the person is listed already as {entry.reference_id}: review or revoke that entry"
        for entry in entries
        if _person(entry) == person
    ]


def enrolled_already(photographs: Sequence[Photograph], entries: Sequence[Entry]) -> list[str]:
    """Return that a photograph belongs to another entry, or came twice."""
    owners = {one.sha256: entry.reference_id for entry in entries for one in entry.photographs}
    faults = [
        f"photograph {number} was enrolled for {owners[one.sha256]}: whose is it?"
        for number, one in enumerate(photographs, 1)
        if one.sha256 in owners
    ]
    if len({one.sha256 for one in photographs}) < len(photographs):
        faults.append("a photograph is named twice: name it once")
    return faults


def over_the_cap(listed: int, cap: int = LIST_CAP) -> list[str]:
    """R12: return that a list of this length is too long. listed: entries it would have."""
    if listed <= cap:
        return []
    return [f"the list would have {listed} entries, {cap} at most: remove some first (R12)"]


def _person(claim: Claim) -> tuple[str, object]:
    return "".join(claim.name.casefold().split()), claim.born_on

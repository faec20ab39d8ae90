"""Letters to people who asked. Pure: a letter is made of what is handed in, and of nothing else.

The letter that neither confirms nor denies is made by a function that is not given what was found:
it is the same, byte for byte, whether or not the person is or was on a list (R38).
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

from tools.desk.rights.manifests import Found
from tools.desk.rights.office import Office
from tools.desk.rights.requests import Answer, Decision, Kind, Language

_SUBJECT: Final[dict[Language, dict[Kind, str]]] = {
    "en": {
        "search": "what is held about you in a watchlist for face recognition",
        "delete": "the deletion of what is held about you in a watchlist for face recognition",
        "correct": "the correction of what is held about you in a watchlist for face recognition",
    },
    "fr": {
        "search": "ce qui est conservé à votre sujet dans une liste de surveillance par "
        "reconnaissance faciale",
        "delete": "la suppression de ce qui est conservé à votre sujet dans une liste de "
        "surveillance par reconnaissance faciale",
        "correct": "la rectification de ce qui est conservé à votre sujet dans une liste de "
        "surveillance par reconnaissance faciale",
    },
}
_DECISIONS: Final[dict[Language, dict[Decision, str]]] = {
    "en": {
        "answered": "",
        "granted": "Your request is granted.",
        "partly granted": "Your request is granted in part.",
        "refused": "Your request is refused.",
    },
    "fr": {
        "answered": "",
        "granted": "Votre demande est acceptée.",
        "partly granted": "Votre demande est acceptée en partie.",
        "refused": "Votre demande est refusée.",
    },
}


@dataclass(frozen=True, slots=True)
class Head:
    """What every letter needs. request: its id. today: of the letter."""

    office: Office
    request: str
    kind: Kind
    received_on: date
    today: date
    language: Language


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a letter discloses. found: listings that are certainly the person's."""

    answer: Answer
    found: list[Found]
    decision: Decision
    reason: str


def neither(head: Head) -> str:
    """Return the letter that neither confirms nor denies. It knows nothing of what was found."""
    body = {
        "en": (
            "We neither confirm nor deny that you are, or ever were, on such a list. Everybody who "
            "asks gets this same letter, whatever is or is not held: another answer would tell "
            "others who is looked for.\n\n"
            "Your request was examined by a person. If anything is held about you, what the law "
            "says was applied to it."
        ),
        "fr": (
            "Nous ne confirmons ni ne nions que vous figurez, ou avez figuré, sur une telle liste. "
            "Toute personne qui le demande reçoit cette même lettre, quoi qu’il soit conservé ou "
            "non : une autre réponse indiquerait à des tiers qui est recherché.\n\n"
            "Votre demande a été examinée par une personne. Si quelque chose est conservé à votre "
            "sujet, la loi y a été appliquée."
        ),
    }
    return _letter(head, body[head.language])


def disclosure(head: Head, what: Disclosure) -> str:
    """Return the letter that discloses. Answer "ended" leaves running lists unconfirmed."""
    language = head.language
    shown = [one for one in what.found if what.answer == "everything" or not one.running]
    parts = [_listings(shown, what.answer, language)]
    if what.answer == "ended":
        parts.append(_RUNNING[language])
    if head.kind != "search":
        parts.append(f"{_DECISIONS[language][what.decision]} {_REASON[language]} {what.reason}")
    return _letter(head, "\n\n".join(parts))


_REASON: Final[dict[Language, str]] = {"en": "Reason:", "fr": "Motif :"}
_RUNNING: Final[dict[Language, str]] = {
    "en": "Whether you are on a list that is in force today we neither confirm nor deny. Everybody "
    "who asks is told the same.",
    "fr": "Nous ne confirmons ni ne nions que vous figurez sur une liste en vigueur aujourd’hui. "
    "Toute personne qui le demande reçoit la même réponse.",
}


def _listings(shown: list[Found], answer: Answer, language: Language) -> str:
    lists = {"ended": ("lists that have ended", "listes qui ont pris fin")}.get(
        answer, ("lists", "listes")
    )
    if not shown:
        return {
            "en": f"You were found on none of our {lists[0]}.",
            "fr": f"Vous ne figurez sur aucune de nos {lists[1]}.",
        }[language]
    head = {
        "en": f"You were found on these of our {lists[0]} (list, version, reference; from, until):",
        "fr": f"Vous figurez sur ces {lists[1]} (liste, version, référence ; du, au) :",
    }[language]
    rows = (
        f"- {one.watchlist.id}, {one.watchlist.version}, {one.listing.reference_id}; "
        f"{one.listing.from_at[:10]}, {_until(one, language)}"
        for one in shown
    )
    return "\n".join((head, *rows))


def _until(one: Found, language: Language) -> str:
    if one.listing.until_at == "unknown":
        return {"en": "still in force", "fr": "encore en vigueur"}[language]
    return one.listing.until_at[:10]


def _letter(head: Head, body: str) -> str:
    office, about = head.office, _SUBJECT[head.language][head.kind]
    today, received = head.today.isoformat(), head.received_on.isoformat()
    if head.language == "fr":
        return (
            f"{office.service_fr}\n{today}\n\nVotre demande {head.request}, reçue le {received}\n\n"
            f"Madame, Monsieur,\n\nVous avez demandé {about}.\n\n{body}\n\n"
            f"Pour toute question : {office.contact_fr}\n"
            f"Pour porter plainte : {office.complaints_fr}\n"
        )
    return (
        f"{office.service_en}\n{today}\n\nYour request {head.request}, received on {received}\n\n"
        f"Dear Madam or Sir,\n\nYou asked for {about}.\n\n{body}\n\n"
        f"Questions: {office.contact_en}\nComplaints: {office.complaints_en}\n"
    )

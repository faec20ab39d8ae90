"""The standing words of the public notice, in both languages; `tools.desk.notice` fills them in.

Names in braces are replaced by what was authorised, by the office's own words or by periods of the
retention schedule. Plain language: short sentences, no word that only the trade knows.
"""

from typing import Final, Literal

from device.protocol.wording import NOTICE

Language = Literal["en", "fr"]
LANGUAGES: Final[tuple[Language, ...]] = ("en", "fr")
Part = tuple[str, tuple[str, ...]]
"""A heading, and its paragraphs. "{when}" and "{kept}" become several."""

_ENGLISH: Final[tuple[Part, ...]] = (
    (
        "Face recognition is in use here",
        (
            (
                "A camera compares the faces of people who pass with a short list of people who "
                "are "
                "looked for. Everybody else is forgotten at once."
            ),
            "{mode}",
        ),
    ),
    ("Why", ("{objective}",)),
    ("Where", ("{place}",)),
    ("When ({zone})", ("{when}",)),
    (
        "By whom, and on what legal basis",
        (
            "{service}. Legal basis: {legal_basis}. Impact assessment: {assessment}.",
            "The pilot ends on {pilot_ends}. Report on it: {evaluation}.",
        ),
    ),
    (
        "What a result means",
        (
            NOTICE,
            (
                "Doing nothing is always allowed. No video is recorded. Nothing is guessed about "
                "feelings, sex, age or origin."
            ),
        ),
    ),
    ("How long anything is kept", ("{kept}",)),
    (
        "Your rights",
        (
            (
                "You may ask whether you are or were on the list, and ask to have it corrected or "
                "deleted. Give your name and birth date, or a reference number if you have one. "
                "You "
                "are never asked for a photograph."
            ),
            (
                "You get an answer within {answer}. If we need longer, {extension} at most, we "
                "tell "
                "you why. Where the law lets us, the answer neither confirms nor denies; then "
                "everybody gets the same one."
            ),
        ),
    ),
    ("Contact", ("{contact}", "Complaints: {complaints}")),
)
_FRENCH: Final[tuple[Part, ...]] = (
    (
        "La reconnaissance faciale est utilisée ici",
        (
            (
                "Une caméra compare les visages des personnes qui passent à une courte liste de "
                "personnes recherchées. Toutes les autres sont oubliées aussitôt."
            ),
            "{mode}",
        ),
    ),
    ("Pourquoi", ("{objective}",)),
    ("Où", ("{place}",)),
    ("Quand ({zone})", ("{when}",)),
    (
        "Par qui, et sur quelle base légale",
        (
            "{service}. Base légale : {legal_basis}. Évaluation des incidences : {assessment}.",
            "Le projet pilote prend fin le {pilot_ends}. Rapport : {evaluation}.",
        ),
    ),
    (
        "Ce que signifie un résultat",
        (
            (
                "Correspondance possible ; ce n’est pas une identification ; elle ne peut être "
                "le seul "
                "fondement d’aucune décision."
            ),
            (
                "Ne rien faire est toujours permis. Aucune vidéo n’est enregistrée. Rien n’est "
                "déduit "
                "des émotions, du sexe, de l’âge ou de l’origine."
            ),
        ),
    ),
    ("Durées de conservation", ("{kept}",)),
    (
        "Vos droits",
        (
            (
                "Vous pouvez demander si vous figurez ou avez figuré sur la liste, et en "
                "demander la "
                "rectification ou la suppression. Donnez votre nom et votre date de naissance, "
                "ou un "
                "numéro de référence si vous en avez un. Aucune photo ne vous est jamais demandée."
            ),
            (
                "Vous recevez une réponse dans un délai de {answer}. S’il nous faut plus de temps, "
                "{extension} au plus, nous vous disons pourquoi. Lorsque la loi le permet, la "
                "réponse "
                "ne confirme ni ne nie rien ; elle est alors la même pour tout le monde."
            ),
        ),
    ),
    ("Nous joindre", ("{contact}", "Plaintes : {complaints}")),
)
PARTS: Final[dict[Language, tuple[Part, ...]]] = {"en": _ENGLISH, "fr": _FRENCH}

MODES: Final[dict[Language, dict[str, str]]] = {
    "en": {
        "silent": "This is a silent test: results only show how well it works. Nobody is "
        "approached because of them.",
        "alerting": "If there is a possible match, two people look at it before anything is done.",
    },
    "fr": {
        "silent": "Il s’agit d’un essai silencieux : les résultats servent seulement à mesurer la "
        "fiabilité. Personne n’est abordé à cause d’eux.",
        "alerting": "En cas de correspondance possible, deux personnes l’examinent avant toute "
        "action.",
    },
}
LOCAL_TIME: Final[dict[Language, str]] = {"en": "local time", "fr": "heure locale"}
BETWEEN: Final[dict[Language, str]] = {"en": "{}, {} to {}", "fr": "{}, de {} à {}"}
"""A day, and from when to when on it."""
UNITS: Final[dict[Language, dict[str, str]]] = {
    "en": {"hours": "hour", "days": "day"},
    "fr": {"hours": "heure", "days": "jour"},
}

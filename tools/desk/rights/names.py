"""How a name and a birth date are compared once the names themselves are erased: by keyed digest.

The rule, in this order:

1. Unicode NFKD; accents and other marks go ("Zoë" is "zoe"), then case folding ("ß" is "ss").
2. Letters that Unicode does not take apart: ø o, ł l, đ and ð d, æ ae, œ oe, þ th, ı i.
3. Apostrophes go ("O'Neill" is "oneill"); hyphens, full stops, commas and all else that is neither
   letter nor number separate words ("Jean-Luc" is "jean luc").
4. The words are sorted, so neither blanks nor order matter: given and family names may be swapped.

A digest is HMAC-SHA256(rights key, kind of digest + words + birth date). One stands for all words;
further ones for each pair of words, so that a middle name that one side leaves out is no way to be
missed. Which of the two agreed is said: a pair is a reason to look, not an answer.

Not covered: other transliterations ("Mueller" for "Müller", two spellings from another script) and
a wrong birth date. Whoever answers a request should ask for other spellings and search each.
"""

import hashlib
import hmac
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations
from typing import Final, Literal

from device.errors import ConfigurationError

RIGHTS_KEY_BYTES: Final = 32
SLOTS: Final = 24
"""Digests that are kept per subject: a fixed number, so that it does not tell how many words a name
has. What is not needed is random."""
LONGEST_NAME: Final = 200
_MOST_WORDS: Final = 7
"""Of these pairs are made: 21 at most, and one digest of all words."""
_TRANSLATED: Final = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "æ": "ae", "œ": "oe", "þ": "th", "ı": "i"}
)
_APOSTROPHES: Final = re.compile("['’‘ʼ`´]")

Agreement = Literal["whole name", "two words of the name"]


@dataclass(frozen=True, slots=True)
class Subject:
    """A person by name and birth date. born_on: ISO 8601. Neither is shown when it is printed."""

    name: str = field(repr=False)
    born_on: str = field(repr=False)

    def __post_init__(self) -> None:
        """Raise ConfigurationError, without repeating what was given, when it cannot be used."""
        if len(self.name) > LONGEST_NAME or not words_of(self.name):
            raise ConfigurationError(
                f"A name has letters, and {LONGEST_NAME} characters at most: write it as the "
                "person does."
            )
        try:
            plain = date.fromisoformat(self.born_on).isoformat()
        except ValueError as error:
            raise ConfigurationError("A birth date is written as 1990-12-31.") from error
        if plain != self.born_on:
            raise ConfigurationError("A birth date is written as 1990-12-31.")


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, folded and sorted by the rule of this module."""
    plain = _APOSTROPHES.sub("", name)
    letters = unicodedata.normalize("NFKD", plain.casefold())
    # Mn, Mc, Me: marks; Cf: characters that nobody sees, as a soft hyphen.
    unmarked = "".join(
        one
        for one in letters
        if unicodedata.category(one)[0] != "M" and unicodedata.category(one) != "Cf"
    )
    folded = unmarked.casefold().translate(_TRANSLATED)
    return tuple(sorted("".join(one if one.isalnum() else " " for one in folded).split()))


def digests_of(subject: Subject, rights_key: bytes) -> tuple[str, ...]:
    """Return the `SLOTS` digests to keep of a subject, sorted; 64 hexadecimal digits each."""
    kept = set(_all_digests(subject, rights_key))
    while len(kept) < SLOTS:
        kept.add(secrets.token_hex(32))
    return tuple(sorted(kept))


def agreement(
    subject: Subject, digests: "frozenset[str] | set[str]", rights_key: bytes
) -> Agreement | None:
    """Return how far a subject agrees with the digests that were kept; None: not at all."""
    matching = [
        kind for digest, kind in _all_digests(subject, rights_key).items() if digest in digests
    ]
    if not matching:
        return None
    return "whole name" if "whole name" in matching else "two words of the name"


def _all_digests(subject: Subject, rights_key: bytes) -> dict[str, Agreement]:
    if len(rights_key) != RIGHTS_KEY_BYTES:
        raise ValueError(f"the rights key has {RIGHTS_KEY_BYTES} bytes")
    words = words_of(subject.name)
    found: dict[str, Agreement] = {
        _digest(rights_key, "pair", pair, subject.born_on): "two words of the name"
        for pair in combinations(words[:_MOST_WORDS], 2)
    }
    found[_digest(rights_key, "whole", words, subject.born_on)] = "whole name"
    return found


def _digest(rights_key: bytes, kind: str, words: tuple[str, ...], born_on: str) -> str:
    # A line break is in no word and no date: no two subjects are one text.
    text = "\n".join(("passerby subject 1", kind, *words, born_on))
    return hmac.new(rights_key, text.encode(), hashlib.sha256).hexdigest()

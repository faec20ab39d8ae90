"""Whether a text that leaves the register, as a reason in a manifest, names somebody who is in it.

Pure. The names are compared by the words of `tools.desk.rights.names`.
"""

from typing import Final

from device.errors import ConfigurationError
from tools.desk.rights.names import words_of
from tools.desk.watchlist.register import Register

_WORDS: Final = (
    "and are authority back been case charge chief child court day deployment dismissed early end "
    "ended error expired fair file first for found good has her his home judge judgment king last "
    "law list long march may new not old order over page park past person pilot place police "
    "possible price quashed reason record released right rule set she stay street summer term the "
    "their they time today trial unit was way will window winter with withdrawn word work young "
    "your"
)
"""Of which reasons are made: a surname that is one of them is a name only beside another word."""
_PLAIN_WORDS: Final = frozenset(_WORDS.split())
_NAMING_LETTERS: Final = 3


def names_in(text: str, register: Register) -> bool:
    """R39, R56: whether a text that leaves the register names somebody who is in it.

    One word of a name is enough, in any case and form and with any accents, where it has three
    letters and is no plain word of such a text; two words of one name always are, and so is a name
    without its blanks. What it does not find: other spellings, nicknames, initials.
    """
    said = set(words_of(text))
    joined = _joined(text)
    return any(_is_named(entry.name, said, joined) for entry in register.entries)


def refuse_names(text: str, option: str, register: Register) -> None:
    """Raise ConfigurationError when a text that leaves the register names somebody in it."""
    if names_in(text, register):
        raise ConfigurationError(
            f"{option} names somebody on the list, and the records hold no names: write it "
            "without, by office and number, or by reference (R39)."
        )


def _is_named(name: str, said: set[str], joined: str) -> bool:
    words = set(words_of(name))
    found = {word for word in words if word in said or f"{word}s" in said}
    if len(found) > 1 or found == words:
        return bool(found)
    if any(len(word) >= _NAMING_LETTERS and word not in _PLAIN_WORDS for word in found):
        return True
    # Scripts without blanks, and names that were written without them.
    whole = _joined(name)
    return whole in joined and (not whole.isascii() or len(words) > 1)


def _joined(text: str) -> str:
    return "".join(word for part in text.split() for word in words_of(part))

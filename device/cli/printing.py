"""Text of others, such as a file's name, for a terminal: it moves no cursor and makes no line."""


def printable(text: str) -> str:
    r"""Return text in which what cannot be seen is escaped, as `\x1b`; marks of direction too."""
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")

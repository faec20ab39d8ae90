"""Finds a template in a text: as hexadecimal, escaped bytes or base64, or as numbers.

Bytes are looked for as `Needles` look for all bytes; numbers are read and compared, because Python,
NumPy and JSON differ in brackets, blanks, digits and words around a number.
"""

import base64
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.privacy.forgetting.needles import Form


def text_forms(template, canary="a template"):
    """Return a template as a text could carry it: hexadecimal, escaped, base64. See `Numbers`."""
    forms = []
    for name, content in _stored(template).items():
        texts = {
            "hexadecimal": content.hex(),
            "HEXADECIMAL": content.hex().upper(),
            "escaped": repr(content)[2:-1],
        }
        for offset in range(3):
            # The last two characters depend on what follows.
            coded = base64.b64encode(bytes(offset) + content)[4 if offset else 0 : -4]
            texts[f"base64, offset {offset}"] = coded.decode()
            texts[f"base64 for addresses, offset {offset}"] = (
                coded.decode().replace("+", "-").replace("/", "_")
            )
        forms += [
            Form(canary, f"template, {name}, {kind}", text.encode()) for kind, text in texts.items()
        ]
    return forms


def _stored(template):
    """Return a template's bytes in every type it may have."""
    values = np.asarray(template, np.float32)
    eight = np.clip(np.rint(values * 127 / max(np.abs(values).max(), 1e-9)), -127, 127)
    return {
        "float32": values.tobytes(),
        "float16": values.astype(np.float16).tobytes(),
        "int8": eight.astype(np.int8).tobytes(),
    }


_WHOLE = 8


@dataclass(frozen=True, slots=True)
class NumbersFind:
    """Numbers of a template in a text."""

    at: int
    text: str
    canary: str
    where: str


class Numbers:
    """Finds four numbers in a row of any template, however a text prints them.

    Python, NumPy and JSON differ in brackets, blanks, digits and words around a number, so the
    numbers are read and compared, not their text: four to three decimals, eight to two, eight
    whole ones: dates and times are whole numbers, too.
    """

    _NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d*(?:[eE][-+]?\d+)?|(?![\w.]))")
    _STRICT = ((4, 3), (8, 2))

    def __init__(self, templates):
        """templates: canary → vector, by row as it would be printed."""
        self._keys = {}
        for canary, template in templates.items():
            values = np.asarray(template, np.float64)
            for run, decimals in self._STRICT:
                for key in _runs(np.rint(values * 10**decimals).astype(int), run):
                    self._keys[run, key] = canary
            eight = np.frombuffer(_stored(template)["int8"], np.int8).astype(int)
            for key in _runs(eight, _WHOLE):
                self._keys["int8", key] = canary

    def search(self, text, where=""):
        """Return one find per canary and text."""
        found = {}
        printed = list(self._NUMBER.finditer(text))
        values = np.array([float(one[0]) for one in printed], np.float64)
        values = np.clip(np.nan_to_num(values), -1e9, 1e9)
        looks = [(run, np.rint(values * 10**decimals), run) for run, decimals in self._STRICT]
        for kind, rounded, run in [*looks, ("int8", np.rint(values), _WHOLE)]:
            for at, key in enumerate(_runs(rounded.astype(int), run, every=True)):
                canary = self._keys.get((kind, key)) if key else None
                if canary is not None and canary not in found:
                    begin, end = printed[at].start(), printed[at + run - 1].end()
                    found[canary] = NumbersFind(begin, text[begin:end], canary, where)
        return list(found.values())

    def search_file(self, path):
        return self.search(Path(path).read_bytes().decode("utf-8", "replace"), str(path))


def _runs(values, run, *, every=False):
    """Yield stretches of numbers; all but one alike or zero are no proof and left out."""
    numbers = values.tolist()
    for at in range(len(numbers) - run + 1):
        key = tuple(numbers[at : at + run])
        if len(set(key) - {0}) >= 3 and max(map(abs, key)) > 3:
            yield key
        elif every:
            yield None

"""Find known content in arbitrary memory, at any byte alignment, even where only a piece is left.

Every 8-byte word of the content is a needle. A Bloom filter says for each position of the memory
whether a needle could begin there; what passes is compared with the content itself and followed
in both directions, so that a find is a stretch of equal bytes and never only an equal hash.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from .stretches import WORD, Both, follow, outermost

BLOCK = 1 << 16  # words hashed at once: small enough for the processor's cache
HASHES = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
MOST_SOURCES = 4  # places of the content that one word is followed to
SURE = 64  # bytes from which a stretch is no chance, whatever is in it
MOST_FINDS = 1_000  # per kind of form; beyond it finds are only counted


@dataclass(frozen=True, slots=True)
class Form:
    """One shape in which a canary could lie in memory.

    least: shortest stretch in bytes that counts as found. every: only every n-th word becomes a
    needle (a stretch of n * 8 + 7 bytes is found for certain). distinct: different bytes that a
    word needs; below that it says nothing, half the memory of a process looks like it.
    """

    canary: str
    kind: str
    content: bytes
    least: int = 16
    every: int = 1
    distinct: int = 5


@dataclass(frozen=True, slots=True)
class Find:
    """One contiguous stretch of a form's bytes. at: its address; length: bytes."""

    at: int
    length: int
    kind: str
    canary: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class Piece:
    """A contiguous piece of memory inside a buffer. start, length: bytes in the buffer."""

    start: int
    length: int
    address: int


class Finds(list):
    """A list of `Find`, at most `MOST_FINDS` per kind. counted: kind → how many there were."""

    def __init__(self, finds=(), counted=()):
        super().__init__(finds)
        self.counted = Counter(counted)


def _distinct(words):
    """How many different bytes each word has. words: (n,) uint64."""
    columns = np.ascontiguousarray(words.view(np.uint8).reshape(-1, WORD).T)
    count = np.ones(len(words), np.uint8)
    for index in range(1, WORD):
        seen = np.zeros(len(words), np.bool_)
        for earlier in columns[:index]:
            seen |= columns[index] == earlier
        count += ~seen
    return count


def _words(form):
    """The form's words that are needles, and their offsets in it."""
    whole = np.frombuffer(form.content, np.uint8, len(form.content) // WORD * WORD)
    words = whole.view(np.uint64)[:: form.every].copy()
    kept = np.flatnonzero(_distinct(words) >= form.distinct)
    return words[kept], kept * (WORD * form.every)


class _Filter:
    """A Bloom filter of words: says no for certain, or perhaps."""

    def __init__(self, words):
        bits = int(np.clip(np.ceil(np.log2(max(len(words), 1) * 64)), 16, 25))
        self._shift = np.uint64(64 - bits)
        table = np.zeros(1 << bits, np.bool_)
        for multiplier in HASHES:
            table[(words * multiplier) >> self._shift] = True
        self._table = np.packbits(table, bitorder="little")
        self._scratch = np.empty(BLOCK, np.uint64)
        self._index = np.empty(BLOCK, np.int64)
        self._bit = np.empty(BLOCK, np.uint8)
        self._taken = np.empty(BLOCK, np.uint8)

    def perhaps(self, words):
        """Indices of the words that may be needles. words: at most BLOCK."""
        first = self._passing(words, HASHES[0])
        return first[self._passing(words[first], HASHES[1])]

    def _passing(self, words, multiplier):
        count = len(words)
        hashed, index = self._scratch[:count], self._index[:count]
        bit, taken = self._bit[:count], self._taken[:count]
        np.multiply(words, multiplier, out=hashed)
        np.right_shift(hashed, self._shift, out=hashed)
        np.right_shift(hashed, 3, out=index.view(np.uint64))
        np.take(self._table, index, out=taken, mode="clip")
        bit[:] = hashed  # the lowest byte of it
        np.bitwise_and(bit, 7, out=bit)
        np.right_shift(taken, bit, out=taken)
        np.bitwise_and(taken, 1, out=taken)
        return np.flatnonzero(taken.view(np.bool_))


class Needles:
    """All forms of some canaries, ready to be searched for. words: how many needles there are."""

    def __init__(self, forms):
        self.forms = tuple(forms)
        sizes = np.array([len(form.content) for form in self.forms], np.int64)
        self._ends = np.cumsum(sizes)
        self._begins = self._ends - sizes
        self._least = np.array([form.least for form in self.forms], np.int64)
        self._content = np.frombuffer(b"".join(form.content for form in self.forms), np.uint8)
        each = [_words(form) for form in self.forms]
        words = np.concatenate([np.empty(0, np.uint64), *(found for found, _ in each)])
        places = [offsets + begin for (_, offsets), begin in zip(each, self._begins, strict=True)]
        order = np.argsort(words)
        words, self.words = words[order], len(words)
        self._places = np.concatenate([np.empty(0, np.int64), *places])[order]
        self._first = np.flatnonzero(np.append(True, words[1:] != words[:-1])[: self.words])
        self._count = np.diff(np.append(self._first, self.words))
        self._words = words[self._first]
        self._filter = _Filter(self._words)

    def search(self, content, base=0, where=""):
        """All stretches in `content`, whose first byte has the address `base`."""
        buffer = np.frombuffer(content, np.uint8)
        finds = self.search_pieces(buffer, [Piece(0, len(buffer), base)])
        return Finds((replace(find, where=where) for find in finds), finds.counted)

    def search_pieces(self, buffer, pieces):
        """Likewise in a buffer of pieces, one behind the other; no find reaches over an end."""
        if not self.words or not pieces:
            return Finds()
        starts = np.array([piece.start for piece in pieces], np.int64)
        ends = starts + [piece.length for piece in pieces]
        at, place = self._sources(*self._hits(buffer))
        piece = np.searchsorted(starts, at, "right") - 1
        both, within = Both(buffer, self._content), (starts[piece], ends[piece])
        found = follow(both, (at, place), within, self._bounds(place))
        addresses = np.array([piece.address for piece in pieces], np.int64)
        return self._told(found, starts, addresses, buffer)

    def _hits(self, buffer):
        """Where in the buffer a needle lies, and which: (positions, indices of words)."""
        positions, indices = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        aligned = np.empty(BLOCK * WORD, np.uint8)
        for begin, count in _blocks(len(buffer)):
            block = aligned[: count * WORD]
            block[:] = buffer[begin : begin + len(block)]
            if not block.any():
                continue
            words = block.view(np.uint64)
            passed = self._filter.perhaps(words)
            index = np.searchsorted(self._words, words[passed])
            index[index == len(self._words)] = 0
            equal = self._words[index] == words[passed]
            positions.append(begin + passed[equal] * WORD)
            indices.append(index[equal])
        return np.concatenate(positions), np.concatenate(indices)

    def _sources(self, at, word):
        """Pair each hit with the first places of the content that hold its word."""
        count = np.minimum(self._count[word], MOST_SOURCES)
        hit = np.repeat(np.arange(len(at)), count)
        nth = np.arange(len(hit)) - np.repeat(np.cumsum(count) - count, count)
        return at[hit], self._places[self._first[word[hit]] + nth]

    def _bounds(self, place):
        form = np.searchsorted(self._ends, place, "right")
        return form, self._begins[form], self._ends[form]

    def _told(self, found, starts, addresses, buffer):
        """The stretches that are long enough, as finds; at most MOST_FINDS of a kind."""
        at, length, form = found
        long = np.flatnonzero(length >= self._least[form])
        kept = long[outermost(at[long], length[long])]
        ends = at[kept] + length[kept]
        says = [_says(buffer[a:b]) for a, b in zip(at[kept], ends, strict=True)]
        kept = kept[np.array(says, np.bool_)]
        kinds = np.array([source.kind for source in self.forms])[form[kept]]
        piece = np.searchsorted(starts, at[kept], "right") - 1
        address = addresses[piece] + at[kept] - starts[piece]
        finds, counted = [], Counter()
        for kind in np.unique(kinds):
            same = np.flatnonzero(kinds == kind)
            counted[str(kind)] = len(same)
            for index in same[:MOST_FINDS]:
                source = self.forms[form[kept[index]]]
                stretch = int(address[index]), int(length[kept[index]])
                finds.append(Find(*stretch, source.kind, source.canary))
        return Finds(sorted(finds, key=lambda find: find.at), counted)


def _says(stretch):
    """Whether a short stretch is more than chance: not mostly zeros, and no table of numbers.

    Seen in 150 GB of memory: the end of a text behind twelve zeros, and 1, 2, 3, 4, 5…
    """
    if len(stretch) >= SURE:
        return True
    values = np.asarray(stretch).astype(np.int16)
    return len(np.unique(values)) >= 8 and len(np.unique(np.diff(values))) >= 4


def _blocks(length):
    """Cut a buffer into blocks of words at each of the eight alignments: (begin, words)."""
    for first in range(0, length, BLOCK * WORD):
        for begin in range(first, min(first + WORD, length)):
            count = min(BLOCK, (length - begin) // WORD)
            if count:
                yield begin, count

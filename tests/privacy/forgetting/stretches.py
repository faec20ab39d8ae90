"""Follow single equal words to the stretches of equal bytes that they lie in, all at once."""

from dataclasses import dataclass

import numpy as np

WORD = 8
STEP = 32  # bytes by which a stretch grows at once
TOGETHER = 1 << 14  # stretches that grow at once: bounds what the search itself needs


@dataclass(frozen=True, slots=True)
class Both:
    """Memory and the content that is searched for, as (n,) uint8."""

    memory: np.ndarray
    content: np.ndarray

    def ahead(self, at, place, known, limit):
        """How many bytes are equal from `at` and `place` on, at least `known`, at most `limit`."""
        return self._grown(at, place, (known, limit), np.arange(STEP))

    def behind(self, at, place, limit):
        """How many bytes are equal before `at` and `place`, at most `limit`."""
        return self._grown(at - 1, place - 1, (np.zeros_like(limit), limit), -np.arange(STEP))

    def _grown(self, at, place, known_and_limit, steps):
        known, limit = known_and_limit
        reach = known.copy()
        active = np.flatnonzero(reach < limit)
        while len(active):
            going_on = []
            for first in range(0, len(active), TOGETHER):
                part = active[first : first + TOGETHER]
                run = self._run(at[part], place[part], reach[part], limit[part], steps)
                reach[part] += run
                going_on.append(part[(run == STEP) & (reach[part] < limit[part])])
            active = np.concatenate(going_on)
        return reach

    def _run(self, at, place, reach, limit, steps):
        """How many of the next STEP bytes are equal and within the limit."""
        within = np.arange(STEP) < (limit - reach)[:, None]
        far = np.where(within, np.sign(steps[-1]) * reach[:, None] + steps, 0)
        equal = self.memory[at[:, None] + far] == self.content[place[:, None] + far]
        equal &= within
        return np.where(equal.all(axis=1), STEP, np.argmin(equal, axis=1))


def follow(both, words, pieces, forms):
    """All stretches: (positions, lengths, forms).

    words: (at, place) of each equal word in memory and in the content. pieces: the (start, end) of
    the memory that it may reach to. forms: (index, begin, end) likewise in the content. Words of
    one stretch have the same distance between memory and content: each needs to be followed only
    as far as the next.
    """
    fits = np.flatnonzero(words[0] + WORD <= pieces[1])
    order = fits[np.lexsort((words[0][fits], (words[0] - words[1])[fits]))]
    at, place = words[0][order], words[1][order]
    start, end = pieces[0][order], pieces[1][order]
    form, begin, finish = (each[order] for each in forms)
    same = np.zeros(len(at) + 1, np.bool_)
    same[1:-1] = (np.diff(at - place) == 0) & (np.diff(form) == 0) & (np.diff(start) == 0)
    gap = np.append(np.diff(at), 0)[: len(at)]
    limit = np.minimum(finish - place, end - at)
    limit = np.where(same[1:], np.minimum(limit, gap), limit)
    reach = both.ahead(at, place, np.minimum(WORD, limit), limit)
    joined = same
    joined[1:] &= reach == gap
    heads, tails = np.flatnonzero(~joined[:-1]), np.flatnonzero(~joined[1:])
    limit = np.minimum(place - begin, at - start)[heads]
    position = at[heads] - both.behind(at[heads], place[heads], limit)
    return position, at[tails] + reach[tails] - position, form[heads]


def outermost(at, length):
    """Indices, by address, of the stretches that do not lie inside another one."""
    order = np.lexsort((-length, at))
    end = (at + length)[order]
    furthest = np.maximum.accumulate(end)
    new = np.ones(len(order), np.bool_)
    new[1:] = end[1:] > furthest[:-1]
    return order[new]

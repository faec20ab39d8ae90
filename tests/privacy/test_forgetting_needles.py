"""The search for known bytes in arbitrary ones: as a slow search would find them, or better."""

import random

import numpy as np
import pytest

from .forgetting.needles import BLOCK, MOST_FINDS, Form, Needles
from .forgetting.stretches import WORD

BLOCK_BYTES = BLOCK * WORD  # what the search hashes at once


def canary(seed, length=400):
    return random.Random(seed).randbytes(length)


def needles(*contents, **more):
    return Needles(
        Form(f"canary {number}", "row", content, **more) for number, content in enumerate(contents)
    )


def naive(form, content):
    """All (at, length) of equal bytes that hold a whole word of the form, the slow way."""
    found = set()
    for shift in range(-len(form.content), len(content)):
        first, last = max(0, -shift), min(len(form.content), len(content) - shift)
        equal = [form.content[i] == content[i + shift] for i in range(first, last)]
        start = 0
        for index, same in enumerate([*equal, False]):
            if not same:
                stretch = range(first + start, first + index)
                if len(stretch) >= form.least and _holds_a_word(form, stretch):
                    found.add((stretch.start + shift, len(stretch)))
                start = index + 1
    return {
        (at, length)
        for at, length in found
        if not any(a <= at and at + length <= a + n and (a, n) != (at, length) for a, n in found)
    }


def _holds_a_word(form, stretch):
    return any(
        at in stretch and at + WORD - 1 in stretch and len(set(form.content[at : at + WORD])) >= 5
        for at in range(0, len(form.content) - WORD + 1, WORD * form.every)
    )


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_what_a_slow_search_finds(seed):
    chance = random.Random(seed)
    form = Form("canary", "row", chance.randbytes(200), least=16 + seed % 3, every=1 + seed % 2)
    content = bytearray(chance.randbytes(700))
    for _ in range(12):
        first, length, to = chance.randrange(190), chance.randrange(8, 90), chance.randrange(600)
        piece = form.content[first : first + length]
        content[to : to + len(piece)] = piece
    content = content[:700]
    expected = naive(form, content)
    found = Needles([form]).search(bytes(content), base=5000)
    assert {(find.at - 5000, find.length) for find in found} == expected
    assert len(found) == len(expected) > 0


@pytest.mark.parametrize("cut", range(9))
def test_any_sixteen_bytes_are_enough_at_any_alignment(cut):
    content = canary(1)
    for at in range(9):
        around = b"\x01" * (40 + at) + content[cut : cut + 16] + b"\x01" * 40
        (find,) = needles(content).search(around)
        assert (find.at, find.length) == (40 + at, 16)


def test_fifteen_bytes_are_not_a_find():
    content = canary(1)
    assert not needles(content).search(b"\x01" * 40 + content[8:23] + b"\x01" * 40)


@pytest.mark.parametrize("before", [0, 1, 7, 8, 9, 16, 33])
def test_a_canary_across_the_search_s_own_blocks_is_one_find(before):
    content, around = canary(1, 50), np.zeros(2 * BLOCK_BYTES + 100, np.uint8)
    start = BLOCK_BYTES - before
    around[start : start + 50] = np.frombuffer(content, np.uint8)
    (find,) = needles(content).search(around)
    assert (find.at, find.length) == (start, 50)


def test_a_canary_at_either_end_of_the_memory_is_found():
    content = canary(1, 24)
    first, last = needles(content).search(content + bytes(101) + content, base=1 << 46)
    assert (first.at, last.at) == (1 << 46, (1 << 46) + 125)


def test_nothing_is_found_where_nothing_is():
    forms = needles(*(canary(seed, 4000) for seed in range(20)))
    assert forms.words == 20 * 500
    assert not forms.search(canary("else", 4_000_000))


def test_words_that_say_little_are_no_needles():
    dull = bytes(400) + b"\xff" * 400 + b"\0\1\2\3" * 100 + bytes([16, 0, 0, 0, 0, 0, 0, 1]) * 9
    forms = needles(dull)
    assert forms.words == 0
    assert not forms.search(dull * 3)


def test_a_form_may_ask_for_less_varied_words():
    """Floats of whole numbers: four different bytes in eight are all that they have."""
    levels = np.random.default_rng(1).integers(64, 128, 600).astype(np.float32).tobytes()
    assert needles(levels).words == 0
    (find,) = needles(levels, distinct=4, least=32).search(bytes(99) + levels + bytes(9))
    assert find.length >= len(levels) - WORD


def test_forms_are_told_apart_and_rows_of_one_are_counted():
    rows, other = canary(1, 6400), canary(2, 64)
    forms = [Form("face 1", "crop", rows), Form("face 2", "template", other)]
    spread = b"".join(b"\0" + rows[at : at + 64] for at in range(0, 6400, 64))
    finds = Needles(forms).search(spread + other, where="heap")
    assert finds.counted == {"crop": 100, "template": 1}
    assert {(find.canary, find.where) for find in finds} == {("face 1", "heap"), ("face 2", "heap")}


def test_many_finds_are_counted_but_not_all_told():
    content = canary(1, 32)
    finds = needles(content).search((content + b"\0") * (MOST_FINDS + 7))
    assert len(finds) == MOST_FINDS
    assert finds.counted == {"row": MOST_FINDS + 7}


def test_a_form_within_another_is_one_find():
    whole = canary(1, 200)
    (find,) = needles(whole[40:104], whole).search(bytes(9) + whole + bytes(9))
    assert (find.canary, find.length) == ("canary 1", 200)


def test_of_a_large_form_only_some_words_are_needles():
    content = canary(1, 64_000)
    forms = needles(content, every=8)
    assert forms.words == 1000
    (find,) = forms.search(bytes(3) + content[1111:1182] + bytes(3))
    assert (find.at, find.length) == (3, 71)
    (find,) = forms.search(bytes(3) + content)
    assert find.length == 64_000


@pytest.mark.parametrize(
    ("stretch", "found"),
    [
        (bytes(12) + b"3518", 0),
        (bytes(range(14, 32)), 0),
        (bytes([90, 91, 88, 93, 91, 95, 90, 97, 94, 92, 99, 96, 98, 93, 100, 97]), 1),
        (bytes(range(100)), 1),
    ],
)
def test_a_short_stretch_counts_when_it_is_more_than_chance(stretch, found):
    needles = Needles([Form("c", "k", b"\1" * 8 + stretch + b"\2" * 8, 16)])
    assert len(needles.search(b"\xee" * 50 + stretch + b"\xdd" * 50)) == found

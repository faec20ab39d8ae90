"""`watchlist.sealed`: who can open it, what it holds, and what it refuses."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import WatchlistError
from device.matching import Gallery
from device.matching.protection import width_of
from device.protocol import sealed as module
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.sealed import HEADER_BYTES, ListedReference, ListHeader, Sealing, open_list
from device.protocol.watchlist import Reference
from tests.simulators.sealed import (
    CREATED,
    DEPLOYMENT,
    DIMENSION,
    EXPIRES,
    KEY,
    LIST,
    REVIEW,
    SHA,
    ids,
    references,
    sealed,
    templates,
)
from tools.desk.sealing import Validity, seal_watchlist

ROWS = templates(5)
FILE = sealed(ROWS).content


def opening(content=FILE, key=KEY, watchlist=LIST, deployment=DEPLOYMENT):
    return open_list(content, key, watchlist=watchlist, deployment=deployment)


def refused(match, **changes):
    with pytest.raises(WatchlistError, match=match) as caught:
        opening(**changes)
    assert str(caught.value).endswith(".")


def header(**changes):
    entries = [ListedReference(name, EXPIRES, REVIEW) for name in ids(5)]
    plain = ListHeader(LIST, DEPLOYMENT, CREATED, "e", SHA, DIMENSION, width_of(DIMENSION), entries)
    return msgspec.structs.replace(plain, **changes)


def forged(made, rows=None, behind=b"", length=None):
    """Seal a content that the desk would not: with the right key, as a broken desk might."""
    sealing = Sealing(KEY, LIST, DEPLOYMENT)
    packed = msgspec.msgpack.encode(made)
    rows = np.zeros((len(made.entries), made.width), "<f4") if rows is None else rows
    content = bytearray(module._content_bytes(made.width))
    start = (len(packed) if length is None else length).to_bytes(4, "little") + packed + behind
    content[: len(start)] = start
    content[HEADER_BYTES : HEADER_BYTES + rows.nbytes] = rows.tobytes()
    opened = module.MAGIC + sealing.salt + bytes(12)
    cipher = module.ChaCha20Poly1305(sealing._content_key)
    return opened + cipher.encrypt(bytes(12), bytes(content), opened)


def test_what_was_sealed_opens_with_its_ids_dates_and_rows():
    opened = opening()
    assert [entry.reference_id for entry in opened.header.entries] == ids(5)
    assert {entry.expires_at for entry in opened.header.entries} == {EXPIRES}
    assert opened.header.embedder_sha256 == SHA
    assert opened.rows.shape == (5, width_of(DIMENSION))
    assert np.shares_memory(opened.rows, opened.content.array)
    assert opened.rows.ctypes.data % 64 == 0


def test_the_content_lies_in_locked_memory_and_is_wiped():
    opened = opening()
    assert opened.fault is None
    assert opened.content.locked
    assert opened.seed.locked
    opened.wipe()
    assert opened.content.wiped
    assert opened.seed.wiped


def test_a_key_can_be_overwritten_after_use():
    key = bytearray(KEY)
    opened = opening(key=memoryview(key))
    key[:] = bytes(32)
    assert len(opened.header.entries) == 5


# R55, R49
def test_the_key_of_another_deployment_opens_nothing():
    refused("does not open", key=bytes(32))
    refused("does not open", deployment=DEPLOYMENT[:-1] + "b")


# R49
def test_derived_keys_are_overwritten_when_a_list_is_open_or_refused(monkeypatch):
    broken = forged(header(), length=20)
    derived, buffers = [], []
    derive, buffer = module._derive, module.LockedBuffer

    def keeping(*arguments):
        derived.append(derive(*arguments))
        return derived[-1]

    def counted(size):
        buffers.append(buffer(size))
        return buffers[-1]

    monkeypatch.setattr(module, "_derive", keeping)
    monkeypatch.setattr(module, "LockedBuffer", counted)
    opening()
    assert [bytes(key) for key in derived] == [bytes(32)] * 2
    del derived[:], buffers[:]
    refused("does not open", key=bytes(32))
    refused("breaks a rule", content=broken)
    assert derived
    assert not any(any(key) for key in derived)
    assert len(buffers) == 4
    assert all(each.wiped for each in buffers)


def test_another_list_or_version_than_the_authorised_one_does_not_open():
    refused("another list or version", watchlist=ListVersion("list-1", 2))
    refused("another list or version", watchlist=ListVersion("list-2", 1))


@pytest.mark.parametrize("key", [b"", KEY[:31], KEY + b"1"])
def test_a_key_of_another_length_is_refused(key):
    refused("has 32 bytes", key=key)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, len(FILE) - 1), st.integers(1, 255))
def test_a_changed_byte_anywhere_is_refused(place, change):
    damaged = bytearray(FILE)
    damaged[place] ^= change
    refused("does not open|none of Passerby", content=bytes(damaged))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, len(FILE) - 1))
def test_a_cut_file_is_refused(length):
    refused("does not open|none of Passerby|cut short", content=FILE[:length])


def test_a_file_with_something_behind_it_is_refused():
    refused("does not open", content=FILE + b"\0")
    refused("longer than any", content=FILE + bytes(16 * 1024 * 1024))


@pytest.mark.parametrize("content", [b"", b"PASSERBY-LIST-1\n" + bytes(400_000), bytes(400_000)])
def test_a_foreign_file_is_refused(content):
    refused("none of Passerby", content=content)


def test_a_list_that_says_it_is_another_is_refused_though_its_key_fits():
    refused("is another list", content=forged(header(watchlist=ListVersion("list-1", 2))))
    refused("is another list", content=forged(header(deployment=DEPLOYMENT[:-1] + "b")))


def test_sizes_that_lie_are_refused():
    refused("longer than there is room", content=forged(header(), length=HEADER_BYTES))
    refused("breaks a rule", content=forged(header(), length=20))
    refused("breaks a rule", content=forged(header(), length=0))
    small = msgspec.structs.replace(header(), width=width_of(DIMENSION) - 1)
    content = bytearray(forged(header()))
    assert len(content) != len(forged(small))
    refused("hidden behind", content=forged(header(), behind=b"x"))
    more = np.ones((6, width_of(DIMENSION)), "<f4")
    refused("hidden behind", content=forged(header(), rows=more))


def test_a_width_that_lies_is_refused(monkeypatch):
    monkeypatch.setattr(module, "_content_bytes", lambda width: HEADER_BYTES + 2000 * 4 * 64)
    content = forged(header(width=32))
    monkeypatch.undo()
    refused("size is not the one", content=content)


def test_a_reference_named_twice_is_refused():
    entries = header().entries
    refused("twice", content=forged(header(entries=[*entries[:4], entries[0]])))


# R12
def test_a_list_over_the_cap_neither_seals_nor_opens():
    entries = [ListedReference(name, EXPIRES, REVIEW) for name in ids(2001)]
    rows = np.zeros((2001, 8), "<f4")
    with pytest.raises(WatchlistError, match="length <= 2000"):
        Sealing(KEY, LIST, DEPLOYMENT).seal(header(entries=entries, width=8), rows)
    refused("length <= 2000", content=forged(header(entries=entries, width=8), rows))
    many = Reference("r-0123456789ab", [ROWS[0].tobytes()])
    listed = [msgspec.structs.replace(many, reference_id=name) for name in ids(2001)]
    validity = dict.fromkeys(ids(2001), Validity(EXPIRES, REVIEW))
    with pytest.raises(WatchlistError, match="length <= 2000"):
        seal(listed, validity)


def seal(listed, validity):
    return seal_watchlist(
        listed,
        validity,
        watchlist=LIST,
        deployment=DEPLOYMENT,
        created_at=CREATED,
        embedder=ModelHash("embedder", "e", SHA),
        deployment_key=KEY,
    )


# R56
@pytest.mark.parametrize(
    "name", ["Ada Lovelace", "r-ada", "ada", "r-2001-01-01", "r-ABCDEF012345", "r-0123456789ab\n"]
)
def test_an_id_that_could_tell_something_neither_seals_nor_opens(name):
    with pytest.raises(WatchlistError, match="cannot be sealed: its header breaks a rule"):
        seal([Reference(name, [ROWS[0].tobytes()])], {name: Validity(EXPIRES, REVIEW)})
    entries = [ListedReference(name, EXPIRES, REVIEW)]
    refused("breaks a rule", content=forged(header(entries=entries)))


def test_the_plaintext_holds_ids_dates_and_rows_and_no_field_for_anything_else():
    opened = opening()
    content = opened.content.array.tobytes()
    (length,) = module._LENGTH.unpack(content[:4])
    found = msgspec.msgpack.decode(content[4 : 4 + length])
    assert set(found) == {
        "watchlist",
        "deployment",
        "created_at",
        "embedder",
        "embedder_sha256",
        "dimension",
        "width",
        "entries",
        "kind",
    }
    assert found["entries"] == [[name, EXPIRES, REVIEW] for name in ids(5)]
    rows = 5 * width_of(DIMENSION) * 4
    assert not any(content[4 + length : HEADER_BYTES])
    assert not any(content[HEADER_BYTES + rows :])


def test_a_field_more_is_refused():
    packed = msgspec.to_builtins(header()) | {"name": "x"}

    class Loose(dict):
        entries = header().entries
        width = header().width

    refused("breaks a rule", content=forged(Loose(packed)))


def test_a_date_that_there_is_not_is_refused():
    entries = [ListedReference("r-0123456789ab", "2026-02-30T00:00:00.000Z", REVIEW)]
    refused("a date that there is not", content=forged(header(entries=entries)))
    entries = [ListedReference("r-0123456789ab", "tomorrow", REVIEW)]
    refused("breaks a rule", content=forged(header(entries=entries)))


# R7
def test_a_reference_without_its_dates_is_not_sealed():
    with pytest.raises(WatchlistError, match="r-000000000004 has a template or dates, but not"):
        seal(references(ROWS), dict.fromkeys(ids(4), Validity(EXPIRES, REVIEW)))


def test_dates_without_a_template_are_not_sealed():
    with pytest.raises(WatchlistError, match="r-000000000005 has a template or dates, but not"):
        seal(references(ROWS), dict.fromkeys(ids(6), Validity(EXPIRES, REVIEW)))


def test_an_empty_list_is_not_sealed():
    with pytest.raises(WatchlistError, match="without a reference"):
        seal([], {})


def test_templates_of_two_embedders_are_not_sealed():
    mixed = [*references(ROWS), Reference("r-0123456789ab", [ROWS[0, :32].tobytes()])]
    with pytest.raises(WatchlistError, match="differ in length"):
        seal(mixed, {})


# R45
def test_the_length_of_a_file_does_not_tell_how_many_are_on_it():
    assert len(sealed(templates(1)).content) == len(sealed(templates(300)).content) == len(FILE)


def test_nothing_of_a_list_can_be_read_in_its_file():
    assert not any(name.encode() in FILE for name in ids(5))
    assert DEPLOYMENT.encode() not in FILE
    assert b"list-1" not in FILE
    assert SHA.encode() not in FILE


def test_sealed_again_nothing_resembles_the_first_time():
    again = sealed(ROWS).content
    same = np.frombuffer(again, "u1")[16:] == np.frombuffer(FILE, "u1")[16:]
    assert same.mean() < 0.01
    one, other = opening(), opening(again)
    assert one.seed.array.tolist() != other.seed.array.tolist()
    cosines = np.einsum("ij,ij->i", one.rows, other.rows) / np.einsum(
        "ij,ij->i", one.rows, one.rows
    )
    assert np.abs(cosines).max() < 0.5


def test_the_order_of_enrolment_is_not_kept():
    backwards = seal(references(ROWS)[::-1], dict.fromkeys(ids(5), Validity(EXPIRES, REVIEW)))
    opened = opening(backwards.content)
    assert [entry.reference_id for entry in opened.header.entries] == ids(5)
    gallery = Gallery.opened(opened, SHA)
    probe = ROWS[2] / np.linalg.norm(ROWS[2])
    assert gallery.cosines(probe[np.newaxis]).argmax() == 2

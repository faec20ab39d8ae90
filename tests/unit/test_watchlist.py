import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.bundles import load_list
from device.errors import WatchlistError
from device.protocol.watchlist import MAGIC, Reference, decode_list, encode_list
from tests.simulators.street import watchlist


def test_a_list_comes_back_as_it_was():
    made = watchlist([10, 60, 110])
    assert decode_list(encode_list(made)) == made


@given(st.integers(0, 10_000))
@settings(max_examples=200)
def test_a_cut_list_is_refused(length):
    data = encode_list(watchlist([10, 60]))
    with pytest.raises(WatchlistError):
        decode_list(data[: length % len(data)])


@given(st.binary(max_size=300))
def test_anything_else_is_refused(data):
    for payload in (data, MAGIC + data):
        with pytest.raises(WatchlistError):
            decode_list(payload)


def test_a_list_over_the_cap_is_refused():
    made = watchlist([10])
    many = [Reference(f"r{i}", made.references[0].templates) for i in range(2001)]
    with pytest.raises(WatchlistError, match="2000 at most"):
        decode_list(encode_list(msgspec.structs.replace(made, references=many)))


def test_an_empty_list_is_refused():
    with pytest.raises(WatchlistError, match="no reference"):
        decode_list(encode_list(msgspec.structs.replace(watchlist([10]), references=[])))


def test_a_reference_named_twice_is_refused():
    made = watchlist([10])
    with pytest.raises(WatchlistError, match="twice"):
        decode_list(encode_list(msgspec.structs.replace(made, references=made.references * 2)))


def test_a_template_of_the_wrong_length_is_refused():
    made = msgspec.structs.replace(watchlist([10]), references=[Reference("r", [b"1234"])])
    with pytest.raises(WatchlistError, match="wrong length"):
        decode_list(encode_list(made))


def test_a_list_cannot_claim_to_be_signed():
    raw = msgspec.to_builtins(watchlist([10])) | {"signed": True}
    with pytest.raises(WatchlistError):
        decode_list(MAGIC + msgspec.msgpack.encode(raw))


def test_the_file_is_named_when_it_is_missing_or_damaged(tmp_path):
    with pytest.raises(WatchlistError, match=r"nowhere\.bin does not exist"):
        load_list(tmp_path / "nowhere.bin")
    (tmp_path / "bad.bin").write_bytes(b"hello")
    with pytest.raises(WatchlistError, match=r"bad\.bin is refused: it is no Passerby watchlist"):
        load_list(tmp_path / "bad.bin")
    with pytest.raises(WatchlistError, match="cannot be read"):
        load_list(tmp_path)


def test_a_list_holds_ids_and_templates_only():
    names = {field.name for field in msgspec.structs.fields(Reference)}
    assert names == {"reference_id", "templates"}

"""Every decoder refuses with the class that tells a caller what to do."""

import json
import time
from base64 import b64encode

import cbor2
import jsonschema
import msgspec
import pytest

from device.errors import MessageError
from device.protocol.alert import LARGEST_CROP_BYTES, ListVersion, ModelHash, decode_alert
from device.protocol.cell import (
    CELL_BYTES,
    LARGEST_LETTER_BYTES,
    open_cell,
    open_letter,
    room,
    seal_cell,
    seal_letter,
)
from device.protocol.cose import EVENT, LETTER, Dispatch, Signed, sign, verify
from device.protocol.cover import Cover
from device.protocol.envelope import DamagedLetterError, Envelope, desk_source, digest_of
from device.protocol.event import LARGEST_EVENT_BYTES, encode_event
from device.protocol.keys import (
    PrivateKeys,
    PublicKeys,
    decode_private_keys,
    decode_public_keys,
    encode_keys,
)
from device.protocol.messages import decode_message
from device.protocol.order import OrderBook, check_order
from device.protocol.part import LARGEST_BUNDLE_BYTES, MOST_PARTS, parts_of
from device.protocol.refusals import (
    ExpiredError,
    ForgedError,
    MisaddressedError,
    NotCanonicalError,
    OversizeError,
    ReplayedError,
    TruncatedError,
    UnknownVersionError,
    WrongTopicError,
)
from device.protocol.status import decode_status
from device.protocol.topics import KINDS, Topics, parse_source, parse_topic
from tests.conftest import ROOT
from tools.setup.vectors.__main__ import outcome_of
from tools.setup.vectors.examples import (
    DESK,
    DEVICE,
    PARTIES,
    START,
    TOPICS,
    a_command,
    a_receipt,
    a_record,
    a_status,
    an_adjudication,
    an_alert,
    envelope,
    examples,
    uuid,
)
from tools.setup.vectors.refused import canonical, dispatched, header, sealed, signed

SUITES = ("x25519", "mlkem768-x25519")
OTHER = PARTIES["other device"]
LIMIT = room("x25519", "cell")


def refusal(function, *arguments):
    """Return the exact class of the refusal; None when there is none."""
    try:
        function(*arguments)
    except MessageError as error:
        return type(error)
    return None


# --- Topics and sources ------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_topic_comes_back(kind):
    assert parse_topic(TOPICS.of(kind)) == (TOPICS, kind)
    assert parse_source(TOPICS.source) == TOPICS


def test_every_part_of_the_largest_bundle_has_a_topic():
    assert parts_of(LARGEST_BUNDLE_BYTES) == MOST_PARTS == 3232
    for number in (1, 9, 10, 2_000, MOST_PARTS):
        assert parse_topic(TOPICS.of("bundle", number)) == (TOPICS, "bundle")
        assert TOPICS.of("bundle", number).startswith(TOPICS.every_part.removesuffix("+"))


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "passerby/v1/s/d",
        "passerby/v1/s/d/alert/x",
        "/passerby/v1/s/d/alert",
        "passerby/v2/s/d/alert",
        "passerby/v1/s/d/alerts",
        "passerby/v1//d/alert",
        "passerby/v1/S/d/alert",
        "passerby/v1/-s/d/alert",
        "passerby/v1/s/d d/alert",
        "passerby/v1/+/d/alert",
        "passerby/v1/s/#",
        "passerby/v1/s/d/alert\n",
        "passerby/v1/s/d\x00/alert",
        f"passerby/v1/s/{'d' * 33}/alert",
        "passerby/v1/s/\u0661/alert",
        "passerby/v1/s/d/bundle",
        "passerby/v1/s/d/bundle/",
        "passerby/v1/s/d/bundle/0",
        "passerby/v1/s/d/bundle/01",
        "passerby/v1/s/d/bundle/-1",
        "passerby/v1/s/d/bundle/1/2",
        "passerby/v1/s/d/bundle/1\n",
        "passerby/v1/s/d/bundle/\u0661",
        "passerby/v1/s/d/bundle/3233",
        "passerby/v1/s/d/bundle/99999999999999999999",
        "passerby/v1/s/d/alert/1",
        "passerby/v1/s/d/command/1",
        "$share/g/passerby/v1/s/d/alert",
    ],
)
def test_what_is_no_topic_is_misaddressed(topic):
    assert refusal(parse_topic, topic) is MisaddressedError


@pytest.mark.parametrize(
    "source",
    ["", "s:d", "urn:passerby:s", "urn:passerby:s:", "urn:passerby:s:d:e", "urn:passerby:s/d:e",
     "urn:passerby:s:d\n", "urn:other:s:d", "urn:passerby:urn:passerby:s:d", "urn:passerby:S:d"],
)  # fmt: skip
def test_what_names_no_device_is_misaddressed(source):
    assert refusal(parse_source, source) is MisaddressedError


# --- Keys --------------------------------------------------------


def test_keys_come_back():
    assert decode_private_keys(encode_keys(DEVICE)) == DEVICE
    assert decode_public_keys(encode_keys(DEVICE.public)) == DEVICE.public


def _changed(keys, **fields):
    content = json.loads(encode_keys(keys)) | fields
    return json.dumps(content).encode()


@pytest.mark.parametrize("decode", [decode_private_keys, decode_public_keys])
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 100, b"\xff\xfe", b"[" * 8000, b"null", b"{}", b" " * 9000, b'{"kind":"x"}',
     '{"kind":"\ud800"}'.encode("utf-8", "surrogatepass")],
    ids=range(9),
)  # fmt: skip
def test_garbage_is_no_key_file(decode, content):
    assert refusal(decode, content) is MessageError


@pytest.mark.parametrize("field", ["ed25519", "x25519", "mlkem768"])
@pytest.mark.parametrize("length", [0, 31, 33, 63, 65, 1183, 1185])
def test_a_key_of_another_length_is_refused(field, length):
    value = b64encode(bytes(length)).decode()
    assert refusal(decode_private_keys, _changed(DEVICE, **{field: value})) is MessageError
    assert refusal(decode_public_keys, _changed(DEVICE.public, **{field: value})) is MessageError


@pytest.mark.parametrize("cut", [1, 10, 50, 100])
def test_a_cut_key_file_is_refused(cut):
    assert refusal(decode_private_keys, encode_keys(DEVICE)[: -cut - 1]) is MessageError
    assert refusal(decode_public_keys, encode_keys(DEVICE.public)[: -cut - 1]) is MessageError


def test_private_and_public_files_are_not_taken_for_each_other():
    assert refusal(decode_public_keys, encode_keys(DEVICE)) is MessageError
    assert refusal(decode_private_keys, encode_keys(DEVICE.public)) is MessageError
    disguised = _changed(DEVICE, kind="passerby public keys 1")
    assert refusal(decode_public_keys, disguised) is MessageError


def test_a_refusal_quotes_no_secret():
    secret = b64encode(DEVICE.ed25519).decode()
    with pytest.raises(MessageError) as caught:
        decode_public_keys(encode_keys(DEVICE))
    assert secret not in str(caught.value)
    assert repr(DEVICE) == "<PrivateKeys>"


@pytest.mark.parametrize("point", [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_public_key_to_which_nobody_could_seal_is_refused(point):
    keys = PublicKeys(DEVICE.public.ed25519, point, DEVICE.public.mlkem768)
    assert refusal(decode_public_keys, encode_keys(keys)) is MessageError


def test_a_lattice_key_out_of_range_is_refused():
    keys = PublicKeys(DEVICE.public.ed25519, DEVICE.public.x25519, b"\xff" * 1184)
    assert refusal(decode_public_keys, encode_keys(keys)) is MessageError


def test_every_party_has_a_name_of_its_own():
    assert len({keys.public.key_id for keys in PARTIES.values()}) == len(PARTIES)
    assert DEVICE.public.fingerprint.replace(" ", "") == DEVICE.public.key_id.hex()
    assert PrivateKeys.generate() != PrivateKeys.generate()


# --- Cells and letters -------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("length", [0, 1, 100, "all"])
def test_a_cell_is_as_long_as_every_other_and_comes_back(suite, length):
    content = bytes(range(1, 256)) * 50
    content = content[: room(suite, "cell") if length == "all" else length]
    one, two = (seal_cell(content, DESK.public, TOPICS.source, suite) for _ in range(2))
    assert len(one) == len(two) == CELL_BYTES
    assert one[18:] != two[18:]
    assert open_cell(one, DESK, TOPICS.source) == content


@pytest.mark.parametrize("suite", SUITES)
def test_what_does_not_fit_is_refused_before_it_is_sealed(suite):
    too_long = bytes(room(suite, "cell") + 1)
    assert refusal(seal_cell, too_long, DESK.public, TOPICS.source, suite) is OversizeError
    too_long = bytes(room(suite, "letter") + 1)
    assert refusal(seal_letter, too_long, DESK.public, TOPICS.source, suite) is OversizeError
    longest = seal_letter(too_long[1:], DESK.public, TOPICS.source, suite)
    assert len(longest) == LARGEST_LETTER_BYTES
    assert open_letter(longest, DESK, TOPICS.source) == too_long[1:]


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("length", [0, 1, 2, 17, 18, 50, 65, 1100, 1153])
def test_a_cut_letter_is_truncated_or_forged(suite, length):
    letter = seal_letter(bytes(2000), DESK.public, TOPICS.source, suite)[:length]
    least = 18 + (48 if suite == "x25519" else 1136)
    expected = TruncatedError if length < least else ForgedError
    assert refusal(open_letter, letter, DESK, TOPICS.source) is expected


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c[:-1], TruncatedError),
        (lambda c: c + b"\0", OversizeError),
        (lambda c: b"\0" + c[1:], UnknownVersionError),
        (lambda c: c[:1] + b"\0" + c[2:], UnknownVersionError),
        (lambda c: c[:2] + bytes(16) + c[18:], MisaddressedError),
        (lambda c: c[:18] + bytes(len(c) - 18), ForgedError),
        (lambda c: c[:18] + b"\xff" * (len(c) - 18), ForgedError),
        (lambda c: c[:-1] + bytes((c[-1] ^ 128,)), ForgedError),
    ],
)
def test_a_changed_cell_is_refused(suite, change, expected):
    cell = seal_cell(b"content", DESK.public, TOPICS.source, suite)
    assert refusal(open_cell, change(cell), DESK, TOPICS.source) is expected


@pytest.mark.parametrize("suite", SUITES)
def test_a_cell_opens_only_for_its_recipient_its_device_and_as_a_cell(suite):
    cell = seal_cell(b"content", DESK.public, TOPICS.source, suite)
    assert refusal(open_cell, cell, OTHER, TOPICS.source) is MisaddressedError
    assert refusal(open_cell, cell, DESK, "urn:passerby:site-1:camera-2") is ForgedError
    letter = seal_letter(b"content", DESK.public, TOPICS.source, suite)
    assert refusal(open_cell, letter.ljust(CELL_BYTES, b"\0"), DESK, TOPICS.source) is ForgedError
    assert refusal(open_letter, letter + b"\0", DESK, TOPICS.source) is ForgedError
    assert refusal(open_letter, cell, DESK, TOPICS.source) is OversizeError


# --- Signatures --------------------------------------------------


def test_a_signed_message_comes_back():
    for content in (Signed(EVENT, b"{}"), Signed(LETTER, b"x", Dispatch(0, delayed=False))):
        assert (
            verify(sign(content, DEVICE, DESK.public), DEVICE.public, DESK.public, LIMIT) == content
        )


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"v": 2}, UnknownVersionError),
        ({"v": "1"}, UnknownVersionError),
        ({"v": None}, UnknownVersionError),
        ({"v": True}, NotCanonicalError),
        ({"v": 1.0}, NotCanonicalError),
        ({"to": b"x"}, NotCanonicalError),
        ({"to": "x" * 16}, NotCanonicalError),
        ({"to": OTHER.public.key_id}, MisaddressedError),
        ({"kind": "application/json"}, NotCanonicalError),
        ({"kind": 5}, NotCanonicalError),
        ({"sent": 1, "delayed": True}, NotCanonicalError),
        ({"kind": LETTER}, NotCanonicalError),
        ({"kind": LETTER, "sent": 1}, NotCanonicalError),
        ({"kind": LETTER, "sent": -1, "delayed": True}, NotCanonicalError),
        ({"kind": LETTER, "sent": True, "delayed": True}, NotCanonicalError),
        ({"kind": LETTER, "sent": 1, "delayed": 0}, NotCanonicalError),
        ({"kind": LETTER, "sent": 2**64, "delayed": True}, NotCanonicalError),
        ({"kind": LETTER, "sent": 1.5, "delayed": True}, NotCanonicalError),
        ({"more": 1}, NotCanonicalError),
    ],
)
def test_a_header_has_one_form(labels, expected):
    labels = dict(labels)
    changed = {3: labels.pop("kind", EVENT)} | labels
    changed = {key: value for key, value in (header() | changed).items() if value is not None}
    changed[2] = sorted(key for key in changed if isinstance(key, str))
    message = signed(b"{}", changed)
    assert refusal(verify, message, DEVICE.public, DESK.public, LIMIT) is expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"", TruncatedError),
        (b"\xd2", TruncatedError),
        (b"\xff", NotCanonicalError),
        (b"\x81" * 9, NotCanonicalError),
        (b"\x00", NotCanonicalError),
        (b"\xd2\x80", NotCanonicalError),
        (b"\x9b" + b"\x7f" * 8, TruncatedError),
        (b"\x5b" + b"\xff" * 8, TruncatedError),
        (canonical(cbor2.CBORTag(18, [b"", {}, b"", b""])), NotCanonicalError),
        (canonical(cbor2.CBORTag(18, [b"", {}, b"", bytes(64)])), TruncatedError),
        (canonical(cbor2.CBORTag(18, ["", {}, b"", bytes(64)])), NotCanonicalError),
        (canonical(cbor2.CBORTag(18, [b"\x80", {}, b"", bytes(64)])), UnknownVersionError),
        (canonical(cbor2.CBORTag(17, [b"\xa0", {}, b"", bytes(64)])), NotCanonicalError),
        (bytes(LIMIT + 1), OversizeError),
    ],
    ids=range(14),
)
def test_what_is_no_signed_message_is_refused(message, expected):
    assert refusal(verify, message, DEVICE.public, DESK.public, LIMIT) is expected


@pytest.mark.parametrize("tag", [0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 100, 258, 55799])
def test_no_tag_of_cbor_means_anything(tag):
    message = canonical(cbor2.CBORTag(tag, "a+"))
    assert refusal(verify, message, DEVICE.public, DESK.public, LIMIT) is NotCanonicalError
    assert refusal(verify, signed(b"", message), DEVICE.public, DESK.public, LIMIT)


def test_a_hostile_pattern_costs_no_time():
    pattern = "(?i)" + "[\\x00-\\U0010ffff]" * 600
    started = time.perf_counter()
    refusal(verify, canonical(cbor2.CBORTag(35, pattern)), DEVICE.public, DESK.public, LIMIT)
    assert time.perf_counter() - started < 0.5, "cbor2 compiled it: 4 s a message"


def test_a_signature_holds_for_one_sender_and_one_recipient():
    message = sign(Signed(EVENT, b"{}"), DEVICE, DESK.public)
    assert refusal(verify, message, DEVICE.public, OTHER.public, LIMIT) is MisaddressedError
    assert refusal(verify, message, OTHER.public, DESK.public, LIMIT) is MisaddressedError
    pretended = signed(b"{}", header(), OTHER)
    assert refusal(verify, pretended, DEVICE.public, DESK.public, LIMIT) is ForgedError


# --- Messages ----------------------------------------------------


@pytest.mark.parametrize("name", examples())
def test_a_message_comes_back_and_fits_its_published_schema(name):
    example = examples()[name]
    payload = encode_event(example.message)
    assert decode_message(payload, example.kind) == example.message
    schema = (ROOT / f"docs/schemas/{name.partition(',')[0]}.schema.json").read_text("utf-8")
    validator = jsonschema.Draft202012Validator(json.loads(schema))
    event = json.loads(payload)
    assert validator.is_valid(event)
    assert not validator.is_valid(event | {"extra": 1})
    assert not validator.is_valid(event | {"source": "urn:passerby:-:d"})
    assert not validator.is_valid({key: value for key, value in event.items() if key != "time"})


@pytest.mark.parametrize("name", examples())
def test_a_message_travels_on_its_topic_only(name):
    example = examples()[name]
    payload = encode_event(example.message)
    for kind in set(KINDS) - {example.kind}:
        assert refusal(decode_message, payload, kind) is WrongTopicError


@pytest.mark.parametrize("name", examples())
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: b"", MessageError),
        (lambda p: p[:-1], MessageError),
        (lambda p: p + b"\n", NotCanonicalError),
        (lambda p: b" " + p, NotCanonicalError),
        (lambda p: p.replace(b":", b": ", 1), NotCanonicalError),
        (lambda p: b'{"specversion":"1.0",' + p[1:], NotCanonicalError),
        (lambda p: p.replace(b'"specversion":"1.0",', b""), NotCanonicalError),
        (lambda p: p.replace(b".v1", b".v2"), MessageError),
        (lambda p: p.replace(b"passerby.", b"p\\u0061sserby.", 1), NotCanonicalError),
        (lambda p: p[:-1] + b',"x":0}', MessageError),
        (lambda p: p.replace(b"urn:passerby:", b"urn:passerby:x:", 1), MessageError),
        (lambda p: b"[" * 100_000, OversizeError),
        (lambda p: b"[" * 60_000, MessageError),
        (lambda p: b'{"type":' + b"[" * 60_000, MessageError),
        (lambda p: p.replace(b"T13:33:20.000Z", b"T25:33:20.000Z"), MessageError),
        (lambda p: p.replace(b"2026-", b"0000-"), MessageError),
        (lambda p: p.replace(b"2026-", "\u0662\u0660\u0662\u0666-".encode()), MessageError),
        (lambda p: p.replace(b'.000Z"', b'.000Z\\n"'), MessageError),
        (lambda p: p.replace(b'"019', b'"\xed\xa0\x80', 1), MessageError),
        (lambda p: p.replace(b'"019', b'"\\ud800', 1), MessageError),
        (lambda p: p.replace(b'"type"', b'"type":1e999,"type"'), MessageError),
        (lambda p: b" " * (LARGEST_EVENT_BYTES + 1), OversizeError),
    ],
)  # fmt: skip
def test_a_changed_message_is_refused(name, change, expected):
    example = examples()[name]
    payload = change(encode_event(example.message))
    found = refusal(decode_message, payload, example.kind)
    assert found is expected or (expected is MessageError and found is NotCanonicalError)


@pytest.mark.parametrize("decode", [decode_alert, decode_status])
def test_plain_events_are_read_in_any_form_but_not_of_any_length(decode):
    event = a_status() if decode is decode_status else an_alert()
    text = json.dumps(json.loads(encode_event(event)), indent=2)
    assert decode(text.encode()) == event
    assert refusal(decode, b" " * 70_000) is OversizeError
    assert refusal(decode, text[:-1].encode()) is MessageError


def test_a_number_is_written_in_one_way():
    payload = encode_event(an_alert())
    for other in (b"8.7e-1", b"0.870", b"87e-2", b"00.87"):
        assert refusal(decode_message, payload.replace(b"0.87", other), "alert") is not None
    assert refusal(decode_message, payload.replace(b"0.87", b"1"), "alert") is NotCanonicalError


def test_a_receipt_that_contradicts_itself_is_refused():
    for wrong, digest in (("cover", "a" * 64), ("stored", None), ("refused", None)):
        receipt = a_receipt("stored")
        data = msgspec.structs.replace(receipt.data, outcome=wrong, digest=digest)
        receipt = msgspec.structs.replace(receipt, data=data)
        assert refusal(decode_message, encode_event(receipt), "receipt") is MessageError


# --- Orders ------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "suspend"},
        {"reference_id": None},
        {"expires_at": START},
        {"expires_at": "2026-09-20T00:00:00.000Z"},
        {"expires_at": "2026-09-28T13:33:20.001Z"},
        {"sequence": 0},
        {"sequence": 2**53},
        {"sequence": -1},
        {"reason": ""},
        {"reason": "x" * 201},
        {"action": "explode"},
    ],
)
def test_an_order_that_contradicts_itself_is_refused(changes):
    command = a_command()
    data = msgspec.structs.replace(command.data, **changes)
    payload = encode_event(msgspec.structs.replace(command, data=data))
    assert refusal(decode_message, payload, "command") is MessageError


def test_an_order_holds_for_a_week_at_most():
    check_order(a_command(until="2026-09-28T13:33:20.000Z"))


@pytest.mark.parametrize(
    "vector",
    json.loads((ROOT / "docs/vectors/orders.json").read_text("utf-8"))["vectors"],
    ids=lambda v: v["name"],
)
def test_the_published_orders_are_obeyed_or_not(vector):
    outcome = outcome_of(vector["event"].encode(), vector["obeyed"], vector["now"])
    assert outcome == (vector["missing"], vector["refusal"])


def test_an_order_for_another_device_comes_first():
    book = OrderBook("urn:passerby:site-1:camera-2")
    with pytest.raises(MisaddressedError):
        book.check(a_command(), 0)


def test_the_book_goes_forward_only():
    now_ns = 1_789_997_601_000_000_000
    book, missing = OrderBook(TOPICS.source), 0
    for number in (1, 2, 5, 6):
        missing += book.check(a_command(number), now_ns)
        book = book.after(a_command(number))
        for old in range(1, number + 1):
            with pytest.raises(ReplayedError):
                book.check(a_command(old), now_ns)
    assert missing == 2
    assert book.after(an_adjudication()).sequence == 2, "after does not judge: check does"


def test_an_order_that_came_too_late_does_not_move_the_book():
    book = OrderBook(TOPICS.source)
    with pytest.raises(ExpiredError):
        book.check(a_command(3), 2**62)
    assert book.check(a_command(3), 1_789_997_601_000_000_000) == 2


# --- Envelopes ---------------------------------------------------


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("name", examples())
def test_a_message_travels_in_its_envelope(suite, name):
    example = examples()[name]
    sender, to = example.sender, "desk" if example.sender == "device" else "device"
    seal = envelope(sender, suite)
    if not example.in_letter:
        opened = envelope(to).open(seal.cell(example.message), example.kind)
        assert (opened.message, opened.digest) == (example.message, None)
        return
    letter = seal.letter(example.message)
    first, second = (seal.dispatch(letter, ms, delayed=ms > 1) for ms in (1, 2))
    assert first != second
    assert len(first) == len(second) == CELL_BYTES
    for cell, delayed in ((first, False), (second, True)):
        opened = envelope(to).open(cell, example.kind)
        assert opened.digest == digest_of(letter)
        assert opened.message.id == example.message.id
        assert getattr(opened.message.data, "delayed", delayed) == delayed
    with pytest.raises(NotCanonicalError):
        envelope(to).open(seal.cell(example.message), example.kind)
    with pytest.raises(MisaddressedError):
        envelope(sender).open(first, example.kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cell_that_the_broker_moves_to_another_topic_is_no_damaged_letter(kind):
    """A receipt that refuses it would make the device give up a sound alert."""
    seal = envelope("device")
    cell = seal.dispatch(seal.letter(an_alert()), 1, delayed=False)
    expected = None if kind == "alert" else WrongTopicError
    assert refusal(envelope("desk").open, cell, kind) is expected
    assert not issubclass(WrongTopicError, DamagedLetterError)


def test_a_letter_that_is_damaged_on_the_disk_is_named_by_its_digest():
    letter = bytearray(envelope("device").letter(an_alert()))
    letter[700] ^= 4
    cell = envelope("device").dispatch(bytes(letter), 1, delayed=True)
    with pytest.raises(DamagedLetterError) as caught:
        envelope("desk").open(cell, "alert")
    assert caught.value.digest == digest_of(bytes(letter))


@pytest.mark.parametrize("error", [MemoryError, ValueError])
def test_a_fault_of_the_desk_is_no_damaged_letter(monkeypatch, error):
    """The receipt of a damaged letter makes the device give up its alert."""
    cell = envelope("device").dispatch(envelope("device").letter(an_alert()), 1, delayed=False)

    def broken(*_):
        raise error

    monkeypatch.setattr("device.protocol.envelope.open_letter", broken)
    with pytest.raises(error):
        envelope("desk").open(cell, "alert")


def test_a_letter_to_a_former_desk_is_damaged_for_the_new_one():
    former = Envelope(DEVICE, PARTIES["other desk"].public, TOPICS, "x25519")
    cell = envelope("device").dispatch(former.letter(an_alert()), 1, delayed=True)
    assert refusal(envelope("desk").open, cell, "alert") is DamagedLetterError


@pytest.mark.parametrize("name", examples())
def test_nobody_speaks_for_somebody_else(name):
    """The signature is right, the message says another source or another device."""
    example = examples()[name]
    to = "desk" if example.sender == "device" else "device"
    message = example.message
    source = "urn:passerby:desk:" + "0" * 32 if to == "device" else "urn:passerby:site-1:camera-2"
    others = [msgspec.structs.replace(message, source=source)]
    if to == "device":
        data = msgspec.structs.replace(message.data, device="urn:passerby:site-1:camera-2")
        others.append(msgspec.structs.replace(message, data=data))
    for other in others:
        seal = envelope(example.sender)
        cell = (
            seal.dispatch(seal.letter(other), 1, delayed=False)
            if example.in_letter
            else seal.cell(other)
        )
        expected = DamagedLetterError if example.in_letter else MisaddressedError
        assert refusal(envelope(to).open, cell, example.kind) is expected


def test_devices_do_not_open_each_others_cells():
    cell = envelope("desk").cell(a_command())
    elsewhere = Topics("site-1", "camera-2")
    assert refusal(Envelope(OTHER, DESK.public, elsewhere, "x25519").open, cell, "command") is (
        MisaddressedError
    )
    # The same keys on two devices, as after copying a card: the topic is bound, too.
    assert refusal(Envelope(DEVICE, DESK.public, elsewhere, "x25519").open, cell, "command") is (
        ForgedError
    )


@pytest.mark.parametrize("suite", SUITES)
def test_the_device_cannot_open_its_own_letters(suite):
    letter = envelope("device", suite).letter(an_alert())
    assert refusal(open_letter, letter, DEVICE, TOPICS.source) is MisaddressedError


# --- The budget of docs/protocol.md ------------------------------


@pytest.mark.parametrize(
    ("suite", "cell", "letter"), [("x25519", 12_218, 10_686), ("mlkem768-x25519", 11_130, 9_598)]
)
def test_the_budget_is_the_one_of_the_specification(suite, cell, letter):
    assert (room(suite, "cell"), room(suite, "letter")) == (cell, letter)
    text = (ROOT / "docs/protocol.md").read_text("utf-8")
    limits = (CELL_BYTES, LARGEST_LETTER_BYTES, LARGEST_CROP_BYTES, LARGEST_EVENT_BYTES)
    for number in (*limits, cell, letter, cell - 156, letter - 156, LARGEST_LETTER_BYTES + 195):
        assert f"{number:,}" in text


def test_the_cost_of_signing_is_the_one_of_the_specification():
    event = len(sign(Signed(EVENT, bytes(9000)), DEVICE, DESK.public)) - 9000
    latest = Dispatch(253_402_300_799_999, delayed=True)
    letter = len(sign(Signed(LETTER, bytes(9000), latest), DEVICE, DESK.public)) - 9000
    assert (event, letter) == (156, 195)
    for suite in SUITES:
        assert LARGEST_LETTER_BYTES + letter <= room(suite, "cell")
    text = (ROOT / "docs/protocol.md").read_text("utf-8")
    pictured = encode_event(an_alert(crop=bytes(LARGEST_CROP_BYTES)))
    assert f"the\nalert of the vectors has {len(pictured):,} bytes" in text
    assert f"{event} bytes" in text
    assert f"{letter} bytes" in text


def test_the_largest_alert_fits_with_the_largest_crop():
    alert = an_alert(crop=bytes(LARGEST_CROP_BYTES))
    models = [ModelHash(role, "m" * 40, "a" * 64) for role in ("detector", "embedder", "attack")]
    data = msgspec.structs.replace(
        alert.data,
        sequence=2**53 - 1,
        watchlist=ListVersion("l" * 64, 2**31),
        reference_id="r" * 128,
        threshold_id="t" * 64,
        models=models,
        presentation_attack_detection="p" * 128,
    )
    largest = msgspec.structs.replace(alert, data=data)
    for suite in SUITES:
        seal = envelope("device", suite)
        cell = seal.dispatch(seal.letter(largest), 2**45, delayed=True)
        assert envelope("desk").open(cell, "alert").message.data.crop == largest.data.crop


def test_dummies_and_alerts_and_their_receipts_have_one_length():
    device, desk = envelope("device"), envelope("desk")
    cells = [
        device.cell(Cover(uuid(2), TOPICS.source, START)),
        device.dispatch(device.letter(an_alert()), 1, delayed=False),
        desk.cell(a_receipt("cover")),
        desk.cell(a_receipt("stored")),
    ]
    assert {len(cell) for cell in cells} == {CELL_BYTES}
    assert {cell[:2] for cell in cells} == {b"\x01\x02"}


def test_a_desk_is_named_by_its_keys():
    assert (
        a_record().source
        != desk_source(DESK.public)
        == f"urn:passerby:desk:{DESK.public.key_id.hex()}"
    )


def test_a_letter_does_not_hold_a_letter():
    inner = envelope("device").letter(an_alert())
    nested = sealed(signed(inner, header(kind=LETTER, sent=1, delayed=False)), purpose="letter")
    assert refusal(envelope("desk").open, dispatched(nested), "alert") is DamagedLetterError

"""What the second implementation writes, the first opens, and the other way round."""

import json
from base64 import b64decode

import pytest

from device.errors import MessageError
from device.protocol.alert import Alert
from device.protocol.cell import SuiteName
from device.protocol.envelope import Envelope
from device.protocol.identifiers import utc_text
from device.protocol.topics import parse_source, parse_topic
from device.protocol.unlocking import OneTimeKeys, unwrap_key
from tests.unit import test_protocol_independent as second
from tools.setup.vectors.__main__ import failures, refusal_of
from tools.setup.vectors.examples import PARTIES, TOPICS, a_command, an_alert, examples

NUMBERS: dict[SuiteName, int] = {"x25519": second.CLASSIC, "mlkem768-x25519": second.HYBRID}


def seal(event, sender, to, suite, *, in_letter):
    """Seal with nothing of Passerby's."""
    own, other, number = second.PARTIES[sender], second.PARTIES[to].public, NUMBERS[suite]
    signed = second.sign(event, own, other)
    if in_letter:
        letter = second.seal(signed, other, second.SOURCE, "letter", number)
        signed = second.sign(letter, own, other, {"sent": 1_790_000_000_000, "delayed": True})
    return second.seal(second.padded(signed, number), other, second.SOURCE, "cell", number)


@pytest.mark.parametrize("suite", NUMBERS)
@pytest.mark.parametrize("name", examples())
def test_the_appliance_opens_what_a_second_implementation_seals(name, suite):
    example = examples()[name]
    vector = next(v for v in second.load("x25519")["vectors"] if v["name"] == name)
    sender, to = vector["from"], vector["to"]
    cell = seal(vector["event"].encode(), sender, to, suite, in_letter=example.in_letter)
    receiver = Envelope(PARTIES[to], PARTIES[sender].public, TOPICS, "x25519")
    opened = receiver.open(cell, example.kind)
    expected = example.message
    if isinstance(expected, Alert):
        expected = expected.sent(utc_text(1_790_000_000_000_000_000), delayed=True)
    assert opened.message == expected


@pytest.mark.parametrize("suite", NUMBERS)
def test_a_second_implementation_opens_what_the_appliance_seals(suite):
    device = Envelope(PARTIES["device"], PARTIES["desk"].public, TOPICS, suite)
    alert = an_alert(7)
    cell = device.dispatch(device.letter(alert), 5, delayed=False)
    event, letter = second.opened(
        cell, second.PARTIES["desk"], second.known("device"), second.SOURCE
    )
    assert json.loads(event)["id"] == alert.id
    assert letter[:2] == (5, False)
    assert parse_source(second.SOURCE) == TOPICS


def test_the_appliance_refuses_what_a_second_implementation_seals_for_another_topic():
    other = Envelope(
        PARTIES["device"], PARTIES["desk"].public, parse_source("urn:passerby:a:b"), "x25519"
    )
    cell = Envelope(PARTIES["desk"], PARTIES["device"].public, TOPICS, "x25519").cell(a_command())
    with pytest.raises(MessageError):
        other.open(cell, "command")


@pytest.mark.parametrize("suite", NUMBERS)
def test_a_device_opens_a_key_that_a_second_implementation_wrapped(suite):
    keys, deployment = OneTimeKeys(), "019966b0-e080-7000-8000-0000000000de"
    public = [keys.public.ed25519, keys.public.x25519, keys.public.mlkem768]
    wrapped = second.seal(b"k" * 32, public, second.SOURCE, "list key", NUMBERS[suite], deployment)
    assert unwrap_key(wrapped, keys, second.SOURCE, deployment) == b"k" * 32


def test_the_published_vectors_hold():
    assert failures() == []


@pytest.mark.parametrize("vector", second.load("refused")["vectors"], ids=lambda v: v["name"])
def test_a_published_bad_cell_is_refused_with_its_class(vector):
    kind = parse_topic(vector["topic"])[1]
    assert refusal_of(vector["to"], b64decode(vector["cell"]), kind) == vector["refusal"]


def test_the_test_keys_are_marked_as_public():
    for name in ("keys", "x25519", "mlkem768-x25519", "refused", "orders", "unlocking"):
        assert "Never use them" in second.load(name)["warning"]

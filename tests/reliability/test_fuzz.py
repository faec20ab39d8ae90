"""A little of `python -m tests.reliability.fuzz`, and whether it would notice anything."""

import pytest

from device.protocol import cose, event
from tests.reliability import fuzz


def test_no_generated_input_is_accepted_wrongly_or_breaks_a_decoder():
    tallies = fuzz.run(20_000, "the suite")
    wrong = {name: tally.examples for name, tally in tallies.items() if tally.bad}
    assert not wrong, fuzz.report(tallies, 1)
    assert sum(tally.cases for tally in tallies.values()) >= 20_000
    for name, tally in tallies.items():
        assert tally.accepted, f"{name}: only refusals prove nothing"
        assert tally.refused, f"{name}: nothing was refused"


class _Nobody:
    """Of a signature: that it holds."""

    def verify(self, *_):
        return None


def test_it_notices_a_signature_that_is_not_checked(monkeypatch):
    keys = type(fuzz.DEVICE.public)
    monkeypatch.setattr(keys, "verifier", property(lambda _: _Nobody()))
    tallies = fuzz.run(5_000, 1)
    assert tallies["cose.verify"].forged
    assert tallies["Envelope.open: desk"].forged
    assert "forged accepted" in fuzz.report(tallies, 1)


def test_it_notices_a_second_form_of_an_event(monkeypatch):
    monkeypatch.setattr("device.protocol.messages.decode_event", event.read_event)
    tallies = fuzz.run(20_000, 1)
    assert sum(tally.forged for name, tally in tallies.items() if "decode_message" in name)


def test_it_notices_a_second_form_of_a_signed_message(monkeypatch):
    parts = cose._parts

    def no_tag(message):
        return parts(message if message.startswith(b"\xd2") else b"\xd2" + message)

    monkeypatch.setattr(cose, "_parts", no_tag)
    assert fuzz.run(20_000, 1)["cose.verify"].forged


@pytest.mark.parametrize("error", [ValueError, RecursionError, KeyError])
def test_it_notices_an_error_of_another_kind(monkeypatch, error):
    def broken(payload, kind, name):
        raise error(name)

    monkeypatch.setattr("device.protocol.messages.decode_event", broken)
    tallies = fuzz.run(1_000, 1)
    assert tallies["decode_message: alert"].uncaught
    assert error.__name__ in fuzz.report(tallies, 1)


def test_it_notices_an_order_that_is_obeyed_twice(monkeypatch):
    monkeypatch.setattr(
        fuzz.OrderBook, "check", lambda book, order, _: order.data.sequence - book.sequence - 1
    )
    assert fuzz.run(2_000, 1)["OrderBook.check"].forged

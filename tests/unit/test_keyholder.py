"""Who asks for the key, when, and what becomes of the answer."""

from queue import SimpleQueue

import pytest

from device import keyholder
from device.protocol.identifiers import utc_ns, utc_text
from tests.simulators.charge import HOUR, S, World, authorised
from tests.simulators.repository import NOW_NS


@pytest.fixture
def asking(tmp_path, monkeypatch):
    """A device that has asked its desk for the key."""
    one = World(tmp_path, monkeypatch, unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    return one, device


def test_a_request_names_the_list_and_is_sent_once(asking):
    one, device = asking
    device.live(10)
    (request,) = device.wire.asked
    assert request.data.deployment == authorised().deployment
    assert request.data.sealed_sha256 == device.custody.installed.watchlist_sha256
    assert one.events().count("unlock asked") == 1


def test_every_start_asks_with_keys_of_its_own(asking):
    one, device = asking
    again = one.boot()
    again.live(2)
    assert again.wire.asked[0].data.keys != device.wire.asked[0].data.keys


def test_an_answer_to_a_request_before_the_restart_opens_nothing(asking):
    one, device = asking
    answer = device.answer()
    again = one.boot()
    again.live(2)
    again.inbox.unlocks.put(answer)
    assert again.live(3).state == "ready"
    assert again.galleries == []
    assert "message refused" in one.events()


def test_an_answer_that_comes_unasked_while_suspended_is_dropped(asking):
    one, device = asking
    answer = device.answer()
    device.obey(one.order("suspend"))
    device.live(2)
    device.inbox.unlocks.put(answer)
    device.live(2)
    device.obey(one.order("resume"))
    device.live(2)
    assert "unlocked" not in one.events()
    assert len(device.wire.asked) == 2


def test_another_bundle_asks_anew(asking):
    one, device = asking
    answer = device.answer()
    one.publish(authorised(version=2))
    one.install()
    device.live(2)
    device.inbox.unlocks.put(answer)
    device.live(2)
    assert device.galleries == []
    assert len(device.wire.asked) == 2


def test_a_key_of_no_use_is_tried_again_later_and_not_at_every_look(asking, monkeypatch):
    one, device = asking
    device.inbox.unlocks.put(device.answer(key=bytes(32)))
    device.live(6)
    assert len(device.wire.asked) == 1
    at_s = keyholder.boot_s() + keyholder._BLOCKED_S
    monkeypatch.setattr(keyholder, "boot_s", lambda: at_s)
    monkeypatch.setattr("device.charge.boot_s", lambda: at_s)
    device.live(3)
    assert len(device.wire.asked) == 2
    device.inbox.unlocks.put(device.answer())
    assert device.live(2).state == "armed"
    assert one.events().count("unlocked") == 2


def test_the_time_is_asked_again_after_a_while(asking, monkeypatch):
    one, device = asking
    device.inbox.unlocks.put(device.answer(at_ns=NOW_NS - HOUR))
    device.live(2)
    device.inbox.unlocks.put(device.answer(at_ns=NOW_NS - HOUR))
    device.live(5)
    asked = len(device.wire.asked)
    at_s = keyholder.boot_s() + keyholder._TIME_AGAIN_S
    monkeypatch.setattr(keyholder, "boot_s", lambda: at_s)
    monkeypatch.setattr("device.charge.boot_s", lambda: at_s)
    device.live(3)
    assert len(device.wire.asked) == asked + 1
    device.inbox.unlocks.put(device.answer())
    device.live(3)
    if device.custody.gallery is None:
        device.inbox.unlocks.put(device.answer())
    assert device.live(2).state == "armed"
    assert one.events().count("unlock asked") == len(device.wire.asked)


def test_nobody_is_asked_for_the_time_where_the_list_opens_locally(tmp_path, monkeypatch):
    one = World(tmp_path, monkeypatch, unlock="local")
    one.clocks.synchronised = False
    one.install()
    device = one.boot()
    assert device.live(4).state == "waiting"
    assert device.wire.asked == []


def test_a_refusal_is_kept_over_a_restart(asking):
    one, device = asking
    device.inbox.unlocks.put(device.answer(refusal="ended"))
    device.live(2)
    again = one.boot()
    again.live(3)
    assert again.wire.asked == []
    standing = again.obedience.standing
    assert standing.ended == "the desk says: ended"
    assert utc_ns(standing.ended_at) == one.clocks.wall_ns


def test_a_new_authorisation_lifts_a_refusal(asking):
    one, device = asking
    device.inbox.unlocks.put(device.answer(refusal="ended"))
    device.live(3)
    one.clocks.pass_by(HOUR)
    one.publish(authorised(version=2, signed_at=utc_text(one.clocks.wall_ns)))
    one.install()
    assert device.until_settled(8).state == "armed"


def test_the_queue_of_answers_is_emptied_at_every_look(asking):
    _, device = asking
    assert isinstance(device.inbox.unlocks, SimpleQueue)
    for _ in range(50):
        device.inbox.unlocks.put(device.answer(at_ns=NOW_NS + S))
    device.live()
    assert device.inbox.unlocks.empty()
    assert device.custody.gallery is not None

"""A little of `python -m tests.reliability.hostile`, and whether it would notice anything."""

from argparse import Namespace
from contextlib import closing

import pytest

from device.protocol.keys import PublicKeys
from device.protocol.order import OrderBook
from tests.conftest import absent
from tests.reliability import hostile
from tests.simulators.hostile_broker import TO_DESK, TO_DEVICE
from tests.simulators.mosquitto import PROGRAM
from tools.desk.gateway import store


@pytest.fixture(autouse=True)
def _broker():
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")


def test_a_hostile_broker_gets_nothing_accepted_and_the_desk_sees_what_is_missing(scratch):
    proof = hostile.prove(Namespace(work=scratch, seed=7, quick=True))
    assert proof.held, proof.line()
    assert proof.figures["accepted"] == 0
    assert proof.figures["attack_cells"] > 300
    assert proof.figures["alerts_arrived"] == proof.figures["alerts_raised"]


class _Nobody:
    """Of a signature: that it holds."""

    def verify(self, *_):
        return None


@pytest.fixture
def scene(scratch):
    with closing(hostile.Scene(scratch, 3)) as one:
        yield one


def test_it_notices_a_signature_that_is_not_checked(scene, monkeypatch):
    monkeypatch.setattr(PublicKeys, "verifier", property(lambda _: _Nobody()))
    # One forged alert in four names the device's key in both of its signatures: among 60, some do.
    for _ in range(60):
        device = scene.devices[0]
        forged = scene.forger.for_desk("alert", device.topics, device.keys.public)
        scene.broker.attack("forged alert", TO_DESK, device.topics.of("alert"), forged)
    hostile.rounds(scene, hostile.Size(1, 300))
    assert scene.violations.counts["alert that no device raised"]
    assert scene.violations.counts["order obeyed that was not given"]


def test_it_notices_a_letter_that_goes_before_the_desk_has_it(scene, monkeypatch):
    monkeypatch.setattr(PublicKeys, "verifier", property(lambda _: _Nobody()))
    scene.broker.chances = {"drop": 1.0}
    device = scene.devices[0]
    device.raise_alert(None)
    for outcome in ("stored", "refused"):
        keys, (digest,) = device.keys.public, device.waiting()
        device.raise_alert(None)
        # Half of the forgeries carry the name of the forger's own key.
        for _ in range(20):
            cell = scene.forger.for_device(outcome, device.topics, keys, digest)
            scene.broker.attack(outcome, TO_DEVICE, device.topics.of("receipt"), cell)
        scene.settle()
    assert scene.violations.counts["letter removed that the desk has not"] == 1
    assert scene.violations.counts["letter set aside"] == 1


def test_it_notices_an_order_that_is_obeyed_twice(scene, monkeypatch):
    monkeypatch.setattr(OrderBook, "check", lambda *_: 0)
    hostile.old_orders_again(scene)
    scene.check()
    assert scene.violations.counts["orders obeyed twice or out of order"]
    assert scene.violations.counts["suspended by a replay"]


def test_it_notices_a_status_that_goes_back(scene, monkeypatch):
    monkeypatch.setattr(store, "is_news", lambda *_: True)
    hostile.rounds(scene, hostile.Size(1, 50))
    scene.broker.be_honest()
    hostile.an_old_status_again(scene)
    assert scene.violations.counts["online by a replay"]

"""How long a device with a signed list keeps what is its own to keep (R25)."""

import msgspec

from device.protocol.authorisation import Retention
from device.settings import RetentionSettings
from tests.simulators.charge import World, authorised


def test_alerts_are_kept_no_longer_than_the_two_have_signed(tmp_path, monkeypatch):
    signed = authorised(retention=Retention(alerts_h=2.0))
    world = World(tmp_path, monkeypatch, authorisation=signed)
    world.settings = msgspec.structs.replace(world.settings, retention=RetentionSettings(744.0))
    assert world.boot().wire.kept_for_s == 24 * 3600
    assert world.armed().wire.kept_for_s == 2 * 3600
    world.settings = msgspec.structs.replace(world.settings, retention=RetentionSettings(1.0))
    assert world.armed().wire.kept_for_s == 3600

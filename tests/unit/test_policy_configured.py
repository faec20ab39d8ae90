"""A signed configuration is not looser than what its threshold was evaluated with (R28, R29)."""

import pytest

from device.bundles.configuration import read_signed
from device.errors import MessageError
from device.policy.configured import loosened
from device.protocol.authorisation import StopRule, decode_authorisation, encode_authorisation
from device.settings import MatchingSettings, VisionSettings
from tests.simulators.charge import World, alerting
from tests.simulators.situations import AUTHORISATION, SETTINGS, authorised

WEAK = b"""[vision]
motion_gate = false
interocular_px = 8
yaw = 1
roll_degrees = 90
sharpness = 0
detection_threshold = 0.3
shots_per_track = 100
[matching]
threshold = 0.8
margin = 0.0
cooldown_s = 86400
"""
NAMES = (
    "matching.margin",
    "vision.detection_threshold",
    "vision.interocular_px",
    "vision.sharpness",
    "vision.yaw",
    "vision.roll_degrees",
    "vision.shots_per_track",
    "matching.cooldown_s",
)


@pytest.mark.parametrize(("matching", "vision", "live", "count"), SETTINGS)
def test_every_value_that_is_looser_is_counted_and_none_that_is_stricter(
    matching, vision, live, count
):
    assert len(loosened(matching, vision, live)) == count


def test_each_sentence_names_its_setting():
    found = read_signed(WEAK.decode())
    assert tuple(said.split(" is ")[0] for said in loosened(found.matching, found.vision)) == NAMES
    (said,) = loosened(MatchingSettings(), VisionSettings(live_threshold=0.01), 0.62)
    assert said == ("vision.live_threshold is 0.01, and the evaluation stands for at least 0.62")


def test_a_device_with_a_loose_configuration_does_not_arm_and_says_which_value(
    tmp_path, monkeypatch
):
    one = World(tmp_path, monkeypatch, authorisation=alerting(), configuration=WEAK)
    one.install()
    verdict = one.boot().until_settled()
    assert verdict.state == "waiting"
    assert all(any(name in reason for reason in verdict.reasons) for name in NAMES)


@pytest.mark.parametrize("rate", [0.0101, 0.5, 0.999])
def test_a_stop_rule_that_allows_any_rate_cannot_be_signed(rate):
    content = encode_authorisation(authorised(stop_rule=StopRule(authorised_fpir=rate)))
    with pytest.raises(MessageError):
        decode_authorisation(content)


def test_a_stop_rule_at_one_in_a_hundred_can():
    signed = authorised(stop_rule=StopRule(authorised_fpir=0.01))
    assert decode_authorisation(encode_authorisation(signed)) == signed
    assert AUTHORISATION.stop_rule.authorised_fpir == 0.001

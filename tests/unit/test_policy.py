import pytest

from device.policy.arming import Facts, reasons_not_to_compare, unsigned_refusal
from device.policy.transport import refusal
from device.settings import BrokerSettings


def test_an_unsigned_list_is_refused_outside_a_demonstration():
    assert "unsigned" in unsigned_refusal(signed=False, demonstration=False)
    assert unsigned_refusal(signed=False, demonstration=True) is None
    assert unsigned_refusal(signed=True, demonstration=False) is None


def test_armed_means_that_no_reason_is_left():
    assert reasons_not_to_compare(Facts(signed=True, demonstration=False)) == []


def test_every_fault_is_a_reason():
    facts = Facts(signed=False, demonstration=False, storage_fault="Disk.", camera_fault="Camera.")
    reasons = reasons_not_to_compare(facts)
    assert len(reasons) == 3
    assert reasons[1:] == ["Disk.", "Camera."]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_broker_on_this_device_needs_no_tls(host):
    assert refusal(BrokerSettings(host, 1883, tls=False)) is None


@pytest.mark.parametrize(
    "host", ["broker.example", "10.0.0.5", "localhost.example", "127.0.0.1.example"]
)
def test_nothing_crosses_a_network_in_the_clear(host):
    assert "in the clear" in refusal(BrokerSettings(host, 1883, tls=False))
    assert refusal(BrokerSettings(host, 8883, tls=True)) is None

"""The rules of a session: asked before every frame, judged twice a second and at every change."""

import pytest

from device import session
from device.capture import Camera
from device.session import SessionConditions
from tests.simulators.charge import ENDS_NS, EVALUATED, S, Street, World, alerting, authorised
from tests.simulators.repository import NOW_NS


@pytest.fixture
def armed(tmp_path, monkeypatch):
    """A device whose list is open, and the conditions of its session; judged seldom."""

    def make(authorisation=None):
        one = World(tmp_path, monkeypatch, authorisation=authorisation)
        device = one.armed()
        one.now_s = 1000.0
        monkeypatch.setattr(session, "boot_s", lambda: one.now_s)
        monkeypatch.setattr(session, "_JUDGE_EVERY_S", 0.5)
        return one, device, SessionConditions(device.charge, Camera(Street()))

    return make


def test_an_alerting_session_says_so_before_its_first_frame(armed):
    assert armed(alerting())[2].mode == "alerting"


def test_a_silent_session_says_so(armed):
    assert armed(authorised())[2].mode == "silent"


def test_while_nothing_may_be_compared_nothing_may_be_sent(armed):
    _, _, conditions = armed(alerting())
    assert conditions.reasons(None, "The cable is out.") == ["The cable is out."]
    assert conditions.mode == "silent"
    assert not conditions.over
    assert conditions.reasons(None, None) == []
    assert conditions.mode == "alerting"


def test_a_fault_of_the_disk_forbids_comparing_and_does_not_end_the_session(armed):
    _, device, conditions = armed()
    device.notebook.fault = "The disk is full."
    assert conditions.reasons("The disk is full.", None) == ["The disk is full."]
    assert not conditions.over
    device.notebook.fault = None
    assert conditions.reasons(None, None) == []


def test_an_order_is_judged_at_once(armed):
    one, device, conditions = armed()
    assert conditions.reasons(None, None) == []
    device.obey(one.order("suspend"))
    device.charge.obey()
    assert "suspended" in conditions.reasons(None, None)[0]
    assert conditions.over
    assert "suspended" in conditions.why


def test_the_end_of_the_window_is_judged_at_that_moment(armed):
    one, _, conditions = armed()
    one.clocks.pass_by(ENDS_NS - NOW_NS - S // 10)
    assert conditions.reasons(None, None) == []
    one.clocks.pass_by(S // 10)
    one.now_s += 0.1
    assert conditions.reasons(None, None)
    assert conditions.over


def test_everything_else_is_judged_twice_a_second(armed):
    one, _, conditions = armed()
    assert conditions.reasons(None, None) == []
    one.clocks.wall_ns += 600 * S
    one.clocks.synchronised = False
    one.now_s += 0.4
    assert conditions.reasons(None, None) == []
    one.now_s += 0.1
    assert "clock" in conditions.reasons(None, None)[0]
    assert conditions.over


def test_what_is_compared_for_is_what_was_signed(armed):
    _, device, conditions = armed(alerting())
    assert conditions.purpose == device.charge.authorisation.objective
    assert conditions.threshold_id == EVALUATED.threshold_id

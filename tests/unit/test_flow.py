"""Which letter goes next, when again, and when a cell may leave."""

from hypothesis import given
from hypothesis import strategies as st

from device.alerts.flow import Flow
from device.alerts.pace import Beat
from device.alerts.refused import explain_code, is_taken


def started(window=4, unreceipted=100, timeout_s=10.0):
    flow = Flow(unreceipted, timeout_s)
    flow.connected(window, same_session=False)
    return flow


def test_the_broker_answering_does_not_end_a_letter():
    flow = started()
    flow.sent("a", 1, 0.0)
    assert flow.answered(1) == "a"
    assert flow.knows("a")
    flow.finished("a")
    assert not flow.knows("a")


def test_the_window_counts_what_the_broker_has_not_answered():
    flow = started(window=2)
    flow.sent("a", 1, 0.0)
    flow.sent("b", 2, 0.0)
    assert not flow.may_send()
    flow.finished("a")  # its receipt came before the broker's answer
    assert not flow.may_send()
    flow.answered(1)
    assert flow.may_send()


def test_no_more_than_so_many_are_without_a_receipt():
    flow = started(unreceipted=2)
    for number, digest in enumerate("ab"):
        flow.sent(digest, number, 0.0)
        flow.answered(number)
    assert flow.may_send()
    assert not flow.may_send_new()
    flow.finished("a")
    assert flow.may_send_new()


def test_without_a_receipt_a_letter_goes_again_more_and_more_seldom():
    flow, now_s, waits = started(), 0.0, []
    for number in range(8):
        flow.sent("a", number, now_s)
        flow.answered(number)
        last_s = now_s
        while flow.overdue(now_s) is None:
            now_s += 1
        waits.append(now_s - last_s)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]


def test_a_refused_letter_goes_again_when_it_was_said():
    flow = started()
    flow.sent("a", 1, 0.0)
    assert flow.refused(1, again_s=5.0)
    assert flow.overdue(4.9) is None
    assert flow.overdue(5.0) == "a"
    assert not flow.refused(99, again_s=5.0)


def test_a_broker_that_forgot_gets_everything_again():
    flow = started()
    flow.cursor = 7
    flow.sent("a", 1, 0.0)
    flow.answered(1)
    flow.connected(4, same_session=False)
    assert (flow.cursor, flow.knows("a")) == (0, False)


def test_a_broker_that_remembers_gets_only_what_it_had_not_answered():
    flow = started()
    flow.cursor = 7
    flow.sent("a", 1, 0.0)
    flow.answered(1)
    flow.sent("b", 2, 0.0)
    flow.disconnected()
    flow.connected(4, same_session=True)
    assert flow.cursor == 7
    assert flow.overdue(0.0) == "b"
    flow.sent("b", 3, 0.0)
    assert flow.overdue(1.0) is None


@given(st.lists(st.tuples(st.sampled_from("safrcd"), st.integers(0, 5)), max_size=60))
def test_whatever_happens_the_counts_hold(steps):
    flow, message = started(window=3, unreceipted=4), 0
    for now_s, (step, which) in enumerate(steps):
        digest = f"letter {which}"
        if step == "s" and flow.may_send() and (flow.knows(digest) or flow.may_send_new()):
            message += 1
            flow.sent(digest, message, now_s)
        elif step == "a":
            flow.answered(message - which)
        elif step == "f":
            flow.finished(digest)
        elif step == "r":
            flow.refused(message - which, now_s + 1.0)
        elif step == "c":
            flow.connected(3, same_session=bool(which % 2))
        elif step == "d":
            flow.disconnected()
        assert 0 <= flow.unanswered <= 3
        assert 0 <= flow.unreceipted <= 4
        flow.overdue(now_s)


def test_a_beat_is_due_once_a_period_and_missed_ones_are_not_made_up_for():
    beat = Beat(10.0)
    assert not beat.due(100.0)
    beat.start(100.0)
    assert [beat.due(t) for t in (105.0, 110.0, 110.1, 120.0)] == [False, True, False, True]
    assert beat.due(163.0)
    assert [beat.due(t) for t in (163.1, 169.9, 170.0)] == [False, False, True]
    assert beat.wait_s(171.0) == 9.0


def test_every_code_of_a_broker_has_its_sentence():
    assert is_taken(0)
    assert explain_code(0, "Success") is None
    for code in (16, 128, 131, 135, 144, 145, 151, 153, 200):
        assert not is_taken(code)
        assert explain_code(code, "reason").endswith("Alerts wait.")
    assert "gateway" in explain_code(16, "")
    assert "ACL" in explain_code(135, "")
    assert "quota" in explain_code(151, "")


def test_a_dummy_takes_its_place_in_the_window_as_a_letter_does():
    flow = started(window=2)
    flow.sent_cover(1)
    flow.sent("a", 2, 0.0)
    assert not flow.may_send()
    assert flow.answered(1) == ""
    assert flow.may_send()
    flow.sent_cover(3)
    assert flow.refused(3, again_s=1.0)
    assert flow.unreceipted == 1
    flow.sent_cover(4)
    flow.disconnected()
    assert flow.unanswered == 0
    assert flow.overdue(0.0) == "a"

import msgspec
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import integers

from device.alerts.waiting import Waiting
from tests.unit.test_alert import make_alert

BASE = make_alert()


def _alert(sequence):
    return msgspec.structs.replace(BASE, data=msgspec.structs.replace(BASE.data, sequence=sequence))


class WaitingModel(RuleBasedStateMachine):
    """Whatever the broker does, nothing is lost, nothing doubled, and order is kept."""

    def __init__(self):
        super().__init__()
        self.waiting = Waiting(20)
        self.made = 0
        self.message = 0
        self.under_way = {}
        self.arrived = []
        self.accepted = []
        self.ever_aside = False

    @rule()
    def raise_alert(self):
        self.made += 1
        if self.waiting.add(_alert(self.made)):
            self.accepted.append(self.made)
        else:
            assert len(self.waiting) == 20

    @rule(window=integers(1, 5))
    def send(self, window):
        alert = self.waiting.next(window)
        if alert is None:
            return
        unsent = set(self.accepted) - set(self.arrived) - set(self.under_way.values())
        assert alert.data.sequence in unsent
        if not self.ever_aside:
            assert alert.data.sequence == min(unsent)
        self.message += 1
        self.waiting.sent(self.message)
        self.under_way[self.message] = alert.data.sequence

    @precondition(lambda self: self.under_way)
    @rule(choice=integers(0, 99))
    def acknowledge(self, choice):
        message = sorted(self.under_way)[choice % len(self.under_way)]
        assert self.waiting.done(message)
        self.arrived.append(self.under_way.pop(message))

    @precondition(lambda self: self.under_way)
    @rule(choice=integers(0, 99))
    def refuse(self, choice):
        message = sorted(self.under_way)[choice % len(self.under_way)]
        assert self.waiting.retry(message)
        del self.under_way[message]

    @rule()
    def lose_the_connection(self):
        self.waiting.retry_all()
        self.under_way.clear()
        self.ever_aside = self.ever_aside or bool(self.waiting._aside)

    @rule()
    def hear_of_a_foreign_message(self):
        assert not self.waiting.done(-1)
        assert not self.waiting.retry(-1)

    @invariant()
    def nothing_is_lost_or_doubled(self):
        assert len(self.arrived) == len(set(self.arrived))
        assert len(self.waiting) == len(self.accepted) - len(self.arrived)


TestWaiting = WaitingModel.TestCase
TestWaiting.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)


def test_a_full_queue_keeps_the_oldest():
    waiting = Waiting(2)
    assert [waiting.add(_alert(n)) for n in (1, 2, 3)] == [True, True, False]
    assert waiting.next(5).data.sequence == 1


def test_what_can_never_be_sent_makes_room():
    waiting = Waiting(2)
    waiting.add(_alert(1))
    waiting.add(_alert(2))
    waiting.drop_next()
    assert waiting.next(5).data.sequence == 2


def _lose(waiting, message):
    waiting.sent(message)
    waiting.retry_all()


def test_an_alert_that_breaks_every_connection_does_not_hold_up_the_others():
    waiting = Waiting(10)
    for number in (1, 2, 3):
        waiting.add(_alert(number))
    for message in (1, 2, 3):
        assert waiting.next(16).data.sequence == 1
        _lose(waiting, message)
    sent = []
    for message in (4, 5, 6):
        sent.append(waiting.next(16).data.sequence)
        waiting.sent(message)
        assert waiting.done(message)
    assert sent == [2, 3, 1]


def test_after_a_break_alerts_go_one_by_one_until_one_arrives():
    waiting = Waiting(10)
    for number in (1, 2, 3):
        waiting.add(_alert(number))
    waiting.sent(1)
    waiting.sent(2)
    waiting.retry_all()
    waiting.sent(3)
    assert waiting.next(16) is None
    assert waiting.done(3)
    waiting.sent(4)
    assert waiting.next(16) is not None

"""kill -9 of the gateway at random moments: nothing is lost, every alert is emitted."""

import random
import threading
import time

import pytest

from device.errors import MessageError
from device.protocol.alert import decode_alert
from device.protocol.envelope import digest_of
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import wait_until

KILLS = 6
ALERTS = 120
SEED = 7


@pytest.fixture
def desk(scratch, mosquitto):
    one = Desk(scratch, mosquitto().port)
    yield one
    one.close()


class Run:
    """Sends alerts until each has its receipt, as a device's outbox does."""

    def __init__(self, desk):
        self.device = desk.device().connect(desk.port)
        self.letters = {}
        self.ids = set()

    def raise_alert(self):
        alert, letter = self.device.alert()
        self.letters[digest_of(letter)] = letter
        self.ids.add(alert.id)
        self.device.publish("alert", self.device.sent(letter))

    def unreceipted(self):
        done = {receipt.data.digest for receipt in list(self.device.receipts)}
        return [letter for digest, letter in self.letters.items() if digest not in done]

    def resend(self):
        for letter in self.unreceipted():
            self.device.publish("alert", self.device.sent(letter))


def _collect(stream, lines):
    def read():
        for line in stream:
            lines.append(line)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def test_kills_lose_nothing(desk, scratch):
    chance = random.Random(SEED)
    run = Run(desk)
    lines, readers = [], []
    log = (scratch / "log").open("w")
    for turn in range(KILLS + 1):
        process = desk.process("--to", "stdout", stderr=log)
        readers.append(_collect(process.stdout, lines))
        for _ in range(ALERTS // (KILLS + 1) + 1):
            run.raise_alert()
            time.sleep(chance.uniform(0, 0.03))
        if turn == KILLS:
            break
        # Some before it has begun, some in the middle of storing, receipting, emitting.
        time.sleep(chance.uniform(0.2, 2.5))
        process.kill()
        process.wait()
        readers[-1].join(10)
        run.resend()

    def settled():
        if run.unreceipted():
            time.sleep(0.5)
            run.resend()
        return not run.unreceipted()

    wait_until(settled, 60)
    wait_until(lambda: run.ids <= {_id(line) for line in list(lines)}, 60)
    process.terminate()
    assert process.wait(20) == 0
    readers[-1].join(10)
    log.close()
    assert {row.id for row in desk.rows()} == run.ids
    assert len(desk.rows()) == len(run.ids)
    assert {_id(line) for line in lines} - {None} == run.ids
    assert "Traceback" not in (scratch / "log").read_text()


def _id(line):
    try:
        return decode_alert(line.encode()).id
    except MessageError:
        # A line that a kill has cut; its event comes again, whole.
        return None

"""The post: alerts are kept while the disk is well, and when it is not, and damage is survived."""

import sqlite3
import time

import pytest

from device.alerts.post import Limits, Post
from device.alerts.salvage import damaged_copy
from device.protocol.alert import Alert
from device.protocol.cell import open_letter
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.record import Record, RecordData
from device.protocol.refusals import MisaddressedError
from tests.simulators.correspondents import Correspondents
from tests.simulators.disk import CannotSimulate, Disk
from tests.simulators.drafts import make_draft

HOUR_NS = 3_600_000_000_000


class Clocks:
    def __init__(self):
        self.ns, self.s = time.time_ns(), 0.0


@pytest.fixture
def between():
    return Correspondents()


@pytest.fixture
def clocks():
    return Clocks()


@pytest.fixture
def disk():
    try:
        simulated = Disk()
    except CannotSimulate as reason:
        pytest.skip(str(reason))
    with simulated:
        yield simulated
        assert simulated.surprises == []


@pytest.fixture
def open_post(scratch, between, clocks):
    opened = []

    def start(disk=None, outbox_bytes=1_000_000, keep_s=24 * 3600):
        def connect():
            return sqlite3.connect(disk.uri(), uri=True, check_same_thread=False)

        post = Post(
            scratch / "outbox.sqlite",
            Limits(outbox_bytes, keep_s),
            between.device,
            now_ns=lambda: clocks.ns,
            now_s=lambda: clocks.s,
            connect=connect if disk is not None else None,
        )
        opened.append(post)
        return post

    yield start
    for post in opened:
        post.close()


def read(between, entry):
    cell = between.device.dispatch(entry.letter, 0, delayed=False)
    return between.desk.open(cell, entry.kind)


def everything(post):
    found, number = list(post.in_memory()), 0
    while (entry := post.after(number)) is not None:
        found.append(entry)
        number = entry.number
    return found


def test_an_alert_is_sealed_before_it_touches_the_disk(open_post, scratch, between):
    post = open_post()
    assert post.submit(make_draft())
    post.close()
    written = b"".join(file.read_bytes() for file in scratch.iterdir())
    assert written
    for secret in (b"ref-7", b"possible match", b"jpeg", between.device_keys.ed25519):
        assert secret not in written
    (entry,) = everything(open_post())
    message = read(between, entry).message
    assert isinstance(message, Alert)
    assert message.data.reference_id == "ref-7"
    assert message.data.sequence == 1


def test_the_device_itself_cannot_open_what_waits(open_post, between):
    post = open_post()
    post.submit(make_draft())
    (entry,) = everything(post)
    with pytest.raises(MisaddressedError):
        open_letter(entry.letter, between.device_keys, between.topics.source)


def test_a_receipt_forgets_and_a_foreign_one_does_not(open_post):
    post = open_post()
    post.submit(make_draft())
    (entry,) = everything(post)
    assert not post.remove("00" * 32)
    assert post.remove(entry.digest)
    assert post.waiting() == 0


def test_a_record_waits_like_an_alert_but_takes_no_number(open_post, between, clocks):
    post = open_post()
    now = utc_text(clocks.ns)
    data = RecordData(now, now, None, 3, "t", 1, "unknown", 0, 2)
    assert post.submit_record(Record(uuid7(clocks.ns), between.topics.source, now, data))
    post.submit(make_draft())
    first, second = everything(post)
    assert read(between, first).message.data.compared == "unknown"
    assert read(between, second).message.data.sequence == 1


def test_alerts_go_on_in_memory_while_the_disk_fails_and_move_to_it_afterwards(
    open_post, disk, between, clocks
):
    post = open_post(disk)
    post.submit(make_draft())
    disk.fail("sync", times=None)
    assert post.submit(make_draft())
    assert "worn out" in post.alarms[0]
    assert len(post.in_memory()) == 1
    disk.heal()
    clocks.s += 10
    post.tend()
    assert post.alarms == []
    assert post.in_memory() == []
    alerts = [read(between, entry).message for entry in everything(post)]
    assert len({alert.id for alert in alerts}) >= 2
    assert len({alert.data.epoch for alert in alerts}) == 2


def test_a_disk_that_fails_from_the_start_is_an_alarm_and_no_end(open_post, disk):
    disk.fail("open", times=None)
    post = open_post(disk)
    assert post.alarms
    assert post.submit(make_draft())
    assert post.waiting() == 1


def test_memory_is_bounded_too(open_post, disk):
    disk.fail("open", times=None)
    post = open_post(disk)
    crop = b"x" * 5000
    taken = [post.submit(make_draft(crop=crop)) for _ in range(400)]
    assert taken[0]
    assert not taken[-1]
    assert any("outbox is full" in alarm for alarm in post.alarms)


def test_an_alert_is_erased_when_it_has_waited_too_long_and_that_is_said(open_post, clocks):
    post = open_post(keep_s=24 * 3600)
    post.submit(make_draft())
    clocks.ns += 23 * HOUR_NS
    clocks.s += 23 * 3600
    post.tend()
    assert post.waiting() == 1
    clocks.ns += 2 * HOUR_NS
    clocks.s += 2 * 3600
    post.tend()
    assert post.waiting() == 0
    assert "waited as long as alerts may be kept" in post.alarms[0]


def test_a_damaged_outbox_is_set_aside_and_what_can_be_read_is_saved(
    open_post, scratch, between, clocks
):
    post = open_post()
    for _ in range(40):
        post.submit(make_draft(crop=b"x" * 3000))
    epoch = read(between, everything(post)[0]).message.data.epoch
    post.close()
    path = scratch / "outbox.sqlite"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * 8192)
    again = open_post()
    saved = everything(again)
    assert 20 <= len(saved) < 40
    assert all(read(between, entry).message.data.epoch == epoch for entry in saved)
    assert "was damaged" in again.alarms[0]
    assert damaged_copy(path).exists()
    again.submit(make_draft())
    assert read(between, everything(again)[-1]).message.data.epoch != epoch
    # The damaged file holds alerts too: it goes when they are too old.
    clocks.ns += 25 * HOUR_NS
    clocks.s += 25 * 3600
    again.tend()
    assert not damaged_copy(path).exists()


def test_complete_garbage_in_its_place_does_not_stop_the_device(open_post, scratch):
    (scratch / "outbox.sqlite").write_bytes(b"garbage" * 5000)
    post = open_post()
    assert "was damaged" in post.alarms[0]
    assert post.submit(make_draft())


def test_a_crop_that_no_letter_has_room_for_is_left_out(open_post, between):
    post = open_post()
    assert post.submit(make_draft(crop=b"x" * 6000))
    (entry,) = everything(post)
    assert read(between, entry).message.data.crop is None


def test_the_largest_crop_fits_a_cell(open_post, between):
    post = open_post()
    assert post.submit(make_draft(crop=b"x" * 5120))
    (entry,) = everything(post)
    assert len(read(between, entry).message.data.crop.data) == 5120

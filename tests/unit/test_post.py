"""The post: alerts are kept while the disk is well, and when it is not, and damage is survived."""

import sqlite3
import time

import pytest

from device.alerts.choice import next_letter
from device.alerts.flow import Flow
from device.alerts.post import Limits, Post
from device.alerts.salvage import damaged_files, saved_files, set_aside
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
    assert len(post.in_memory()) == 1


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


def test_an_alert_is_erased_sooner_once_less_time_is_authorised(open_post, clocks):
    post = open_post(keep_s=24 * 3600)
    post.submit(make_draft())
    clocks.ns += 2 * HOUR_NS
    clocks.s += 2 * 3600
    post.tend()
    assert post.waiting() == 1
    post.keep_for(3600)
    clocks.s += 3600
    post.tend()
    assert post.waiting() == 0


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
    assert damaged_files(path) == []
    assert len(saved_files(path)) == 1
    again.submit(make_draft())
    assert read(between, everything(again)[-1]).message.data.epoch != epoch
    # The damaged file holds alerts too: it goes when they are too old.
    clocks.ns += 25 * HOUR_NS
    clocks.s += 25 * 3600
    again.tend()
    assert saved_files(path) == []


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


def started(window=16, unreceipted=100):
    flow = Flow(unreceipted, 10.0)
    flow.connected(window, same_session=False)
    return flow


def send_all(post, flow, now_s):
    sent = []
    while (entry := next_letter(post, flow, now_s)) is not None:
        flow.sent(entry.digest, len(sent) + 1000 * int(now_s), now_s)
        flow.answered(len(sent) + 1000 * int(now_s))
        sent.append(entry.digest)
    return sent


def test_a_short_fault_of_the_disk_does_not_make_letters_forgotten(open_post, disk, clocks):
    post, flow = open_post(disk), started()
    for _ in range(5):
        post.submit(make_draft())
    sent = send_all(post, flow, 0.0)
    assert len(sent) == 5
    disk.fail("read", times=None)
    disk.fail("write", times=None)
    post.submit(make_draft())  # the disk fails, and is closed
    assert send_all(post, flow, 100.0) != sent
    disk.heal()
    clocks.s += 10
    post.tend()
    again = set(send_all(post, flow, 200.0)) | {one for one in sent if flow.knows(one)}
    assert set(sent) <= again


def test_a_receipt_that_comes_while_the_disk_fails_is_not_forgotten(open_post, disk, clocks):
    post = open_post(disk)
    post.submit(make_draft())
    (entry,) = everything(post)
    disk.fail("write", times=None)
    assert not post.remove(entry.digest)
    assert post.waiting() >= 1  # what cannot be asked is not taken for empty
    disk.heal()
    clocks.s += 10
    post.tend()
    assert post.waiting() == 0


def test_after_damage_at_run_time_new_and_saved_letters_are_sent(open_post, scratch, clocks):
    post, flow = open_post(), started()
    for _ in range(20):
        post.submit(make_draft())
    assert len(send_all(post, flow, 0.0)) == 20
    post.close()
    (scratch / "outbox.sqlite").write_bytes(b"damaged" * 1000)
    clocks.s += 10
    post.tend()
    post.submit(make_draft())
    assert send_all(post, flow, 1.0)


def test_a_salvage_that_was_interrupted_is_taken_up_again(open_post, scratch):
    post = open_post()
    for _ in range(5):
        post.submit(make_draft())
    post.close()
    path = scratch / "outbox.sqlite"
    set_aside(path)  # and the power fails before a letter is saved
    assert len(damaged_files(path)) == 1
    again = open_post()
    assert again.waiting() == 5
    assert damaged_files(path) == []


def test_a_log_that_was_left_behind_by_a_power_cut_is_brought_to_its_database(open_post, scratch):
    post = open_post()
    for _ in range(5):
        post.submit(make_draft())
    path = scratch / "outbox.sqlite"
    for name in ("outbox.sqlite", "outbox.sqlite-wal"):  # as they were while it ran
        (scratch / f"copy-{name}").write_bytes((scratch / name).read_bytes())
    post.close()
    path.unlink()
    (scratch / "copy-outbox.sqlite").rename(scratch / "outbox.sqlite.damaged-1")
    (scratch / "copy-outbox.sqlite-wal").rename(scratch / "outbox.sqlite-wal")
    assert open_post().waiting() == 5


def test_a_flipped_bit_in_one_letter_does_not_stop_those_behind_it(open_post, scratch):
    post = open_post()
    for _ in range(4):
        post.submit(make_draft())
    post.close()
    with sqlite3.connect(scratch / "outbox.sqlite") as base:
        base.execute("UPDATE letters SET kind = CAST(x'ff616c' AS TEXT) WHERE number = 1")
        base.execute("UPDATE letters SET digest = 'x' WHERE number = 2")
        base.execute("UPDATE letters SET letter = CAST(letter || x'00' AS BLOB) WHERE number = 3")
    base.close()
    again = open_post()
    found = everything(again)
    assert len(found) == 4
    assert {entry.kind for entry in found} == {"alert"}
    # The answer of the desk names the bytes that were sent, and finds the letter.
    again.bury(found[2].digest, "the desk could not open it.")
    for entry in (found[0], found[1], found[3]):
        assert again.remove(entry.digest)
    assert again.waiting() == 0


def test_a_clock_that_becomes_right_does_not_age_what_was_just_queued(open_post, clocks):
    clocks.ns -= 72 * HOUR_NS  # the Pi was off for three days
    post = open_post()
    post.submit(make_draft())
    clocks.ns += 72 * HOUR_NS  # NTP answers
    clocks.s += 61
    post.tend()
    assert post.waiting() == 1
    clocks.ns += 25 * HOUR_NS
    clocks.s += 25 * 3600
    post.tend()
    assert post.waiting() == 0


def test_what_was_queued_in_the_future_expires_too(open_post, clocks):
    clocks.ns += 72 * HOUR_NS
    first = open_post()
    first.submit(make_draft())
    first.close()
    post = open_post()
    clocks.ns -= 72 * HOUR_NS
    clocks.s += 61
    post.tend()
    clocks.ns += 25 * HOUR_NS
    clocks.s += 25 * 3600
    post.tend()
    assert post.waiting() == 0


def test_on_a_full_disk_what_waits_can_still_be_read_and_sent(open_post, disk, clocks):
    post = open_post(disk)
    for _ in range(5):
        post.submit(make_draft())
    disk.capacity_bytes = disk.used_bytes
    for _ in range(400):
        post.submit(make_draft())
    assert any("full" in alarm for alarm in post.alarms)
    clocks.s += 10
    post.tend()
    assert len(everything(post)) >= 5


def test_that_alerts_were_lost_is_said_long_enough_for_a_status(open_post, clocks):
    post = open_post(outbox_bytes=4000)
    while post.submit(make_draft()):
        pass
    for entry in everything(post):
        post.remove(entry.digest)
    assert any("outbox is full" in alarm for alarm in post.alarms)
    clocks.s += 601
    assert post.alarms == []


def test_a_letter_that_was_chosen_and_could_not_leave_is_chosen_again(open_post):
    post, flow = open_post(), started()
    post.submit(make_draft())
    post.submit(make_draft())
    first = next_letter(post, flow, 0.0)
    # The broker's window was taken, or publishing failed: it was not sent.
    assert next_letter(post, flow, 0.0).digest == first.digest
    flow.disconnected()
    flow.connected(16, same_session=True)
    assert len(send_all(post, flow, 1.0)) == 2

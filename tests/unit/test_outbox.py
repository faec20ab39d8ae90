"""The outbox: what it promises, on the real SQLite, also when the disk fails or the power does."""

import random
import sqlite3
from contextlib import suppress

import pytest

from device.alerts.outbox import DamagedOutboxError, Entry, Outbox, Sealed, connect_file
from device.errors import StorageError
from device.protocol.envelope import digest_of
from tests.simulators.disk import CannotSimulate, Disk

BIG = 10_000_000


def letter(number, size=100):
    return number.to_bytes(8, "big") * (size // 8)


def keep(outbox, number, size=100, captured_ms=5):
    return outbox.append(lambda _e, _s: Sealed("alert", captured_ms, letter(number, size)))


def keep_many(outbox, numbers):
    for number in numbers:
        keep(outbox, number, size=8000)


class Clock:
    ms = 1_790_000_000_000

    def __call__(self):
        return self.ms


@pytest.fixture
def path(scratch):
    return scratch / "outbox.sqlite"


@pytest.fixture
def open_outbox(path):
    opened = []

    def start(limit=BIG, now_ms=None):
        opened.append(Outbox(lambda: connect_file(path), limit, now_ms or Clock()))
        return opened[-1]

    yield start
    for outbox in opened:
        outbox.close()


@pytest.fixture
def disk():
    try:
        simulated = Disk()
    except CannotSimulate as reason:
        pytest.skip(str(reason))
    with simulated:
        yield simulated
        assert simulated.surprises == []


def on_disk(disk, limit=BIG):
    def connect():
        return sqlite3.connect(disk.uri(), uri=True, check_same_thread=False)

    return Outbox(connect, limit, Clock())


def letters_of(outbox):
    found, number = [], 0
    while (entry := outbox.after(number)) is not None:
        found.append(entry)
        number = entry.number
    return found


def test_what_was_kept_is_there_after_a_restart_in_order(open_outbox):
    first = open_outbox()
    for number in range(5):
        keep(first, number)
    epoch, used = first.epoch, first.used_bytes
    first.close()
    again = open_outbox()
    assert [entry.letter for entry in letters_of(again)] == [letter(n) for n in range(5)]
    assert (again.epoch, again.used_bytes) == (epoch, used)


def test_numbers_go_on_without_gaps_over_restarts_and_removals(open_outbox):
    seen = []

    def seal(epoch, sequence):
        seen.append((epoch, sequence))
        return Sealed("alert", 0, letter(sequence))

    for _ in range(3):
        outbox = open_outbox()
        for _ in range(2):
            outbox.append(seal)
        for entry in letters_of(outbox):
            outbox.remove(entry.digest)
        outbox.close()
    assert [sequence for _, sequence in seen] == [1, 2, 3, 4, 5, 6]
    assert len({epoch for epoch, _ in seen}) == 1


def test_only_its_own_digest_removes_a_letter(open_outbox):
    outbox = open_outbox()
    keep(outbox, 1)
    assert outbox.remove("00" * 32) is None
    assert outbox.remove(digest_of(letter(1))) == 1
    assert outbox.remove(digest_of(letter(1))) is None
    assert outbox.used_bytes == 0


def test_when_full_the_newest_is_refused_and_its_number_used_up(open_outbox):
    outbox = open_outbox(limit=2000)
    kept = [keep(outbox, number, size=400) for number in range(6)]
    assert [number is not None for number in kept] == [True, True, True, False, False, False]
    assert [entry.letter for entry in letters_of(outbox)] == [letter(n, 400) for n in range(3)]
    outbox.remove(digest_of(letter(0, 400)))
    sequences = []
    outbox.append(lambda _e, s: sequences.append(s) or Sealed("alert", 0, letter(9)))
    assert sequences == [7]


def test_a_sealing_that_fails_keeps_nothing_and_uses_no_number(open_outbox):
    outbox = open_outbox()
    with pytest.raises(ZeroDivisionError):
        outbox.append(lambda _e, _s: 1 / 0)
    sequences = []
    outbox.append(lambda _e, s: sequences.append(s) or Sealed("alert", 0, letter(1)))
    assert sequences == [1]


def test_a_buried_letter_is_not_sent_but_counts_until_it_expires(open_outbox):
    clock = Clock()
    outbox = open_outbox(now_ms=clock)
    keep(outbox, 1)
    keep(outbox, 2)
    outbox.bury(digest_of(letter(1)), "why")
    assert [entry.letter for entry in letters_of(outbox)] == [letter(2)]
    assert (outbox.waiting(), outbox.dead()) == (1, 1)
    assert outbox.find(digest_of(letter(1))) is None
    assert outbox.expire(clock.ms + 1) == 2
    assert (outbox.dead(), outbox.used_bytes) == (0, 0)


def test_only_what_is_too_old_expires(open_outbox):
    clock = Clock()
    outbox = open_outbox(now_ms=clock)
    keep(outbox, 1)
    clock.ms = Clock.ms + 1000
    keep(outbox, 2)
    assert outbox.expire(Clock.ms + 500) == 1
    assert [entry.letter for entry in letters_of(outbox)] == [letter(2)]


def test_another_process_cannot_open_it_too(open_outbox, path):
    keep(open_outbox(), 1)
    with pytest.raises(StorageError, match="another passerby uses it"):
        Outbox(lambda: connect_file(path), BIG, Clock())


def test_a_letter_is_adopted_once(open_outbox):
    outbox = open_outbox()
    entry = Entry(77, "record", 1, 2, digest_of(letter(7)), letter(7))
    outbox.adopt([entry, entry])
    outbox.adopt([entry])
    (found,) = letters_of(outbox)
    assert (found.kind, found.captured_ms, found.queued_ms) == ("record", 1, 2)


def test_garbage_in_its_place_is_said_to_be_damaged(path):
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(DamagedOutboxError, match="damaged"):
        Outbox(lambda: connect_file(path), BIG, Clock())


def test_a_file_of_another_version_is_left_alone(open_outbox, path):
    open_outbox().close()
    with sqlite3.connect(path) as base:
        base.execute("PRAGMA user_version = 9")
    base.close()
    with pytest.raises(StorageError, match="another version"):
        Outbox(lambda: connect_file(path), BIG, Clock())


def test_a_folder_that_cannot_be_made_is_said(scratch):
    (scratch / "file").write_text("x")
    with pytest.raises(StorageError, match="state_directory"):
        Outbox(lambda: connect_file(scratch / "file/outbox.sqlite"), BIG, Clock())


class TestOnAFailingDisk:
    def test_a_full_disk_refuses_the_new_and_keeps_the_old(self, disk):
        outbox = on_disk(disk)
        keep(outbox, 1)
        disk.capacity_bytes = disk.used_bytes
        # The log has room left over; what does not fit it is refused.
        with pytest.raises(StorageError, match="disk is full"):
            keep_many(outbox, range(2, 200))
        kept = [entry.letter for entry in letters_of(outbox)]
        disk.heal()
        assert keep(outbox, 500) is not None
        assert [entry.letter for entry in letters_of(outbox)][: len(kept)] == kept
        outbox.close()

    @pytest.mark.parametrize("kind", ["write", "sync"])
    def test_an_io_error_is_said_and_what_was_kept_stays(self, disk, kind):
        outbox = on_disk(disk)
        keep(outbox, 1)
        disk.fail(kind, times=None)
        with pytest.raises(StorageError, match="worn out"):
            keep(outbox, 2)
        disk.heal()
        outbox.close()
        again = on_disk(disk)
        assert letter(1) in [entry.letter for entry in letters_of(again)]
        assert keep(again, 3) is not None
        again.close()

    def test_a_disk_that_turns_read_only_is_said(self, disk):
        outbox = on_disk(disk)
        keep(outbox, 1)
        disk.read_only = True
        with pytest.raises(StorageError, match="worn out"):
            keep(outbox, 2)
        assert [entry.letter for entry in letters_of(outbox)] == [letter(1)]
        outbox.close()

    @pytest.mark.parametrize("mode", ["none", "some", "prefix", "all"])
    def test_a_power_cut_loses_nothing_that_was_kept(self, mode):
        rng = random.Random(f"outbox {mode}")
        for _ in range(60):
            files, kept, removed = _until_the_power_fails(rng, mode)
            with Disk(files) as after:
                outbox = on_disk(after)
                there = {entry.letter for entry in letters_of(outbox)}
                assert kept <= there
                assert not removed & there
                assert keep(outbox, 10_000) is not None
                outbox.close()
                assert after.surprises == []


def _until_the_power_fails(rng, mode):
    """Append and remove until a cut; return the files, and what must and must not be in them."""
    try:
        disk = Disk()
    except CannotSimulate as reason:
        pytest.skip(str(reason))
    kept, removed = set(), set()
    with disk:
        outbox = on_disk(disk)
        disk.cut_after(rng.randrange(1, 120))
        with suppress(StorageError):
            for number in range(1, 200):
                keep(outbox, number, size=rng.choice((80, 800, 8000)))
                entry = letters_of(outbox)[-1]
                kept.add(entry.letter)
                if rng.random() < 0.4:
                    victim = rng.choice(sorted(kept))
                    # Neither kept nor removed while it is under way.
                    kept.discard(victim)
                    outbox.remove(digest_of(victim))
                    removed.add(victim)
        files = disk.image(rng, mode)
        outbox.close()
    return files, kept, removed

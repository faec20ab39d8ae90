"""A bundle in parts: cut at the desk, put together on the device whatever happens in between."""

import hashlib
import random

import msgspec
import pytest

from device.bundles.parts import OFFER, WHOLE, Incoming
from device.errors import ConfigurationError, MessageError, StorageError
from device.protocol.cell import CELL_BYTES
from device.protocol.envelope import Envelope, desk_source
from device.protocol.event import encode_event
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys
from device.protocol.part import (
    LARGEST_BUNDLE_BYTES,
    MOST_PARTS,
    PART_BYTES,
    PARTS_STEP,
    BundlePart,
    BundlePartData,
    check_part,
    cut,
    digest_of_bundle,
    parts_of,
)
from device.protocol.refusals import MisaddressedError, NotCanonicalError, ReplayedError
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from tools.desk.devices import Register
from tools.desk.gateway.bundles import Bundles, note_bundle
from tools.desk.gateway.database import Database

NOW_NS = 1_790_000_000_000_000_000
TOPICS, OTHER = Topics("s1", "d1"), Topics("s1", "d2")
FIRST, SECOND = random.Random(1).randbytes(60_000), random.Random(2).randbytes(70_000)


def parts(archive, at_s=0, device=TOPICS.source):
    offered_at = utc_text(NOW_NS + at_s * 10**9)
    bundle = digest_of_bundle(archive)
    count = range(1, parts_of(len(archive)) + 1)
    return [cut(archive, bundle, device, offered_at, number) for number in count]


# --- Cutting -----------------------------------------------------


@pytest.mark.parametrize(
    "size", [1, PART_BYTES, PART_BYTES + 1, PARTS_STEP * PART_BYTES, 2_600_000]
)
def test_the_parts_of_an_archive_give_the_archive(size):
    archive = random.Random(size).randbytes(size)
    found = parts(archive)
    for data in found:
        check_part(data)
    assert b"".join(data.content for data in found) == archive
    assert {data.parts for data in found} == {len(found)}


def test_small_differences_of_size_do_not_show_in_the_number_of_parts():
    sizes = (2_500_000, 2_600_000, 2_700_000)
    assert {parts_of(size) % PARTS_STEP for size in sizes} == {0}
    step = PARTS_STEP * PART_BYTES
    assert {parts_of(size) for size in range(10 * step + 1, 11 * step, 9_999)} == {11 * PARTS_STEP}
    assert {parts_of(size) for size in (1, 1_000, step)} == {PARTS_STEP}


@pytest.mark.parametrize("suite", ["x25519", "mlkem768-x25519"])
def test_the_longest_part_of_the_device_with_the_longest_name_fits_a_cell(suite):
    topics = Topics("s" * 32, "d" * 32)
    content = bytes(PART_BYTES)
    digest, time = "ab" * 32, utc_text(NOW_NS)
    data = BundlePartData(
        topics.source, time, digest, LARGEST_BUNDLE_BYTES, MOST_PARTS - 9, MOST_PARTS, content
    )
    desk, device = PrivateKeys.generate(), PrivateKeys.generate()
    part = BundlePart(uuid7(NOW_NS), desk_source(desk.public), time, data)
    assert len(encode_event(part)) == 10_949, "as docs/protocol.md says"
    assert len(Envelope(desk, device.public, topics, suite).cell(part)) == CELL_BYTES


@pytest.mark.parametrize("archive", [b"", bytes(LARGEST_BUNDLE_BYTES + 1)], ids=["none", "long"])
def test_what_is_no_bundle_is_not_cut(archive):
    with pytest.raises(MessageError, match="A bundle has 1 to"):
        digest_of_bundle(archive)


@pytest.mark.parametrize("number", [0, -1, 33])
def test_there_is_no_part_beyond_the_last(number):
    with pytest.raises(MessageError, match="no part"):
        cut(FIRST, "ab" * 32, TOPICS.source, utc_text(NOW_NS), number)


@pytest.mark.parametrize(
    "changes",
    [{"parts": 33}, {"parts": 64}, {"part": 33}, {"part": 9}, {"content": b"x"}, {"size": 1},
     {"size": LARGEST_BUNDLE_BYTES}, {"content": b""}],
    ids=str,
)  # fmt: skip
def test_a_part_that_contradicts_itself_is_refused(changes):
    with pytest.raises(MessageError, match="A part of a bundle"):
        check_part(msgspec.structs.replace(parts(FIRST)[1], **changes))


# --- Putting together --------------------------------------------


class Room:
    """An `Incoming` on a folder that stays, however often it starts again."""

    def __init__(self, folder):
        self.folder = folder / "incoming"
        self.whole, self.missed = [], 0
        self.start()

    def start(self):
        self.incoming = Incoming(self.folder, TOPICS.source, self._came, self._missed)

    def _came(self, path):
        self.whole.append(path.read_bytes())

    def _missed(self):
        self.missed += 1

    def take(self, *found):
        for data in found:
            self.incoming.take(data)

    @property
    def names(self):
        return sorted(path.name for path in self.folder.iterdir())


@pytest.fixture
def room(tmp_path):
    return Room(tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_parts_in_any_order_and_twice_give_the_bundle_once(room, seed):
    found = parts(FIRST) * 2
    random.Random(seed).shuffle(found)
    assert room.incoming.newest is None
    room.take(*found)
    assert room.whole == [FIRST]
    assert room.incoming.newest == hashlib.sha256(FIRST).hexdigest()
    assert room.incoming.waiting() == room.folder / WHOLE
    assert room.names == [WHOLE, OFFER]
    room.incoming.done()
    assert room.incoming.waiting() is None
    room.take(*found)
    assert room.whole == [FIRST], "not again"


def test_a_bundle_that_lacks_a_part_is_not_whole(room):
    found = [data for data in parts(FIRST) if data.part != 3]
    room.take(*found)
    assert (room.whole, room.incoming.newest, room.incoming.waiting()) == ([], None, None)


def test_every_start_goes_on_with_what_is_there(room):
    for data in parts(FIRST):
        room.start()
        room.take(data)
    assert room.whole == [FIRST]
    room.start()
    assert room.incoming.waiting() is not None
    assert room.incoming.newest == digest_of_bundle(FIRST)


def test_a_power_cut_at_any_write_loses_nothing_that_the_broker_still_has(tmp_path, monkeypatch):
    """Every write that there is fails once; then it starts again, and all parts come again."""
    from device.bundles import parts as module  # noqa: PLC0415

    real, writes = module.write_atomically, len(parts(FIRST)) + 3
    for cut_at in range(writes):
        room, count = Room(tmp_path / str(cut_at)), iter(range(10_000))

        def cutting(path, data, count=count, cut_at=cut_at):
            if next(count) == cut_at:
                raise SystemExit
            real(path, data)

        monkeypatch.setattr(module, "write_atomically", cutting)
        try:
            room.take(*parts(FIRST))
        except SystemExit:
            (room.folder / ".1.part.leftover").mkdir(parents=True, exist_ok=True)
        monkeypatch.setattr(module, "write_atomically", real)
        room.start()
        room.take(*parts(FIRST))
        assert room.whole[-1] == FIRST
        assert room.names == [WHOLE, OFFER]


def test_a_later_bundle_replaces_an_earlier_one_and_never_the_other_way_round(room):
    early, late = parts(FIRST), parts(SECOND, at_s=1)
    room.take(*early[:5])
    room.take(late[0])
    assert room.names == sorted([OFFER, digest_of_bundle(SECOND)])
    with pytest.raises(ReplayedError):
        room.take(early[5])
    room.take(*late)
    assert room.whole == [SECOND]
    room.start()
    with pytest.raises(ReplayedError):
        room.take(early[0])
    assert room.incoming.waiting().read_bytes() == SECOND


def test_two_bundles_are_never_mixed(room):
    one, two = parts(FIRST), parts(FIRST[:-1] + b"x")
    room.take(one[0])
    with pytest.raises(NotCanonicalError):
        room.take(two[1])
    mixed = msgspec.structs.replace(one[1], content=two[0].content)
    # Signed by the desk or not: what does not give the named bundle is thrown away whole.
    room.take(mixed, *one[2:])
    assert (room.whole, room.missed) == ([], 1)
    assert "do not give what the desk has sent" in room.incoming.fault
    room.take(*one)
    assert (room.whole, room.incoming.fault) == ([FIRST], None)


def test_a_part_for_another_device_is_refused(room):
    with pytest.raises(MisaddressedError):
        room.take(parts(FIRST, device=OTHER.source)[0])
    assert not room.folder.exists()


def test_a_part_that_was_cut_on_the_disk_is_taken_again(room):
    found = parts(FIRST)
    room.take(*found[:4])
    path = room.folder / digest_of_bundle(FIRST) / "2.part"
    path.write_bytes(path.read_bytes()[:100])
    room.start()
    room.take(*(data for data in found if data.part != 2))
    assert room.whole == []
    room.take(found[1])
    assert room.whole == [FIRST]


@pytest.mark.parametrize("content", [b"", b"{", b'{"offered_at":1}', b"\xff" * 9, b"x" * 5000])
def test_a_damaged_note_of_the_offer_means_to_begin_anew(room, content):
    room.take(*parts(FIRST)[:4])
    (room.folder / OFFER).write_bytes(content)
    room.start()
    assert room.incoming.newest is None
    room.take(*parts(FIRST))
    assert room.whole == [FIRST]


def test_a_full_disk_is_said_and_the_parts_are_asked_for_again(room, monkeypatch):
    from device.bundles import parts as module  # noqa: PLC0415

    real = module.write_atomically

    def full(path, data):
        raise StorageError("The disk is full.")

    monkeypatch.setattr(module, "write_atomically", full)
    room.take(*parts(FIRST)[:3])
    assert (room.incoming.fault, room.missed) == ("The disk is full.", 3)
    monkeypatch.setattr(module, "write_atomically", real)
    room.take(*parts(FIRST))
    assert (room.whole, room.incoming.fault) == ([FIRST], None)


def test_what_was_judged_and_erased_does_not_come_back(room):
    room.take(*parts(FIRST))
    assert room.whole == [FIRST]
    room.incoming.erase()
    assert (room.names, room.incoming.waiting()) == ([OFFER], None)
    room.take(*parts(FIRST))
    assert (room.whole, room.names) == ([FIRST], [OFFER])


def test_a_list_that_was_still_coming_when_another_was_erased_comes_again(room):
    room.take(*parts(FIRST)[:6])
    room.incoming.erase()
    assert (room.names, room.incoming.newest) == ([], None)
    room.take(*parts(FIRST))
    assert room.whole == [FIRST]


def test_a_whole_bundle_that_nobody_judged_comes_again(room):
    room.take(*parts(FIRST))
    room.incoming.erase(judged=False)
    assert (room.names, room.incoming.newest) == ([], None)
    room.take(*parts(FIRST))
    assert room.whole == [FIRST, FIRST]


# --- What the desk offers ----------------------------------------


class Clock:
    def __init__(self):
        self.ns = NOW_NS

    def __call__(self):
        return self.ns


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def database(tmp_path):
    one = Database(f"sqlite:///{tmp_path / 'desk.db'}")
    for topics in (TOPICS, OTHER):
        Register(one).add(topics, PrivateKeys.generate().public, utc_text(0))
    yield one
    one.close()


@pytest.fixture
def bundles(database, clock):
    return Bundles(database, clock)


def sent(bundles):
    for job in bundles.due():
        assert bundles.progress(job, job.last)


def reported(database, bundle=None, after_s=0, link="online"):
    status = StatusData(link, "comparing", bundle=bundle)
    with database.writing() as connection:
        note_bundle(connection, TOPICS.source, status, utc_text(NOW_NS + int(after_s * 1e9)))


def test_a_bundle_is_offered_to_devices_and_kept_once(bundles, database):
    bundles.offer([OTHER.source, TOPICS.source], FIRST)
    jobs = bundles.due()
    assert [job.source for job in jobs] == [TOPICS.source, OTHER.source]
    assert {(job.parts, job.done, job.last) for job in jobs} == {(32, 0, 32)}
    assert bundles.archive(jobs[0].bundle) == FIRST
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM bundle_archives").scalar() == 1


def test_a_smaller_bundle_clears_the_numbers_that_the_larger_one_had(bundles):
    bundles.offer([TOPICS.source], bytes(PARTS_STEP * PART_BYTES + 1))
    sent(bundles)
    bundles.offer([TOPICS.source], FIRST)
    (job,) = bundles.due()
    assert (job.parts, job.last) == (32, 64)
    sent(bundles)
    bundles.offer([TOPICS.source], SECOND)
    assert bundles.due()[0].last == 32
    bundles.withdraw([TOPICS.source])
    (job,) = bundles.due()
    assert (job.bundle, job.parts, job.last) == (None, 0, 32)
    sent(bundles)
    assert bundles.due() == []


def test_a_later_offer_has_a_later_time_even_with_the_clock_set_back(bundles, clock):
    bundles.offer([TOPICS.source], FIRST)
    before = bundles.due()[0].offered_at
    clock.ns -= 3600 * 10**9
    bundles.offer([TOPICS.source], SECOND)
    assert bundles.due()[0].offered_at > before


def test_what_was_superseded_does_not_count_as_sent(bundles):
    bundles.offer([TOPICS.source], FIRST)
    (old,) = bundles.due()
    bundles.offer([TOPICS.source], SECOND)
    assert not bundles.progress(old, old.last)
    assert bundles.due()[0].bundle == digest_of_bundle(SECOND)


def test_a_withdrawn_bundle_is_erased_at_the_desk(bundles, database):
    bundles.offer([TOPICS.source, OTHER.source], FIRST)
    bundles.withdraw([TOPICS.source, "urn:passerby:s1:nobody"])
    assert bundles.archive(digest_of_bundle(FIRST)) == FIRST
    bundles.withdraw([OTHER.source])
    assert bundles.archive(digest_of_bundle(FIRST)) is None


def test_a_device_that_has_it_is_sent_nothing_and_the_broker_keeps_nothing(bundles, database):
    bundles.offer([TOPICS.source], FIRST)
    sent(bundles)
    reported(database, digest_of_bundle(SECOND))
    assert bundles.due() == []
    reported(database, digest_of_bundle(FIRST))
    (job,) = bundles.due()
    assert (job.bundle, job.last) == (None, 32)
    assert bundles.listing()[0].delivered_at is not None
    assert bundles.archive(digest_of_bundle(FIRST)) is None


def test_a_device_that_stays_without_it_gets_it_again_ever_more_seldom(bundles, database):
    bundles.offer([TOPICS.source], FIRST)
    sent(bundles)
    reported(database, link="offline")
    now_s = 0
    for wait_s in (600, 1200, 2400):
        reported(database, after_s=now_s)
        reported(database, after_s=now_s + wait_s - 1)
        assert bundles.due() == []
        reported(database, after_s=now_s + wait_s)
        assert len(bundles.due()) == 1
        sent(bundles)
        now_s += wait_s + 1


@pytest.mark.parametrize("state", ["not known", "revoked", "stolen"])
def test_nothing_is_offered_to_a_device_that_must_not_have_it(bundles, database, state):
    register = Register(database)
    if state == "revoked":
        register.revoke(TOPICS, utc_text(NOW_NS))
    elif state == "stolen":
        register.report_stolen(TOPICS, utc_text(NOW_NS))
    source = TOPICS.source if state != "not known" else "urn:passerby:s1:d9"
    with pytest.raises(ConfigurationError, match=state):
        bundles.offer([OTHER.source, source], FIRST)
    assert bundles.due() == [], "nor to the others of that offer"


@pytest.mark.parametrize("what", ["revoke", "report_stolen"])
def test_who_is_revoked_or_stolen_loses_what_the_broker_keeps(bundles, database, what):
    bundles.offer([TOPICS.source], FIRST)
    sent(bundles)
    getattr(Register(database), what)(TOPICS, utc_text(NOW_NS))
    (job,) = bundles.due()
    assert (job.bundle, job.last) == (None, 32)


def test_an_archive_that_is_too_large_is_refused(bundles):
    with pytest.raises(ConfigurationError, match="A bundle has 1 to"):
        bundles.offer([TOPICS.source], bytes(LARGEST_BUNDLE_BYTES + 1))


def test_one_gateway_at_a_time_sends_to_a_device(bundles, clock):
    assert bundles.hold(TOPICS.source, "a")
    assert bundles.hold(TOPICS.source, "a")
    assert not bundles.hold(TOPICS.source, "b")
    assert bundles.hold(OTHER.source, "b")
    clock.ns += 16 * 10**9
    assert bundles.hold(TOPICS.source, "b")

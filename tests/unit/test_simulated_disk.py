"""The simulated disk must be honest: it finds what is unsafe and clears what is safe."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing, suppress

import pytest

from tests.simulators.disk import MODES, CannotSimulate, Disk
from tests.simulators.disk import library as library_module
from tests.simulators.disk.state import SECTOR

DATABASE = "/outbox.sqlite"
WAL = DATABASE + "-wal"
CUTS = 120
"""Per mode; the history before each is of another length."""
CREATION = "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY, body BLOB)"


@pytest.fixture(scope="module", autouse=True)
def reachable():
    try:
        Disk().close()
    except CannotSimulate as reason:
        pytest.skip(str(reason))


@pytest.fixture
def disk():
    with Disk() as disk:
        yield disk
        assert disk.surprises == []


def connect(disk, journal="WAL", synchronous="FULL", checkpoint=12, path=DATABASE):
    connection = sqlite3.connect(disk.uri(path), uri=True, isolation_level=None, timeout=0)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute(f"PRAGMA journal_mode={journal}")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint}")
        connection.execute(CREATION)
    except BaseException:
        connection.close()
        raise
    return connection


def insert(connection, number, size=100):
    connection.execute("INSERT INTO outbox VALUES (?, zeroblob(?))", (number, size))


def insert_many(connection, numbers, size=3000):
    for number in numbers:
        insert(connection, number, size)


def numbers(connection):
    return {number for (number,) in connection.execute("SELECT id FROM outbox")}


class Program:
    """Puts rows into an outbox and takes some out; knows what was committed, and what may be."""

    def __init__(self, rng, **settings):
        self.rng = rng
        self.settings = settings
        self.committed = set()
        self.possible = set()
        self.connection = None

    def run(self, disk, transactions):
        """Until the power fails, if it does. Keeps the connection: it is not closed but dies."""
        with suppress(sqlite3.OperationalError):
            self.connection = connect(disk, **self.settings)
            for _ in range(transactions):
                self._transaction(self.connection)
        return self

    def lose_power(self, disk, mode):
        disk.power_cut(self.rng, mode)
        if self.connection is not None:
            self.connection.close()  # a formality: its process is dead
            self.connection = None

    def _transaction(self, connection):
        new = max(self.possible | self.committed, default=0) + 1
        added = set(range(new, new + self.rng.randint(1, 4)))
        count = self.rng.randint(0, 2)
        removed = set(self.rng.sample(sorted(self.committed), min(count, len(self.committed))))
        self.possible = self.committed - removed | added
        connection.execute("BEGIN")
        for number in added:
            insert(connection, number, self.rng.choice((10, 700, 5000)))
        connection.executemany("DELETE FROM outbox WHERE id = ?", [(n,) for n in removed])
        connection.execute("COMMIT")
        self.committed = self.possible

    def survived(self, disk):
        """Whether what is on the disk is what was committed, and sound."""
        try:
            with closing(connect(disk, **self.settings)) as connection:
                sound = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                return sound and numbers(connection) in (self.committed, self.possible)
        except sqlite3.DatabaseError:
            return False


def losses(mode, cuts=CUTS, transactions=25, **settings):
    """Count the cuts that lost something. Half of them fall anywhere, into commits too."""
    lost = 0
    for seed in range(cuts):
        rng = random.Random(f"{mode} {seed}")
        with Disk() as disk:
            program = Program(rng, **settings)
            if seed % 2:
                disk.cut_after(rng.randint(1, 150))
            program.run(disk, rng.randint(1, transactions))
            program.lose_power(disk, mode)
            lost += not program.survived(disk)
            assert disk.surprises == []
    return lost


# Power


@pytest.mark.parametrize("mode", MODES)
def test_wal_and_full_lose_nothing(mode):
    assert losses(mode) == 0


@pytest.mark.parametrize("mode", MODES)
def test_a_cut_at_every_single_operation_loses_nothing(mode):
    with Disk() as disk:
        program = Program(random.Random(5)).run(disk, 12)
        operations = disk.operations
        program.lose_power(disk, mode)
    assert operations > 50
    for operation in range(1, operations + 1):
        with Disk() as disk:
            disk.cut_after(operation)
            program = Program(random.Random(5)).run(disk, 12)
            assert not disk.powered
            program.lose_power(disk, mode)
            assert program.survived(disk), operation


def test_cuts_during_the_recovery_lose_nothing():
    for seed in range(CUTS):
        rng = random.Random(seed)
        with Disk() as disk:
            program = Program(rng).run(disk, rng.randint(1, 20))
            for _ in range(3):
                program.lose_power(disk, rng.choice(MODES))
                disk.cut_after(rng.randint(1, 8))
                with suppress(sqlite3.OperationalError):
                    connect(disk).close()
            program.lose_power(disk, "some")
            assert program.survived(disk), seed


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("none", {"synchronous": "OFF"}),
        ("some", {"synchronous": "OFF"}),
        ("prefix", {"synchronous": "OFF"}),
        ("none", {"synchronous": "NORMAL"}),
        ("some", {"synchronous": "NORMAL"}),
        ("prefix", {"synchronous": "NORMAL"}),
        # Without half-done changes ("none") a database needs no journal on the disk.
        ("some", {"journal": "MEMORY"}),
        ("prefix", {"journal": "MEMORY"}),
    ],
)
def test_unsafe_settings_are_found_out(mode, settings):
    assert losses(mode, **settings) > 0


def test_a_killed_program_loses_nothing_even_unsynced():
    assert losses("all", synchronous="OFF") == 0


@pytest.mark.parametrize("mode", ["none", "some", "prefix"])
def test_a_rollback_journal_needs_its_deletion_synced(mode):
    # SQLite's own documentation: FULL may undo the last commit, EXTRA may not. EXCLUSIVE locking
    # would not delete the journal.
    assert deletion_losses("EXTRA", mode) == 0
    assert deletion_losses("FULL", mode) > 0


def deletion_losses(synchronous, mode):
    lost = 0
    for seed in range(20):
        with Disk() as disk:
            connection = sqlite3.connect(disk.uri(), uri=True, isolation_level=None)
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(CREATION)
            insert(connection, 1)
            disk.power_cut(random.Random(seed), mode)
            connection.close()
            with closing(sqlite3.connect(disk.uri(), uri=True)) as after:
                try:
                    lost += numbers(after) != {1}
                except sqlite3.OperationalError:  # no such table
                    lost += 1
    return lost


def test_after_the_cut_the_old_process_gets_nothing_and_disturbs_nothing(disk):
    old = connect(disk)
    insert(old, 1)
    disk.power_cut(random.Random(1), "none")
    with closing(connect(disk)) as new:
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            insert(old, 2)
        old.close()
        insert(new, 3)
        assert numbers(new) == {1, 3}


def test_without_power_nothing_works_until_it_returns(disk):
    connection = connect(disk)
    disk.cut_after(1)
    for number in (1, 2):
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            insert(connection, number)
    connection.close()
    with pytest.raises(sqlite3.OperationalError):
        connect(disk)
    disk.power_cut(random.Random(1), "none")
    with closing(connect(disk)) as connection:
        assert numbers(connection) == set()


def test_the_same_seed_cuts_in_the_same_way(disk):
    connection = connect(disk, synchronous="OFF")
    for number in range(50):
        insert(connection, number, 3000)
    for mode in MODES:
        images = [disk.image(random.Random(seed), mode) for seed in (1, 1, 2)]
        assert images[0] == images[1]
    connection.close()


def test_an_image_makes_another_disk(disk):
    with closing(connect(disk)) as connection:
        insert(connection, 1)
        with Disk(disk.image(random.Random(1), "none")) as copy, closing(connect(copy)) as other:
            insert(other, 2)
            assert numbers(other) == {1, 2}
            assert copy.name != disk.name
        assert numbers(connection) == {1}


def test_an_unknown_mode_or_fault_is_refused(disk):
    with pytest.raises(ValueError, match="modes"):
        disk.power_cut(random.Random(1), "gently")
    with pytest.raises(ValueError, match="write"):
        disk.fail("everything")


# What a cut makes of plain files


def after_cut(disk, mode, seeds=600):
    return [disk.image(random.Random(seed), mode).get("/a") for seed in range(seeds)]


def opened(disk, name="/a"):
    return disk.open(name, 0x6 | 0x100)[0]


def test_sectors_tear_each_on_its_own(disk):
    file = opened(disk)
    file.write(0, b"o" * 4 * SECTOR)
    file.sync()
    file.write(0, b"n" * 4 * SECTOR)
    found = set(after_cut(disk, "some"))
    assert len(found) == 2**4
    for data in found:
        for start in range(0, len(data), SECTOR):
            assert len(set(data[start : start + SECTOR])) == 1


def test_a_prefix_keeps_the_order_and_tears_the_last(disk):
    file = opened(disk)
    file.sync()
    file.write(0, b"1" * 2 * SECTOR)
    file.write(2 * SECTOR, b"2" * 2 * SECTOR)
    whole = b"1" * 2 * SECTOR + b"2" * 2 * SECTOR
    expected = {whole[: count * SECTOR] for count in range(5)}
    assert set(after_cut(disk, "prefix")) == expected


def test_a_size_may_come_without_its_data_and_data_without_its_size(disk):
    file = opened(disk)
    file.sync()
    file.write(0, b"x" * SECTOR)
    assert set(after_cut(disk, "some")) == {b"", b"x" * SECTOR, bytes(SECTOR)}


@pytest.mark.parametrize("mode", ["some", "prefix"])
def test_a_truncation_may_be_lost_but_is_never_half_done(disk, mode):
    file = opened(disk)
    file.write(0, b"x" * 3000)
    file.sync()
    file.truncate(600)
    assert set(after_cut(disk, mode)) == {b"x" * 3000, b"x" * 600}


def test_what_follows_a_truncation_needs_it(disk):
    file = opened(disk)
    file.write(0, b"o" * 2 * SECTOR)
    file.sync()
    file.truncate(SECTOR)
    file.write(0, b"n" * 2 * SECTOR)
    found = set(after_cut(disk, "some"))
    assert {len(data) for data in found} == {SECTOR, 2 * SECTOR}
    assert {data[:1] for data in found} == {b"o", b"n"}
    behind = {(data[:1], data[SECTOR:][:1]) for data in found if len(data) > SECTOR}
    # Not truncated: old; truncated: new or nothing, whatever became of the first sector.
    assert behind == {(a, b) for a in (b"o", b"n") for b in (b"o", b"n", b"\0")}


def test_names_are_durable_with_a_sync_and_deletions_with_the_directory(disk):
    file = opened(disk)
    file.write(0, b"x")
    assert set(after_cut(disk, "none")) == {None}
    file.sync()
    disk.delete("/a", sync_directory=False)
    assert disk.files() == {}
    assert set(after_cut(disk, "none")) == {b"x"}
    assert set(after_cut(disk, "some")) == {b"x", None}
    opened(disk, "/b")
    disk.delete("/b", sync_directory=True)
    assert set(after_cut(disk, "some")) == {None}


def test_a_journals_first_sync_makes_all_names_durable(disk):
    opened(disk).sync()
    disk.delete("/a", sync_directory=False)
    disk.open("/a-wal", 0x6 | 0x80000)[0].sync()
    assert set(after_cut(disk, "some")) == {None}
    assert disk.image(random.Random(1), "none") == {"/a-wal": b""}


def test_a_failed_sync_drops_what_it_should_have_written(disk):
    file = opened(disk)
    file.sync()
    file.write(0, b"x")
    disk.fail("sync")
    with pytest.raises(Exception, match=str(sqlite3.SQLITE_IOERR_FSYNC)):
        file.sync()
    file.sync()
    assert disk.files() == {"/a": b"x"}
    assert set(after_cut(disk, "some")) == {b""}


# Faults


def test_a_full_disk_refuses_and_keeps_what_it_has(disk):
    connection = connect(disk)
    insert(connection, 1)
    disk.capacity_bytes = disk.used_bytes + 20_000
    with pytest.raises(sqlite3.OperationalError, match="database or disk is full") as refused:
        insert_many(connection, range(2, 1000))
    assert refused.value.sqlite_errorcode == sqlite3.SQLITE_FULL
    before = numbers(connection)
    assert before >= {1, 2}
    assert disk.used_bytes <= disk.capacity_bytes
    disk.heal()
    insert(connection, 5000)
    disk.power_cut(random.Random(1), "some")
    connection.close()
    with closing(connect(disk)) as connection:
        assert numbers(connection) == before | {5000}


def test_room_is_counted(disk):
    with closing(connect(disk)) as connection:
        for number in range(20):
            insert(connection, number, 9000)
        assert disk.used_bytes == sum(map(len, disk.files().values()))
        connection.execute("DELETE FROM outbox")
        connection.execute("VACUUM")
        assert disk.used_bytes == sum(map(len, disk.files().values()))
    assert set(disk.files()) == {DATABASE}
    assert disk.used_bytes == len(disk.files()[DATABASE])


def test_after_a_reboot_a_read_only_disk_is_read_only(disk):
    with closing(connect(disk)) as connection:
        insert(connection, 1)
        connection.execute("PRAGMA journal_mode=DELETE")
    disk.read_only = True
    with closing(sqlite3.connect(disk.uri(), uri=True, isolation_level=None)) as connection:
        assert numbers(connection) == {1}
        with pytest.raises(sqlite3.OperationalError, match="readonly database"):
            insert(connection, 2)


def test_a_read_only_disk_takes_no_wal_and_no_new_database(disk):
    connect(disk).close()
    disk.read_only = True
    for path in (DATABASE, "/new.sqlite"):
        with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
            connect(disk, path=path)


def test_a_disk_that_becomes_read_only_fails_and_recovers(disk):
    with closing(connect(disk)) as connection:
        insert(connection, 1)
        disk.read_only = True
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            insert(connection, 2)
        assert numbers(connection) == {1}
        disk.heal()
        insert(connection, 3)
        assert numbers(connection) == {1, 3}


@pytest.mark.parametrize(
    ("kind", "code"),
    [("write", sqlite3.SQLITE_IOERR_WRITE), ("sync", sqlite3.SQLITE_IOERR_FSYNC)],
)
def test_an_io_error_refuses_the_commit_and_the_next_one_works(disk, kind, code):
    connection = connect(disk)
    insert(connection, 1)
    disk.fail(kind, on="-wal")
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error") as refused:
        insert(connection, 2)
    assert refused.value.sqlite_errorcode == code
    assert numbers(connection) == {1}
    insert(connection, 3)
    disk.power_cut(random.Random(1), "none")
    connection.close()
    with closing(connect(disk)) as connection:
        assert numbers(connection) == {1, 3}


KINDS = ["write", "sync", "read", "truncate", "delete", "open"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_program_that_dies_of_a_fault_loses_nothing(kind, times):
    for after in range(40):
        rng = random.Random(after)
        with Disk() as disk:
            connect(disk).close()
            disk.fail(kind, after, times)
            program = Program(rng)
            for _ in range(5):
                program.run(disk, 4)
                program.lose_power(disk, rng.choice(MODES))
                # A refused commit may be there or not: look, where no fault disturbs.
                with Disk(disk.files()) as copy:
                    assert program.survived(copy), after
                    with closing(connect(copy)) as connection:
                        program.committed = program.possible = numbers(connection)
            assert disk.surprises == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("times", [1, 3])
def test_a_program_that_goes_on_after_a_fault_loses_nothing(kind, times):
    for after in range(60):
        with Disk() as disk:
            connection = connect(disk, checkpoint=5)
            disk.fail(kind, after, times)
            accepted, refused = set(), set()
            for number in range(40):
                (accepted if try_to_insert(connection, number) else refused).add(number)
            disk.power_cut(random.Random(after), "none" if after % 2 else "some")
            connection.close()
            disk.heal()
            with closing(connect(disk)) as again:
                assert again.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                assert accepted <= numbers(again) <= accepted | refused, after
            assert len(refused) <= times
            assert disk.surprises == []


def try_to_insert(connection, number):
    try:
        insert(connection, number, 1500)
    except sqlite3.OperationalError:
        return False
    return True


def test_a_read_error_is_an_error_and_not_a_loss(disk):
    with closing(connect(disk)) as connection:
        insert(connection, 1)
    disk.fail("read", after=1, times=None)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        connect(disk)
    disk.heal()
    with closing(connect(disk)) as connection:
        assert numbers(connection) == {1}


def test_flipped_bits_are_found_by_the_wal(disk):
    connection = connect(disk, checkpoint=0)
    for number in range(20):
        insert(connection, number, 500)
    disk.power_cut(random.Random(1), "none")
    connection.close()
    for seed in range(20):
        rng = random.Random(seed)
        with Disk(disk.files()) as copy:
            copy.flip(WAL, rng)
            with suppress(sqlite3.DatabaseError), closing(connect(copy)) as after:
                # The log ends where its checksums do: what is left is a beginning.
                assert numbers(after) == set(range(len(numbers(after))))
            assert copy.surprises == []


def test_a_corrupted_database_is_no_database(disk):
    connect(disk).close()
    disk.corrupt(DATABASE, 0, b"Passerby")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(disk)


# Plumbing


def test_two_programs_cannot_have_one_database(disk):
    with closing(connect(disk)) as connection:
        insert(connection, 1)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            connect(disk)
    with closing(connect(disk)) as connection:
        assert numbers(connection) == {1}


def test_disks_are_apart_and_closed_ones_are_gone(disk):
    with Disk() as other:
        connect(other).close()
        assert DATABASE in other.files()
    assert disk.files() == {}
    with pytest.raises(sqlite3.OperationalError, match="no such vfs"):
        connect(other)
    other.close()


def test_a_connection_may_outlive_its_disk():
    with Disk() as disk:
        connection = connect(disk)
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        insert(connection, 1)
    connection.close()
    assert disk.surprises == []


def test_python_ends_well_with_a_connection_still_open():
    program = (
        "import sqlite3\n"
        "from tests.simulators.disk import Disk\n"
        "disk = Disk()\n"
        "connection = sqlite3.connect(disk.uri(), uri=True)\n"
        "connection.execute('CREATE TABLE t (x)')\n"
        "connection.execute('INSERT INTO t VALUES (1)')\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_an_error_in_the_simulator_becomes_a_surprise():
    with Disk() as disk:
        connection = connect(disk)
        disk._write = None
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            insert(connection, 1)
        connection.close()
        assert isinstance(disk.surprises[0], TypeError)


def test_a_hidden_library_is_told_in_a_sentence(monkeypatch):
    monkeypatch.setattr(library_module, "_load", lambda path: None)
    library_module.find_library.cache_clear()
    try:
        with pytest.raises(CannotSimulate, match="hides its symbols"):
            Disk()
    finally:
        library_module.find_library.cache_clear()

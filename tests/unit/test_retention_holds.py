"""Evidential holds: what they need, how long they last, and that they are the only exception."""

import sqlite3
import threading
import time

import pytest
from sqlalchemy import insert, select

from device.errors import ConfigurationError, PasserbyError, StorageError
from device.protocol.identifiers import utc_text
from tools.desk.gateway.database import Database
from tools.desk.gateway.retention import erase_old
from tools.desk.gateway.tables import alerts, devices, emissions, holds
from tools.desk.retention.holds import Holds, Terms, check_terms

NOW_NS = 1_800_000_000_000_000_000
HOUR_NS = 3600 * 10**9
DAY_NS = 24 * HOUR_NS
LONGEST_H = 180 * 24.0
SOURCE = "urn:passerby:s1:d1"
ONE = "00000000-0000-7000-8000-000000000001"
OTHER = "00000000-0000-7000-8000-000000000002"


@pytest.fixture
def database(url, tmp_path):
    """The desk's real database, with two alerts that came now."""
    one = Database(url or f"sqlite:///{tmp_path / 'desk.db'}")
    with one.writing() as connection:
        connection.execute(
            insert(devices).values(source=SOURCE, public_keys="-", added_at=utc_text(0))
        )
    for identifier in (ONE, OTHER):
        arrive(one, identifier)
    yield one
    one.close()


def arrive(database, identifier, source=SOURCE, kind="alert"):
    row = {
        "source": source,
        "id": identifier,
        "kind": kind,
        "digest": "ab" * 32,
        "received_at": utc_text(NOW_NS),
        "delayed": False,
        "event": f"a face of {identifier}",
    }
    with database.writing() as connection:
        connection.execute(insert(alerts).values(row))


def add(database, alert=ONE, *, case="2026-123", approver="Inspector 7", days=30, **more):
    return Holds(database).add(
        alert,
        Terms(case, approver, NOW_NS + days * DAY_NS),
        now_ns=NOW_NS,
        longest_h=LONGEST_H,
        **more,
    )


def erase(database, now_ns):
    return erase_old(database, now_ns, 24.0, [])


def left(database):
    with database.reading() as connection:
        rows = connection.execute(select(alerts.c.id).where(alerts.c.event.is_not(None)))
        return sorted(rows.scalars())


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"case_number": ""}, "number of a case"),
        ({"case_number": "   "}, "number of a case"),
        ({"case_number": "because"}, "number of a case"),
        ({"case_number": "1\n2 3"}, "number of a case"),
        ({"approver": ""}, "who approved"),
        ({"approver": "  "}, "who approved"),
        ({"approver": "7"}, "who approved"),
        ({"until_ns": NOW_NS}, "still to come"),
        ({"until_ns": NOW_NS - DAY_NS}, "still to come"),
        ({"until_ns": NOW_NS + 180 * DAY_NS + 1}, "180 days at most"),
    ],
)
def test_a_hold_needs_a_case_number_an_approver_and_an_end_within_the_maximum(wrong, sentence):
    good = {
        "case_number": "2026-123",
        "approver": "Inspector 7",
        "until_ns": NOW_NS + 180 * DAY_NS,
    }
    check_terms(Terms(**good), NOW_NS, LONGEST_H)
    with pytest.raises(ConfigurationError, match=sentence):
        check_terms(Terms(**(good | wrong)), NOW_NS, LONGEST_H)


@pytest.mark.parametrize("wrong", [{"case": ""}, {"approver": ""}, {"days": 0}, {"days": 181}])
def test_nothing_is_held_when_something_is_missing(database, wrong):
    with pytest.raises(ConfigurationError):
        add(database, **wrong)
    assert Holds(database).listing() == []
    assert erase(database, NOW_NS + 2 * DAY_NS) == 2


def test_what_is_held_stays_and_everything_else_is_erased_in_time(database):
    add(database, ONE)
    assert erase(database, NOW_NS + 25 * HOUR_NS) == 1
    assert left(database) == [ONE]
    assert erase(database, NOW_NS + 29 * DAY_NS) == 0
    assert left(database) == [ONE]


def test_a_hold_ends_by_itself_and_then_the_alert_is_erased(database):
    hold = add(database, ONE, days=30)
    assert erase(database, NOW_NS + 30 * DAY_NS) == 2
    assert left(database) == []
    (one,) = Holds(database).listing()
    assert (one.number, one.kept, one.state(utc_text(NOW_NS + 30 * DAY_NS))) == (
        hold.number,
        False,
        "ended",
    )
    with database.reading() as connection:
        assert connection.execute(select(holds.c.erased_at)).scalar() == utc_text(
            NOW_NS + 30 * DAY_NS
        )


def test_a_released_hold_holds_nothing(database):
    hold = add(database, ONE)
    released = Holds(database).release(hold.number, now_ns=NOW_NS + DAY_NS)
    assert released.state(utc_text(NOW_NS + DAY_NS)) == "released"
    assert erase(database, NOW_NS + 2 * DAY_NS) == 2
    with pytest.raises(ConfigurationError, match="not in force"):
        Holds(database).release(hold.number, now_ns=NOW_NS + DAY_NS)


def test_releasing_one_hold_leaves_the_other_case_its_evidence(database):
    first = add(database, ONE, case="2026-1")
    add(database, ONE, case="2026-2", days=10)
    Holds(database).release(first.number, now_ns=NOW_NS)
    erase(database, NOW_NS + 5 * DAY_NS)
    assert left(database) == [ONE]
    erase(database, NOW_NS + 11 * DAY_NS)
    assert left(database) == []


def test_a_hold_shorter_than_the_ordinary_time_shortens_nothing(database):
    Holds(database).add(
        ONE, Terms("2026-1", "Inspector 7", NOW_NS + HOUR_NS), now_ns=NOW_NS, longest_h=LONGEST_H
    )
    assert erase(database, NOW_NS + 2 * HOUR_NS) == 0
    assert left(database) == [ONE, OTHER]


def test_what_was_erased_or_never_came_cannot_be_held(database):
    erase(database, NOW_NS + 2 * DAY_NS)
    with pytest.raises(ConfigurationError, match="nothing left to hold"):
        add(database, ONE)
    with pytest.raises(ConfigurationError, match="no alert"):
        add(database, "00000000-0000-7000-8000-000000000009")


def test_a_record_is_no_alert_and_cannot_be_held(database):
    record = "00000000-0000-7000-8000-000000000003"
    arrive(database, record, kind="record")
    with pytest.raises(ConfigurationError, match="no alert"):
        add(database, record)


def test_two_devices_with_one_id_are_told_apart(database):
    with database.writing() as connection:
        connection.execute(
            insert(devices).values(source="urn:passerby:s1:d2", public_keys="-", added_at="")
        )
    arrive(database, ONE, "urn:passerby:s1:d2")
    with pytest.raises(ConfigurationError, match="--device"):
        add(database, ONE)
    assert add(database, ONE, source="urn:passerby:s1:d2").source == "urn:passerby:s1:d2"


def test_a_held_alert_is_not_emitted_again(database):
    add(database, ONE)
    with database.writing() as connection:
        number = connection.execute(select(alerts.c.number).where(alerts.c.id == ONE)).scalar()
        connection.execute(insert(emissions).values(alert=number, target="stdout", emitted_at=""))
    erase(database, NOW_NS + 2 * DAY_NS)
    with database.reading() as connection:
        assert connection.execute(select(emissions.c.alert)).scalars().all() == [number]


def test_nothing_is_held_or_released_that_the_journal_did_not_take(database):
    def full(hold):
        raise StorageError("the disk is full")

    with pytest.raises(StorageError):
        add(database, ONE, note=full)
    assert Holds(database).listing() == []
    hold = add(database, ONE)
    with pytest.raises(StorageError):
        Holds(database).release(hold.number, now_ns=NOW_NS, note=full)
    assert Holds(database).listing()[0].released_at is None


def test_a_hold_that_comes_while_alerts_are_erased_holds_or_says_that_it_cannot(database):
    """Whoever says "held" must have the evidence, whichever transaction comes first."""
    for number in range(1, 30):
        identifier = f"00000000-0000-7000-8000-{number:012x}"
        if number > 2:
            arrive(database, identifier)
        outcomes = []

        def hold(identifier=identifier, outcomes=outcomes):
            try:
                outcomes.append(bool(add(database, identifier)))
            except PasserbyError:
                outcomes.append(False)

        threads = [
            threading.Thread(target=hold),
            threading.Thread(target=erase, args=(database, NOW_NS + 2 * DAY_NS)),
        ]
        for thread in threads if number % 2 else reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        kept = identifier in left(database)
        assert outcomes == [kept]


def test_a_hold_that_locks_first_is_seen_by_the_erasing_that_waits_for_it(database):
    if database.is_sqlite:
        pytest.skip("SQLite has one writer at a time")
    started = threading.Event()

    def slowly(hold):
        eraser.start()
        started.wait()
        time.sleep(0.5)

    def erasing():
        started.set()
        erase(database, NOW_NS + 2 * DAY_NS)

    eraser = threading.Thread(target=erasing)
    add(database, ONE, note=slowly)
    eraser.join()
    assert left(database) == [ONE]


def test_a_desk_from_before_holds_gets_the_table(tmp_path):
    path = tmp_path / "desk.db"
    Database(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as old:
        old.execute("DROP TABLE holds")
    old.close()
    again = Database(f"sqlite:///{path}")
    assert Holds(again).listing() == []
    again.close()

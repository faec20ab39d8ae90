"""Counts reconcile, alerts against counted searches, for every run; unknown is not 0 (R42)."""

import pytest

from device.audit import AuditLog, Ledger, Tally
from device.audit.reading import Snapshot
from device.audit.record import totals_of
from device.audit.verify import verify
from device.protocol.alert import ListVersion
from tests.unit.test_audit_verify import NOON_NS, OURS, SECOND_NS

LIST = ListVersion("list-1", 3)
OTHER = ListVersion("list-2", 1)


class Device:
    """Searches, counts and logs as the appliance does, with clocks that stand still."""

    def __init__(self, folder):
        self.path = folder / "audit.jsonl"
        self.log = AuditLog(self.path, OURS)
        self.now_s = 0.0
        self.ledger = Ledger()
        self.tally = None

    def note(self, event, **details):
        self.log.write(NOON_NS + int(self.now_s * SECOND_NS), event, details)

    def starts(self, listed=LIST, purpose="a lawful purpose"):
        self.ledger = Ledger()
        self.tally = Tally(
            self.ledger, self.note, purpose=purpose, watchlist=listed, now_s=lambda: self.now_s
        )
        self.note("start", watchlist=listed.id, version=listed.version, purpose=purpose)

    def sees(self, faces, seconds=1.0):
        """One face a second; every face is compared once."""
        for _ in range(faces):
            self.now_s += seconds
            self.ledger.faces += 1
            self.ledger.compared += 1
            self.ledger.frame_ended(1, wiped=True)
            self.tally.step()

    def alerts(self, *, logged=True):
        self.ledger.alerts += 1
        if logged:
            self.note("alert", alert=f"a-{self.ledger.alerts}", reference="r-1")

    def attacked(self):
        self.ledger.attacks += 1
        self.note("presentation attack judged")

    def stops(self):
        self.tally.close()
        self.note("stop")

    def report(self):
        return verify(Snapshot.of(self.path), OURS.public_key())

    def searched(self):
        lines = (line for _, line in Snapshot.of(self.path).lines())
        return [line for line in lines if line.event == "searched"]

    def totals(self, listed=LIST, *, running=False):
        return totals_of(self.path, listed.id, running=running)


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def texts(findings):
    return [finding.text for finding in findings]


# --- Tally ----------------------------------------------------------------------------------------


def test_a_search_is_written_with_its_purpose_and_list_once_a_minute(device):
    device.starts()
    device.sees(150)
    first, second = device.searched()
    assert first.details == {
        "purpose": "a lawful purpose",
        "watchlist": "list-1",
        "version": 3,
        "frames": 60,
        "faces": 60,
        "appearances": 60,
        "compared": 60,
        "destroyed": 60,
        "attacks": 0,
        "alerts": 0,
        "faults": 0,
        "late": 0,
    }
    assert second.details["faces"] == 60
    device.stops()
    assert [line.details["faces"] for line in device.searched()] == [60, 60, 30]


def test_nothing_is_written_while_nothing_is_counted(device):
    device.starts()
    for _ in range(10):
        device.now_s += 100
        device.tally.step()
    device.stops()
    assert device.searched() == []


def test_what_was_counted_before_an_arming_is_not_counted_again(device):
    device.starts()
    device.sees(5)
    device.tally.close()
    device.tally = Tally(device.ledger, device.note, purpose="another", watchlist=LIST)
    device.sees(2, seconds=0)
    device.stops()
    assert [line.details["faces"] for line in device.searched()] == [5, 2]


# --- Reconciliation -------------------------------------------------------------------------------


def test_a_run_whose_counts_agree_is_no_finding_and_adds_up(device):
    device.starts()
    device.sees(70)
    device.alerts()
    device.attacked()
    device.sees(5)
    device.stops()
    report = device.report()
    assert report.ok
    totals = report.totals
    assert (totals.starts, totals.stops, totals.alerts, totals.attacks) == (1, 1, 1, 1)
    searches = totals.searches["a lawful purpose"]
    assert (searches.faces, searches.compared, searches.alerts, searches.attacks) == (75, 75, 1, 1)
    assert totals.unknown == []


def test_an_alert_that_was_counted_and_not_logged_is_a_finding(device):
    device.starts()
    device.alerts()
    device.alerts(logged=False)
    device.stops()
    assert texts(device.report().findings) == [
        "This run has 1 lines of alerts, and its searches counted 2."
    ]


def test_an_alert_that_no_search_counted_is_a_finding(device):
    device.starts()
    device.alerts()
    device.ledger.alerts = 0
    device.stops()
    assert "This run has 1 lines of alerts" in texts(device.report().findings)[0]


def test_a_judged_attack_that_no_search_counted_is_a_finding(device):
    device.starts()
    device.attacked()
    device.ledger.attacks = 0
    device.stops()
    assert "1 lines of judged attacks" in texts(device.report().findings)[0]


@pytest.mark.parametrize("event", ["alert", "presentation attack judged"])
def test_what_happens_outside_any_run_is_a_finding(device, event):
    details = {"alert": "a", "reference": "r"} if event == "alert" else {}
    device.note(event, **details)
    assert texts(device.report().findings) == [
        f'"{event}" stands outside any run of the appliance.'
    ]


def test_a_stop_without_a_start_is_a_finding(device):
    device.note("stop")
    assert texts(device.report().findings) == ["A stop without a start."]


def test_a_run_that_ended_without_a_goodbye_has_unknown_counts_and_says_since_when(device):
    device.starts()
    device.sees(70)
    device.alerts()
    device.now_s += 100
    device.starts()
    device.stops()
    report = device.report()
    assert report.ok
    assert report.totals.broken_off == 1
    assert report.totals.unknown == ["2027-01-15T08:01:00.000Z to 2027-01-15T08:02:50.000Z"]
    (text,) = texts(report.notes)
    assert "without a goodbye: counts since 2027-01-15T08:01:00.000Z are unknown" in text


def test_a_broken_run_may_lack_counts_and_never_lines(device):
    device.starts()
    device.alerts(logged=False)
    device.sees(61)
    device.starts()
    device.stops()
    assert texts(device.report().findings) == [
        "The run before counted 1 alerts, and has only 0 lines of alerts."
    ]


def test_a_run_that_compared_nothing_when_it_broke_off_has_no_unknown_counts(device):
    device.note("start")
    device.note("start")
    device.note("stop")
    report = device.report()
    assert (report.totals.broken_off, report.totals.unknown) == (1, [])


def test_a_run_that_goes_on_is_a_note(device):
    device.starts()
    device.sees(10)
    report = device.report()
    assert report.ok
    assert "A run goes on, or ended without a goodbye" in texts(report.notes)[0]


def test_every_file_that_was_searched_counts_one_under_its_purpose(device):
    for purpose, files in (("theft", 3), ("fraud", 2)):
        for number in range(files):
            case = {"case": "c", "watchlist": "l", "file": f"{number}.jpg"}
            device.note("search", purpose=purpose, **case)
    searches = device.report().totals.searches
    assert {purpose: counts.files for purpose, counts in searches.items()} == {
        "theft": 3,
        "fraud": 2,
    }


def test_any_number_of_purposes_is_added_up_in_bounded_memory(device, monkeypatch):
    monkeypatch.setattr("device.audit.totals._MOST_PURPOSES", 2)
    for number in range(5):
        case = {"case": "c", "watchlist": "l", "file": "f.jpg"}
        device.note("search", purpose=f"p-{number}", **case)
    searches = device.report().totals.searches
    assert {purpose: counts.files for purpose, counts in searches.items()} == {
        "p-0": 1,
        "p-1": 1,
        "(further purposes)": 3,
    }


def test_every_kind_of_event_is_counted(device):
    device.note("bundle installed", version=1)
    device.note("unlocked", deployment="d", how="remote")
    device.note("list loaded", watchlist="list-1", version=3)
    order = {"order": "o", "number": "1"}
    device.note("order obeyed", action="suspend", reason="drill", **order)
    device.note("adjudication received", alert="a", outcome="rejected", **order)
    device.note("export", from_at="all", to_at="all")
    device.log.checkpoint(NOON_NS)
    totals = device.report().totals
    counted = (totals.installs, totals.unlocks, totals.loads, totals.orders)
    assert (*counted, totals.adjudications, totals.exports, totals.checkpoints) == (1,) * 7


def test_faces_that_were_not_seen_to_be_destroyed_are_a_note(device):
    device.starts()
    device.sees(3)
    device.ledger.frame_ended(2, wiped=False)
    device.stops()
    assert "Of 2 appearances it was not seen that they were destroyed." in texts(
        device.report().notes
    )


# --- The record of a deployment -------------------------------------------------------------------


def test_a_deployment_is_added_up_over_its_restarts(device):
    for _ in range(3):
        device.starts()
        device.sees(70)
        device.alerts()
        device.attacked()
        device.stops()
    totals = device.totals()
    assert (totals.faces, totals.compared, totals.alerts, totals.attacks) == (210, 210, 3, 3)
    assert totals.from_at == "2027-01-15T08:00:00.000Z"
    assert totals.until_at == "2027-01-15T08:03:30.000Z"
    assert totals.lost_since == []


def test_another_list_is_not_added(device):
    for listed, faces in ((LIST, 5), (OTHER, 7)):
        device.starts(listed)
        device.sees(faces)
        device.alerts()
        device.stops()
    assert (device.totals().faces, device.totals().alerts) == (5, 1)
    assert (device.totals(OTHER).faces, device.totals(OTHER).alerts) == (7, 1)


def test_after_a_crash_counts_are_unknown_and_what_has_lines_is_known(device):
    device.starts()
    device.sees(70)
    device.alerts()
    device.starts()
    device.sees(5)
    device.stops()
    totals = device.totals()
    assert (totals.faces, totals.compared, totals.frames) == ("unknown",) * 3
    assert (totals.alerts, totals.attacks) == (1, 0)
    assert totals.at_least["faces"] == 65
    assert totals.lost_since == ["2027-01-15T08:01:00.000Z"]


def test_a_crash_with_another_list_takes_nothing_from_this_one(device):
    device.starts()
    device.sees(5)
    device.stops()
    device.starts(OTHER)
    device.sees(5)
    device.starts()
    device.stops()
    assert device.totals().faces == 5
    assert device.totals(OTHER).faces == "unknown"


def test_the_newest_run_is_known_to_the_appliance_that_runs_it_and_to_nobody_after_a_crash(device):
    device.starts()
    device.sees(5)
    device.tally.close()
    assert device.totals(running=True).faces == 5
    assert device.totals(running=False).faces == "unknown"


def test_a_crash_while_nothing_was_armed_loses_no_count(device):
    device.note("start")
    device.note("list loaded", watchlist=LIST.id, version=LIST.version)
    device.note("armed", watchlist=LIST.id, version=LIST.version, mode="silent")
    device.tally = Tally(
        device.ledger, device.note, purpose="p", watchlist=LIST, now_s=lambda: device.now_s
    )
    device.sees(5)
    device.alerts()
    device.tally.close()
    device.note("disarmed")
    device.note("start")
    device.note("stop")
    assert (device.totals().faces, device.totals().alerts) == (5, 1)
    assert device.report().ok


def test_a_list_that_no_line_tells_of_has_unknown_counts(device):
    device.note("start")
    device.note("stop")
    totals = device.totals()
    assert (totals.faces, totals.alerts, totals.from_at) == ("unknown", "unknown", None)


def test_a_log_that_was_damaged_knows_nothing(device):
    device.starts()
    device.sees(5)
    device.stops()
    device.path.with_suffix(".head").unlink()
    device.starts()
    device.stops()
    assert (device.totals().faces, device.totals().alerts) == ("unknown", "unknown")

"""Whole lives of a device with a signed list: waiting room, sessions, ends; the real rooms wired.

Only what a test cannot have is a stand-in: eye, clocks, broker (`tests.simulators.charge`).
"""

from dataclasses import replace

import msgspec
import pytest

from device.errors import BrokerError, CameraError, StorageError
from device.protocol.alert import ListVersion
from device.protocol.authorisation import Retention, StopRule
from device.protocol.identifiers import utc_text
from tests.simulators.charge import (
    ENDS_NS,
    EVALUATED,
    HOUR,
    HUE,
    OTHER,
    PASSER_BY,
    REFERENCE,
    Killed,
    S,
    Street,
    World,
    alerting,
    authorised,
)
from tests.simulators.repository import DAY_NS, NOW_NS
from tests.simulators.street import Person

AT_ONCE = Retention(watchlist_h=0.0)


@pytest.fixture
def world(tmp_path, monkeypatch):
    def make(authorisation=None, **options):
        one = World(tmp_path, monkeypatch, authorisation=authorisation, **options)
        one.install()
        return one

    return make


def wiped(gallery):
    """Whether nothing of a list is left in memory: no rows, no rotations."""
    session = gallery._transformation
    return session.buffer.wiped and not (gallery.matrix.any() or session.rotations.any())


class Spy:
    """The galleries that a device has opened."""

    def __init__(self, device):
        self.galleries = []
        opened = device.custody.open

        def spying(key):
            done = opened(key)
            if done:
                self.galleries.append(device.custody.gallery)
                assert device.custody.gallery.matrix.any()
            return done

        device.custody.open = spying


# --- what leaves ---


def test_in_silent_mode_a_candidate_is_noted_and_nothing_is_sent(world):
    one = world()
    device = one.boot()
    device.serve(Street())
    assert device.wire.alerts == []
    noted = dict(one.lines())["alert"]
    assert noted["reference"] == REFERENCE
    assert noted["sent"] == "no: silent mode"
    assert dict(one.lines())["armed"]["mode"] == "silent"


def test_in_alerting_mode_a_candidate_is_sent(world):
    one = world(alerting())
    device = one.boot()
    device.serve(Street())
    (alert,) = device.wire.alerts
    assert alert.data.reference_id == REFERENCE
    assert alert.data.threshold_id == EVALUATED.threshold_id
    assert alert.data.watchlist == ListVersion("list-1", 1)
    assert dict(one.lines())["armed"]["mode"] == "alerting"
    assert {s.mode for s in device.wire.statuses if s.state == "comparing"} == {"alerting"}


def test_somebody_who_is_not_on_the_list_leaves_no_alert(world):
    one = world(alerting())
    device = one.boot()
    device.serve(Street([Person(150, x=100, speed=20)]))
    assert device.wire.alerts == []
    assert dict(one.lines())["searched"]["faces"] == 1


def test_a_session_is_told_in_the_log_from_key_to_wiping(world):
    one = world()
    one.boot().serve(Street())
    told = ["start", "unlocked", "list loaded", "armed", "alert", "searched", "list wiped"]
    assert one.events() == [*told, "disarmed", "stop"]


def test_the_manifest_is_written_before_the_first_frame_is_taken(world):
    one = world()
    found = []
    one.boot().serve(Street(at={0: lambda: found.append(one.manifest())}))
    assert {line["reference_id"] for line in found[0]["listings"]} == {REFERENCE, OTHER}


# --- no camera while not armed ---


def test_no_camera_is_opened_while_the_window_is_shut(world):
    one = world()
    one.clocks.pass_by(-2 * HOUR)
    device, street = one.boot(), Street()
    device.serve(street, looks=4)
    assert street.opened == 0
    assert one.streets == [street]
    assert "armed" not in one.events()


def test_a_suspension_ends_the_session_and_a_resume_begins_another(world):
    one = world(unlock="remote")
    device = one.boot()
    spy = Spy(device)
    streets = [
        Street(frames=400, at={20: lambda: device.obey(one.order("suspend"))}),
        Street(frames=30),
    ]
    shut = []

    def on_look(row, verdict):
        if device.wire.asked and verdict.state == "ready" and row % 2:
            device.inbox.unlocks.put(device.answer())
        if verdict.reasons and "suspended" in verdict.reasons[0]:
            shut.append((wiped(spy.galleries[0]), device.custody.gallery, device.custody.eye))
            assert streets[0].closed
            device.obey(one.order("resume"))

    device.serve(*streets, looks=8, on_look=on_look)
    assert shut == [(True, None, None)]
    assert streets[0].given[-1].number < 399
    assert one.events().count("unlocked") == 2
    assert one.events().count("armed") == 2
    assert len(spy.galleries) == 2
    assert wiped(spy.galleries[1])
    reasons = [told["reason"] for event, told in one.lines() if event == "disarmed"]
    assert "suspended" in reasons[0]


def test_nothing_is_compared_after_a_suspension(world):
    one = world(alerting())
    device = one.boot()
    people = [Person(HUE, x=100, until_s=-1)]
    late = Person(HUE, x=100)

    def suspend():
        device.obey(one.order("suspend"))
        people[:] = [late]

    device.serve(Street(people, frames=200, at={10: suspend}), looks=3)
    assert device.wire.alerts == []


def test_a_revoked_reference_never_matches_again(world):
    one = world(alerting())
    device = one.boot()
    device.obey(one.order("revoke", REFERENCE))
    device.serve(Street(PASSER_BY))
    assert device.wire.alerts == []
    again = one.boot()
    again.serve(Street(PASSER_BY))
    assert again.wire.alerts == []
    last = one.boot()
    last.serve(Street([Person(90, x=100, speed=20)]))
    assert [alert.data.reference_id for alert in last.wire.alerts] == [OTHER]
    until = {line["reference_id"]: line["until_at"] for line in one.manifest()["listings"]}
    assert until[REFERENCE] != "unknown"
    assert until[OTHER] == "unknown"


def test_a_revocation_in_the_middle_of_a_session_takes_effect_there(world):
    one = world(alerting())
    device = one.boot()
    people = [Person(90, x=500, y=10, until_s=-1)]

    def revoke():
        device.obey(one.order("revoke", REFERENCE))

    def come():
        people[:] = PASSER_BY

    device.serve(Street(people, frames=120, at={10: revoke, 40: come}))
    assert device.wire.alerts == []
    assert dict(one.lines())["searched"]["faces"] >= 1


# --- the end ---


def end_of_window(one):
    return lambda: one.clocks.pass_by(ENDS_NS - one.clocks.wall_ns)


def test_when_the_window_ends_the_session_ends_and_the_list_is_erased(world):
    one = world(alerting(retention=AT_ONCE))
    first = one.boot()
    first.serve(Street())
    device = one.boot()
    spy = Spy(device)
    street = Street(frames=400, at={40: end_of_window(one)})
    device.serve(street, looks=2)
    assert street.given[-1].number < 399
    assert wiped(spy.galleries[0])
    assert not one.holds_a_list()
    events = one.events()
    assert events[events.index("erased") - 1] == "disarmed"
    (record,) = one.records
    assert record.data.watchlist == ListVersion("list-1", 1)
    assert record.data.list_size == 2
    assert record.data.alerts == 2
    assert record.data.faces == 2
    assert one.manifest()["erased_at"] == utc_text(one.clocks.wall_ns)
    one.clocks.wall_ns = NOW_NS
    with pytest.raises(Exception, match=r"ended|erased"):
        one.install()


def test_the_order_to_end_is_answered_with_one_record(world):
    one = world(alerting())
    device = one.boot()
    device.serve(Street(frames=400, at={40: lambda: device.obey(one.order("end"))}), looks=3)
    assert not one.holds_a_list()
    (record,) = one.records
    assert record.data.alerts == 1
    assert record.data.list_size == 2
    again = one.boot()
    again.serve(Street(), looks=3)
    assert len(one.records) == 1


def test_killed_after_any_line_of_a_life_with_a_session_it_converges(tmp_path, monkeypatch):
    for count in range(1, 40):
        (tmp_path / str(count)).mkdir()
        one = World(tmp_path / str(count), monkeypatch, authorisation=authorised(retention=AT_ONCE))
        one.install()
        try:
            _life(one, one.boot(kill_after=count))
            break
        except Killed as killed:
            where = f"{count}: {killed}"
        _life(one, one.boot())
        assert not one.holds_a_list(), where
        assert one.manifest()["erased_at"] != "unknown", where
        until = {line["reference_id"]: line["until_at"] for line in one.manifest()["listings"]}
        assert "unknown" not in until.values(), where
        named = {record.data.watchlist for record in one.records}
        assert named == {ListVersion("list-1", 1)}, where
        assert not (one.state / "erasing.json").exists(), where
        assert one.boot().obedience.standing.record_owed is False, where
        with pytest.raises(Exception, match=r"ended|erased"):
            one.install(NOW_NS)
    assert count > 12


def _life(one, device):
    def revoke():
        if not one.sequence:
            device.obey(one.order("revoke", REFERENCE))

    device.serve(
        Street(frames=300, at={20: revoke, 60: end_of_window(one)}), Street(frames=30), looks=2
    )


# --- another bundle during a session ---


def test_a_new_bundle_ends_the_session_and_is_watched_with(world):
    one = world(alerting())
    one.publish(alerting(version=2, watchlist=ListVersion("list-1", 2)), hues={OTHER: 90})
    device = one.boot()
    spy = Spy(device)
    device.serve(
        Street(frames=400, at={40: one.install}),
        Street([Person(90, x=100, speed=20)]),
        looks=4,
    )
    assert [len(gallery) for gallery in spy.galleries] == [2, 1]
    assert all(map(wiped, spy.galleries))
    assert [a.data.reference_id for a in device.wire.alerts] == [REFERENCE, OTHER]
    assert one.manifest()["reason"] == "Another list took its place."
    assert one.manifest(2)["erased_at"] == "unknown"


def test_a_bundle_in_parts_is_put_together_during_a_session(world):
    one = world(alerting())
    one.publish(alerting(version=2, watchlist=ListVersion("list-1", 2)), hues={OTHER: 90})
    device = one.boot()
    spy = Spy(device)

    def come():
        for part in one.parts():
            device.inbox.parts.put(part)

    device.serve(Street(frames=400, at={20: come}), Street(frames=10), looks=4)
    assert [gallery.version for gallery in spy.galleries] == [1, 2]
    assert wiped(spy.galleries[0])
    assert "bundle installed" in one.events()
    assert not (one.state / "bundle/incoming/bundle.tar").exists()


def test_a_refused_bundle_leaves_the_session_alone_and_is_told(world):
    one = world(alerting())
    device = one.boot()
    spy = Spy(device)

    def come():
        for part in one.parts(spoilt=True):
            device.inbox.parts.put(part)

    device.serve(Street(frames=120, at={20: come}))
    assert len(spy.galleries) == 1
    assert one.events().count("armed") == 1
    assert "bundle refused" in one.events()
    told = [s for s in device.wire.statuses if s.state == "comparing" and s.reasons]
    assert "The bundle that the desk sent is refused." in told[-1].reasons[0]


# --- the stop rule ---


def test_false_alerts_suspend_the_device_and_only_a_resume_lifts_it(world):
    one = world(alerting(stop_rule=StopRule(authorised_fpir=0.001, confidence=0.95)))
    device = one.boot()
    spy = Spy(device)

    def judged():
        device.obey(*(one.found(alert.id) for alert in device.wire.alerts))

    street = Street(frames=400, at={60: judged})
    service = device.serve(street, looks=3)
    assert street.given[-1].number < 399
    assert "suspended itself" in service.verdicts[-1].reasons[0]
    assert wiped(spy.galleries[0])
    assert "suspended" in one.events()
    again = one.boot()
    verdict = again.live(3)
    assert verdict.state == "waiting"
    assert "suspended itself" in verdict.reasons[0]
    again.obey(one.order("resume"))
    assert again.live(2).state == "armed"


@pytest.mark.parametrize("damage", ["removed", "damaged"])
def test_with_its_count_of_faces_lost_any_false_alert_stops_the_device(world, damage):
    one = world(alerting())
    crowd = [Person(HUE, x=100, speed=20)]
    device = one.boot()
    device.serve(Street(crowd))
    kept = one.state / "exposure.json"
    counts = msgspec.json.decode(kept.read_bytes())
    kept.write_bytes(msgspec.json.encode(counts | {"faces": 5_000_000}))
    device = one.boot()
    device.obey(one.found(one_alert(one)))
    assert device.live(2).state == "armed"
    device.charge.leave()
    if damage == "removed":
        kept.unlink()
    else:
        kept.write_bytes(b"{")
    verdict = one.boot().live(2)
    assert verdict.state == "waiting"
    assert "suspended itself" in verdict.reasons[0]


def test_faces_count_for_the_stop_rule_while_they_are_seen(world):
    one = world(alerting())
    device, seen = one.boot(), []
    device.serve(
        Street(frames=80, at={70: lambda: seen.append(device.charge._exposures._base.faces)})
    )
    assert seen == [1]


def one_alert(one):
    return next(told["alert"] for event, told in one.lines() if event == "alert")


# --- faults ---


def test_a_disk_that_fails_during_a_session_stops_comparing_until_it_works(world, monkeypatch):
    one = world(alerting())
    device = one.boot()
    device.notebook._now_s = lambda: device.clock_s
    write = device.notebook._audit.write
    broken = []

    def failing(*arguments):
        if broken:
            raise StorageError("The disk is full.")
        return write(*arguments)

    device.notebook._audit.write = failing
    people = [Person(HUE, x=500, until_s=-1)]

    def break_disk():
        broken.append(True)
        device.notebook.note("export", from_at="a", to_at="b")
        people[:] = [Person(HUE, x=100)]

    def mend():
        broken.clear()
        device.clock_s += 60
        found.append(len(device.wire.alerts))

    found = []
    device.serve(Street(people, frames=300, at={20: break_disk, 100: mend}))
    assert found == [0]
    assert len(device.wire.alerts) == 1
    assert one.events().count("armed") == 1
    faulty = [s.reasons for s in device.wire.statuses if s.state == "not comparing"]
    assert ["The disk is full."] in faulty


def test_a_camera_that_is_unplugged_does_not_end_the_session(world, monkeypatch):
    # Long enough that a busy machine sees that there is no camera.
    monkeypatch.setattr("device.capture.camera._RETRY_S", (2.0,))
    one = world(alerting())
    device = one.boot()

    def unplug():
        raise CameraError("The cable is out.")

    street = Street(frames=80, at={20: unplug})
    street.live = street.endless = True
    numbers = []

    def unplug_once():
        if not numbers:
            numbers.append(True)
            unplug()

    street.at = {20: unplug_once}
    street.at[75] = lambda: service_stop(street)
    device.serve(street, looks=2)
    assert street.opened >= 2
    assert one.events().count("armed") == 1
    # Frames of a live camera may be dropped, and with them an alert; comparing goes on.
    states = [status.state for status in device.wire.statuses]
    blind = states.index("not comparing", states.index("comparing"))
    assert "comparing" in states[blind:]


def service_stop(street):
    street.service.stop()


def test_a_courier_that_died_ends_the_process_with_the_list_wiped(world):
    one = world()
    device = one.boot()
    spy = Spy(device)

    def die():
        device.wire.alive = False

    with pytest.raises(BrokerError):
        device.serve(Street(frames=200, at={20: die}))
    assert wiped(spy.galleries[0])
    assert device.custody.gallery is None
    assert one.events()[-1] == "stop"


def test_nobody_of_the_list_is_left_in_memory_when_the_service_stops(world):
    one = world()
    device = one.boot()
    spy = Spy(device)
    street = Street(frames=400)
    street.at = {20: lambda: service_stop(street)}
    device.serve(street)
    assert wiped(spy.galleries[0])
    assert device.custody.eye is None


def test_the_bundle_expires_during_a_session_and_the_session_ends(world):
    one = world(authorised(retention=Retention(watchlist_h=0.0)), unlock="local")
    device = one.boot()
    spy = Spy(device)

    def expire():
        device.charge.custody.installed = _expired(device.custody.installed, one.clocks.wall_ns)

    service = device.serve(Street(frames=300, at={20: expire}), looks=2)
    assert service.verdicts[-1].state == "waiting"
    assert "has expired" in service.verdicts[-1].reasons[0]
    assert wiped(spy.galleries[0])
    assert one.holds_a_list()


def _expired(installed, now_ns):
    return replace(installed, fresh_until_ns=now_ns - S)


def test_a_clock_that_jumps_during_a_session_ends_it_and_erases_nothing(world):
    one = world()
    one.clocks.synchronised = None
    device = one.boot()

    def jump():
        one.clocks.wall_ns += 25 * DAY_NS

    service = device.serve(Street(frames=300, at={20: jump}), looks=4)
    assert "jumped" in service.verdicts[-1].reasons[0]
    assert one.holds_a_list()
    reasons = [told["reason"] for event, told in one.lines() if event == "disarmed"]
    assert "jumped" in reasons[0]

"""Everything that a device with a signed list looks after, wired with the real rooms."""

import json
from dataclasses import dataclass

import msgspec
import pytest

from device import erasure
from device.errors import StorageError
from device.policy.of_authorisation import when
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import Retention, Signage, Window
from device.protocol.identifiers import utc_text
from tests.simulators.charge import (
    BEGINS_NS,
    ENDS_NS,
    EVALUATED,
    HOUR,
    KEY,
    OTHER,
    REFERENCE,
    Killed,
    S,
    World,
    alerting,
    authorised,
)
from tests.simulators.repository import DAY_NS, NOW_NS

MINUTE = 60 * S


@pytest.fixture
def world(tmp_path, monkeypatch):
    def make(authorisation=None, **options):
        return World(tmp_path, monkeypatch, authorisation=authorisation, **options)

    return make


@pytest.fixture(params=["local", "remote"])
def unlock(request):
    return request.param


# --- the list stays shut ---


def suspended(one):
    device = one.boot()
    device.obey(one.order("suspend"))
    device.live()
    return one.boot()


def outside(one):
    one.clocks.pass_by(-2 * HOUR)
    return one.boot()


def too_late(one):
    one.clocks.pass_by(8 * DAY_NS)
    return one.boot()


def unsynchronised(one):
    one.clocks.synchronised = False
    return one.boot()


def set_back(one):
    one.boot()
    one.clocks.restart(NOW_NS - 30 * MINUTE)
    return one.boot()


def elsewhere(one):
    one.settings = msgspec.structs.replace(
        one.settings, device=msgspec.structs.replace(one.settings.device, id="device-2")
    )
    return one.boot()


FORBIDDEN = {
    "suspended": (suspended, "The desk has suspended this device"),
    "outside the window": (outside, "No time window is open: the next opens on"),
    "expired": (too_late, "expired"),
    "unsynchronised": (unsynchronised, "The clock follows no time source"),
    "set back": (set_back, "The clock was set back"),
    "another device": (elsewhere, "is not among those authorised"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_while_anything_is_missing_the_list_stays_shut_and_no_key_is_asked(world, unlock, name):
    prepare, sentence = FORBIDDEN[name]
    windows = [Window(utc_text(BEGINS_NS), utc_text(NOW_NS + 20 * DAY_NS))]
    one = world(authorised(windows=windows), unlock=unlock)
    one.install()
    device = prepare(one)
    verdict = device.live(3)
    assert verdict.state == "waiting"
    assert sentence in verdict.reasons[0]
    assert device.galleries == []
    assert one.eyes == []
    assert "unlocked" not in one.events()
    asked_for_the_time = name in {"unsynchronised", "set back"} and unlock == "remote"
    assert bool(device.wire.asked) == asked_for_the_time


def test_without_a_bundle_it_waits_and_says_so(world):
    device = world().boot()
    verdict = device.live(2)
    assert verdict.state == "waiting"
    assert "No signed watchlist is installed" in verdict.reasons[0]


def test_when_the_window_opens_it_starts_by_itself(world):
    one = world()
    one.clocks.pass_by(-2 * HOUR)
    one.install(NOW_NS)
    device = one.boot()
    assert device.live(2).state == "waiting"
    one.clocks.pass_by(2 * HOUR)
    assert device.live().state == "armed"


# --- the list opens ---


def test_an_armed_list_is_in_locked_memory_and_its_manifest_is_written(world, unlock):
    one = world(unlock=unlock)
    device = one.armed()
    content = device.custody.gallery._transformation.buffer
    assert content.locked
    assert device.custody.gallery.matrix.base is not None
    assert content.array.any()
    listed = {entry["reference_id"] for entry in one.manifest()["listings"]}
    assert listed == {REFERENCE, OTHER}
    events = one.events()
    assert events.index("unlocked") < events.index("list loaded")
    assert dict(one.lines())["unlocked"]["how"] == unlock


def test_without_a_manifest_nothing_is_compared(world):
    one = world()
    one.install()
    (one.state / "manifests").write_text("a file where the folder should be")
    device = one.boot()
    assert device.live(2).state == "waiting"
    assert device.custody.gallery is None


def test_memory_that_may_be_swapped_keeps_the_list_shut(world, monkeypatch):
    one = world()
    one.install()
    monkeypatch.setattr("device.charge.swap_is_on", lambda: True)
    monkeypatch.setattr("device.memory._lock", lambda _array: "It cannot be locked.")
    device = one.boot()
    verdict = device.live(3)
    assert verdict.state == "waiting"
    assert verdict.reasons == ("It cannot be locked.",)
    assert device.custody.gallery is None
    # Not even for a moment: nothing was decrypted into memory that may be swapped.
    assert "unlocked" not in one.events()


def test_the_key_is_overwritten_whether_it_opens_or_not(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live()
    for state in ("ready", "suspended"):
        if state == "suspended":
            device.obey(one.order("suspend"))
            device.charge.obey()
        key = bytearray(KEY)
        device.charge._open(key, "remote")
        assert not any(key), state
    assert device.galleries == []


# --- what does not fit the authorisation ---

_SHORT = msgspec.structs.replace(EVALUATED, list_size=1)
MISFITS = {
    "other models": (
        authorised(models=[ModelHash("detector", "yunet", "1" * 64), *authorised().models[1:]]),
        {},
        "The models are not those authorised",
    ),
    "another threshold": (
        authorised(),
        {"configuration": b"[matching]\nthreshold = 0.7\n"},
        "The threshold in use (0.7) is not the authorised 0.8",
    ),
    "no threshold in the configuration": (
        alerting(threshold=msgspec.structs.replace(EVALUATED, threshold=0.9)),
        {"configuration": b"[vision]\nmotion_gate = false\n"},
        "The threshold in use (0.8) is not the authorised 0.9",
    ),
    "over the cap": (authorised(list_cap=1), {}, "The list has 2 references, and 1 are authorised"),
    "not evaluated for so many": (
        alerting(threshold=_SHORT),
        {},
        "The threshold was set for 1 references, less than 90 %",
    ),
    "another list": (
        authorised(),
        {"named": ListVersion("list-9", 1)},
        "watchlist",
    ),
    "another key": (authorised(), {"key": bytes(32)}, "watchlist"),
    "damaged": (authorised(), {"content": b"\x00" * 9000}, "watchlist"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_what_does_not_fit_the_authorisation_is_not_compared_with(world, name):
    authorisation, bundle, sentence = MISFITS[name]
    one = world(authorisation, **bundle)
    one.install()
    device = one.boot()
    for _ in range(4):
        verdict = device.live()
        assert verdict.state != "armed"
    assert sentence in verdict.reasons[0]
    assert device.custody.gallery is None
    assert all(not gallery.matrix.any() for gallery in device.galleries)


def test_a_list_of_no_use_is_not_opened_again_at_every_look(world):
    one = world(authorised(list_cap=1))
    one.install()
    one.boot().live(8)
    assert one.events().count("unlocked") == 1


def test_a_sealed_list_that_changed_after_its_check_is_not_opened(world):
    one = world()
    found = one.install()
    device = one.boot()
    device.charge.tend()
    content = bytearray(found.watchlist_path.read_bytes())
    content[-1] ^= 1
    found.watchlist_path.chmod(0o600)
    found.watchlist_path.write_bytes(content)
    verdict = device.live(2)
    assert verdict.state == "ready"
    assert "changed after its check" in verdict.reasons[0]


# --- the desk's answers ---


def test_an_answer_after_the_window_closed_opens_nothing(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    late = device.answer()
    one.clocks.pass_by(8 * HOUR)
    device.inbox.unlocks.put(late)
    device.live(2)
    assert device.galleries == []
    assert "unlocked" not in one.events()


def test_an_answer_is_used_once(world):
    one = world(unlock="remote")
    device = one.armed()
    used = device.answer()
    device.custody.close("a test")
    device.inbox.unlocks.put(used)
    assert device.live(2).state == "ready"
    assert device.custody.gallery is None
    assert one.events().count("unlocked") == 1


def test_the_wrong_key_from_the_desk_opens_nothing(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    device.inbox.unlocks.put(device.answer(key=bytes(32)))
    assert device.live(2).state == "ready"
    assert device.galleries == []
    assert "list refused" in one.events()


def test_a_device_reported_stolen_erases_its_list_and_tells_the_counts(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    device.inbox.unlocks.put(device.answer(refusal="reported stolen"))
    device.live(3)
    assert not one.holds_a_list()
    assert "reported stolen" in one.manifest()["reason"]
    assert len(one.records) == 1


def test_a_refusal_counts_though_the_desk_s_clock_is_behind_the_signature(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    signed_ns = NOW_NS - DAY_NS
    device.inbox.unlocks.put(device.answer(refusal="ended", at_ns=signed_ns - HOUR))
    device.live(3)
    assert not one.holds_a_list()


def test_a_list_unknown_to_the_desk_is_neither_opened_nor_erased(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    device.inbox.unlocks.put(device.answer(refusal="unknown"))
    verdict = device.live(3)
    assert verdict.state == "ready"
    assert "has no key of this watchlist" in verdict.reasons[0]
    assert one.holds_a_list()


def test_the_desk_s_time_confirms_a_clock_without_a_time_source(world):
    one = world(unlock="remote")
    one.clocks.synchronised = False
    one.install()
    device = one.boot()
    assert device.until_settled().state == "armed"


def test_a_clock_that_differs_from_the_desk_s_is_not_asked_about_at_every_look(world):
    one = world(unlock="remote")
    one.clocks.synchronised = False
    one.install()
    device = one.boot()
    device.live()
    for _ in range(6):
        verdict = device.live()
        device.inbox.unlocks.put(device.answer(at_ns=NOW_NS - HOUR))
    assert "apart" in verdict.reasons[0]
    assert len(device.wire.asked) <= 2
    assert device.galleries == []


def test_while_it_is_suspended_the_desk_is_not_asked(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(2)
    assert device.charge.asks
    device.obey(one.order("suspend"))
    device.live()
    assert not device.charge.asks


def test_while_it_may_open_the_list_it_goes_on_asking(world):
    one = world(unlock="remote")
    one.install()
    device = one.boot()
    device.live(5)
    assert device.charge.asks


def test_an_order_tells_the_time_too(world):
    one = world()
    device = one.boot()
    one.clocks.pass_by(MINUTE)
    order = one.order("suspend")
    one.clocks.wall_ns -= MINUTE
    device.obey(order)
    device.live(2)
    assert device.charge.situation(None).floor_ns == NOW_NS + MINUTE


def test_a_missing_wrapped_key_is_said(world):
    one = world(local=None)
    one.install()
    device = one.boot()
    verdict = device.live(2)
    assert verdict.state == "ready"
    assert "no key for this device" in verdict.reasons[0]


def test_a_key_wrapped_for_another_device_is_said(world):
    one = world()
    one.publish(local=one.desk.device_keys.public)
    one.install()
    device = one.boot()
    verdict = device.live(2)
    assert verdict.state == "ready"
    assert "is not for this device" in verdict.reasons[0]


# --- revoked and expired references ---


def test_a_revoked_reference_is_gone_and_the_manifest_says_until_when(world):
    one = world()
    device = one.armed()
    one.clocks.pass_by(MINUTE)
    device.obey(one.order("revoke", REFERENCE))
    device.live()
    gallery = device.custody.gallery
    assert not gallery.matrix[gallery.ids.index(REFERENCE)].any()
    assert gallery.matrix[gallery.ids.index(OTHER)].any()
    listed = {entry["reference_id"]: entry["until_at"] for entry in one.manifest()["listings"]}
    assert listed == {REFERENCE: utc_text(NOW_NS + MINUTE), OTHER: "unknown"}


def test_a_revoked_reference_stays_gone_after_a_restart(world):
    one = world()
    device = one.armed()
    device.obey(one.order("revoke", REFERENCE))
    device.live()
    until = one.manifest()["listings"][0]["until_at"]
    one.clocks.pass_by(HOUR)
    again = one.boot()
    again.live(2)
    gallery = again.custody.gallery
    assert not gallery.matrix[gallery.ids.index(REFERENCE)].any()
    assert one.manifest()["listings"][0]["until_at"] == until


def test_with_the_last_reference_revoked_the_list_is_erased(world):
    one = world()
    device = one.armed()
    device.obey(one.order("revoke", REFERENCE), one.order("revoke", OTHER))
    device.live(2)
    assert not one.holds_a_list()


def test_a_clock_that_jumps_ahead_erases_nothing(world):
    one = world()
    device = one.armed()
    one.clocks.synchronised = None
    device.live()
    one.clocks.wall_ns += 25 * DAY_NS
    verdict = device.live()
    assert verdict.state == "waiting"
    assert "jumped" in verdict.reasons[0]
    device.live(3)
    assert one.holds_a_list()
    assert {entry["until_at"] for entry in one.manifest()["listings"]} == {"unknown"}


# --- the end ---


def ended_world(world, **options):
    return world(authorised(retention=Retention(watchlist_h=0.0)), **options)


def test_when_the_window_has_ended_the_list_is_erased_and_may_not_come_back(world):
    one = ended_world(world)
    device = one.armed()
    device.custody.close("a test")
    one.clocks.pass_by(ENDS_NS - NOW_NS)
    assert device.live().state == "over"
    assert not one.holds_a_list()
    assert one.manifest()["erased_at"] == utc_text(ENDS_NS)
    one.clocks.wall_ns -= HOUR
    with pytest.raises(Exception, match=r"ended|erased"):
        one.install()


@dataclass
class Off:
    """How a device wakes up after the end. believed: whether its clock is right."""

    after_ns: int
    clock: str = "right"


WAKINGS = {
    "an hour later": Off(HOUR),
    "weeks later, its bundle expired": Off(40 * DAY_NS),
    "its clock unconfirmed, though its floor has passed the end": Off(HOUR, "unsynchronised"),
    "its clock set back, though its floor has passed the end": Off(HOUR, "set back"),
    "expired, and its clock set back": Off(40 * DAY_NS, "set back"),
}


@pytest.mark.parametrize("name", WAKINGS)
def test_a_device_that_was_off_at_the_end_erases_before_anything_else(world, name):
    off = WAKINGS[name]
    one = ended_world(world, unlock="remote")
    one.armed().charge.leave()
    now_ns = ENDS_NS + off.after_ns
    if off.clock != "right":
        floor = json.loads((one.state / "clock.json").read_bytes())
        (one.state / "clock.json").write_bytes(json.dumps(floor | {"seen_ns": now_ns}).encode())
        one.clocks.synchronised = False
    one.clocks.restart(now_ns if off.clock != "set back" else NOW_NS)
    device = one.boot()
    device.live()
    assert not one.holds_a_list()
    assert device.wire.asked == []
    assert device.galleries == []
    assert len(one.records) == 1
    assert one.records[0].data.watchlist == ListVersion("list-1", 1)
    assert one.records[0].data.alerts == 0


def test_the_record_of_an_end_is_kept_until_there_is_room_for_it(world, monkeypatch):
    monkeypatch.setattr("device.charge._ERASE_EVERY_S", 0.0)
    one = ended_world(world)
    device = one.armed()
    device.wire.full = True
    one.clocks.pass_by(ENDS_NS - NOW_NS)
    device.live(3)
    assert not one.holds_a_list()
    assert one.records == []
    device.wire.full = False
    device.live(3)
    assert [record.data.watchlist for record in one.records] == [ListVersion("list-1", 1)]
    assert one.records[0].data.list_size == 2


def test_a_record_that_waits_over_a_restart_still_names_its_list(world):
    one = ended_world(world)
    device = one.armed()
    device.wire.full = True
    one.clocks.pass_by(ENDS_NS - NOW_NS)
    device.live(2)
    signed_at, window = utc_text(one.clocks.wall_ns), one.clocks.wall_ns
    one.publish(
        authorised(
            version=2,
            signed_at=signed_at,
            watchlist=ListVersion("list-1", 2),
            windows=[Window(utc_text(window - HOUR), utc_text(window + HOUR))],
            signage=Signage("Technician 4", utc_text(window - HOUR)),
        ),
        hues={OTHER: 90},
    )
    one.install()
    device = one.boot()
    device.wire.full = True
    assert device.live(2).state == "armed"
    assert one.records == []
    device.wire.full = False
    device.charge._erase_next_s = 0.0
    device.live()
    (record,) = one.records
    assert record.data.watchlist == ListVersion("list-1", 1)
    assert record.data.list_size == 2


def test_an_erasure_that_fails_is_told_and_repeated_and_gives_one_record(world, monkeypatch):
    one = ended_world(world)
    device = one.armed()
    one.clocks.pass_by(ENDS_NS - NOW_NS)
    destroy = erasure.destroy

    def failing(path):
        raise StorageError(f"{path.name} cannot be overwritten.")

    monkeypatch.setattr(erasure, "destroy", failing)
    assert device.live(4).state == "over"
    assert one.holds_a_list()
    assert device.custody.gallery is None
    assert "cannot be overwritten" in device.charge.situation(None).storage_fault
    device = one.boot()
    monkeypatch.setattr("device.charge._ERASE_EVERY_S", 0.0)
    device.live(2)
    monkeypatch.setattr(erasure, "destroy", destroy)
    device.live(2)
    assert not one.holds_a_list()
    assert device.charge.situation(None).storage_fault is None
    assert len(one.records) == 1


def test_the_end_ordered_while_it_waits_erases_and_answers_with_one_record(world):
    one = world()
    one.clocks.pass_by(-2 * HOUR)
    one.install(NOW_NS)
    device = one.boot()
    device.live()
    device.obey(one.order("end"))
    device.live(3)
    assert not one.holds_a_list()
    assert len(one.records) == 1
    one.boot().live(3)
    assert len(one.records) == 1


def test_killed_after_any_line_of_a_life_it_converges(world, monkeypatch):
    """Each run dies one line later; what is left on the disk is taken up by the next."""
    for count in range(1, 40):
        one = ended_world(world)
        one.state = one.folder / f"state-{count}"
        one.settings = msgspec.structs.replace(
            one.settings,
            device=msgspec.structs.replace(one.settings.device, state_directory=str(one.state)),
        )
        one.state.mkdir()
        (one.state / "identity.key").write_bytes((one.folder / "state/identity.key").read_bytes())
        one.install()
        device = one.boot(kill_after=count)
        try:
            _life(one, device)
            break
        except Killed as killed:
            where = str(killed)
        _life(one, one.boot())
        assert not one.holds_a_list(), where
        assert one.manifest()["erased_at"] != "unknown", where
        listed = {line["reference_id"]: line["until_at"] for line in one.manifest()["listings"]}
        assert set(listed) == {REFERENCE, OTHER}, where
        assert "unknown" not in listed.values(), where
        assert one.records, where
        assert {record.data.watchlist for record in one.records} == {ListVersion("list-1", 1)}
        assert not (one.state / "erasing.json").exists(), where
        assert one.boot().obedience.standing.record_owed is False, where
    assert count > 6


def _life(one, device):
    device.live(2)
    if not one.sequence:
        device.obey(one.order("suspend"))
    device.live()
    if one.sequence < 2:
        device.obey(one.order("resume"))
    device.live(3)
    if one.sequence < 3:
        device.obey(one.order("revoke", REFERENCE))
    device.live(2)
    one.clocks.wall_ns = max(one.clocks.wall_ns, ENDS_NS)
    one.clocks.boot_ns = one.clocks.wall_ns - NOW_NS + HOUR
    device.live(3)


# --- storage ---


def test_a_disk_that_cannot_be_written_keeps_the_list_shut(world):
    one = world()
    one.install()
    device = one.boot()
    device.notebook.fault = "The disk is full."
    verdict = device.live(2)
    assert verdict.state == "waiting"
    assert verdict.reasons[0] == "The disk is full."
    assert device.galleries == []


def test_the_status_names_what_forbids_it_first(world):
    one = world()
    one.clocks.pass_by(-2 * HOUR)
    one.install(NOW_NS)
    device = one.boot()
    device.serve(looks=2)
    waiting = [status for status in device.wire.statuses if status.state == "not comparing"]
    assert waiting[-1].reasons[0].endswith("this device then starts by itself.")
    assert when(utc_text(BEGINS_NS)) in waiting[-1].reasons[0]
    assert waiting[-1].watchlist == ListVersion("list-1", 1)

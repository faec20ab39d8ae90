"""A list whose end has come is erased, in order, to the end, whatever fails on the way."""

import errno
import json
import os
import shutil
import tempfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from device.bundles import BundleError, install, installed
from device.erasure import DEADLINE, INTENT, Erasure, Intent
from device.errors import StorageError
from device.manifests import Manifests, Sealed
from device.overwriting import destroy
from device.policy.erasure import deadline_ns, decode_deadline, due
from device.policy.standing import Standing
from device.protocol.alert import ListVersion
from device.protocol.authorisation import Retention, Window
from device.protocol.bundle import LOCAL_KEYS, LocalKeys, encode_part
from device.protocol.identifiers import utc_text
from device.protocol.manifest import decode_manifest
from tests.simulators import strikes
from tests.simulators.repository import (
    DAY_NS,
    DEPLOYMENT,
    DEVICE,
    NOW_NS,
    Repository,
    an_authorisation,
    contents,
)
from tests.simulators.situations import ENDS
from tests.simulators.strikes import Strike, killed, struck

KEY = b"WRAPPED-KEY-CANARY-0123456789abcdef"
TEMPLATES = b"SEALED-LIST-CANARY-" * 3000
AUTHORISATION = an_authorisation(retention=Retention(watchlist_h=12.0))
END_NS = AUTHORISATION.ends_ns
DUE_NS = END_NS + DAY_NS // 2
SHA256 = sha256(TEMPLATES).hexdigest()
SEALED = Sealed(DEPLOYMENT, AUTHORISATION.watchlist, SHA256)
KEY_IN_JSON = b64encode(KEY)[:40]
CANARIES = (b"CANARY", KEY_IN_JSON, b"North entrance", b"Authorising officer")
DIGESTS = {"ref-1": "1" * 64, "ref-2": "2" * 64}


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A state directory with an installed list that was opened, and copies of it on their way."""
    folder = tmp_path_factory.mktemp("erasure")
    state, pinned = folder / "state", folder / "root.json"
    keys = encode_part(LocalKeys(wrapped={DEVICE: KEY}))
    repository = Repository(
        folder / "desk", contents(AUTHORISATION, watchlist=TEMPLATES, local_keys=keys)
    )
    pinned.write_bytes(repository.pinned)
    found = install(folder / "desk", state, pinned, NOW_NS)
    assert found.watchlist_sha256 == SHA256
    incoming = state / "bundle/incoming"
    (incoming / "0123").mkdir(parents=True)
    (incoming / "offer.json").write_bytes(b'{"offered_at":"then"}')
    (incoming / "bundle.tar").write_bytes(b"tar" + KEY + TEMPLATES)
    (incoming / "0123/1.part").write_bytes(KEY + b" part")
    staging = state / "bundle/staging-abcd1234/targets"
    staging.mkdir(parents=True)
    (staging / "watchlist.sealed").write_bytes(TEMPLATES)
    (staging / "local-keys.json").write_bytes(KEY)
    Erasure(state, lambda: None, lambda *_, **__: None).remember(AUTHORISATION, SHA256)
    Manifests(state).opened(SEALED, DIGESTS, NOW_NS)
    return folder


class Device:
    """A device on a copy of that disk. Notes and wipes go to files, so that a child's last."""

    def __init__(self, pristine, folder):
        shutil.copytree(pristine / "state", folder / "state", symlinks=True)
        self.folder = folder
        self.state = folder / "state"
        self.pinned = pristine / "root.json"
        self.erasure = Erasure(self.state, self.wipe, self.note)
        self.release = (self.state / "bundle/current").resolve()
        self.metadata = self.read_metadata()

    def wipe(self):
        (self.folder / "wiped").touch()

    def note(self, event, **details):
        with (self.folder / "notes").open("a") as file:
            file.write(json.dumps([event, details]) + "\n")

    @property
    def notes(self):
        path = self.folder / "notes"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def read_metadata(self):
        files = (path for path in (self.release / "metadata").rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}

    def erase_if_due(self, time_ns=DUE_NS, authorisation=AUTHORISATION, standing=None, **held):
        return self.erasure.erase_if_due(
            authorisation, SHA256, standing or Standing(), time_ns, **held
        )

    def content(self):
        """All that lies in the state directory, but the manifests and what tells what is erased."""
        files = (path for path in self.state.rglob("*") if path.is_file())
        return b"".join(path.read_bytes() for path in files)

    def holds(self, name="local-keys.json"):
        """What the release's file of that name still has of its content."""
        path = self.release / "targets" / name
        content = path.read_bytes() if path.exists() else b""
        return b"CANARY" in content or KEY_IN_JSON in content

    @property
    def manifest(self):
        (path,) = (self.state / "manifests").glob("*.json")
        return decode_manifest(path.read_bytes())

    def check_erased(self):
        left = self.content()
        for canary in CANARIES:
            assert canary not in left, canary
        assert self.read_metadata() == self.metadata
        assert self.manifest.erased_at != "unknown"
        assert {one.until_at for one in self.manifest.listings} == {self.manifest.erased_at}
        assert not (self.state / INTENT).exists()
        assert not (self.state / DEADLINE).exists()
        assert (self.folder / "wiped").exists()
        assert {event for event, _ in self.notes} == {"erased"}


@pytest.fixture
def device(pristine, scratch):
    return Device(pristine, scratch)


@pytest.fixture
def folders():
    """Make folders in memory, where there is such a place: waiting for a disk shows nothing."""
    shm = Path("/dev/shm")
    place = shm if os.access(shm, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:

        def new(number):
            (Path(folder) / str(number)).mkdir()
            return Path(folder) / str(number)

        yield new


def run_of(device):
    return lambda: device.erase_if_due(authorisation=None)


# When.


@pytest.mark.parametrize("end", ENDS, ids=lambda end: f"{end.because} at {utc_text(end.time_ns)}")
def test_the_end_of_a_list_has_one_of_four_reasons(end):
    reason = due(end.authorisation, end.standing, end.time_ns, held=end.held)
    assert reason is None if end.because is None else end.because in reason


def test_retention_after_the_last_window_is_a_day_at_most_whatever_was_written():
    longer = msgspec.structs.replace(AUTHORISATION, retention=Retention(watchlist_h=1000.0))
    assert deadline_ns(longer) == END_NS + DAY_NS


def test_before_the_end_nothing_is_touched(device):
    before = device.content()
    assert device.erase_if_due(DUE_NS - 1) is None
    assert device.erase_if_due(DUE_NS - 1, authorisation=None) is None
    assert device.content() == before
    assert device.notes == []
    assert not (device.folder / "wiped").exists()


def test_after_the_end_nothing_of_the_list_is_left_but_its_manifest(device):
    assert "last time window" in device.erase_if_due()
    device.check_erased()
    assert device.manifest.erased_at == utc_text(DUE_NS)
    assert device.manifest.reason == "The deployment has ended: its last time window has closed."
    assert device.manifest.sealed_sha256 == SHA256
    ((_, details),) = device.notes
    assert details["deployment"] == DEPLOYMENT
    assert "not overwritten" not in details


def test_an_erasure_that_is_done_is_not_done_again(device):
    device.erase_if_due()
    before, notes = device.content(), device.notes
    assert device.erase_if_due(authorisation=None) is None
    assert (device.content(), device.notes) == (before, notes)


def test_a_device_that_was_off_at_the_end_erases_although_its_bundle_has_expired(device):
    later_ns = NOW_NS + 100 * DAY_NS
    with pytest.raises(BundleError):
        installed(device.state, device.pinned, later_ns)
    assert "last time window" in device.erase_if_due(later_ns, authorisation=None)
    device.check_erased()


@pytest.mark.parametrize("lost", ["authorisation.json", DEADLINE])
def test_one_note_of_the_deadline_is_enough(device, lost):
    path = device.state / DEADLINE if lost == DEADLINE else device.release / "targets" / lost
    path.write_bytes(b"damaged")
    assert device.erase_if_due(DUE_NS - 1, authorisation=None) is None
    assert device.erase_if_due(DUE_NS, authorisation=None) is not None
    device.check_erased()


def test_a_list_of_which_nobody_can_tell_the_end_is_erased_at_once(device):
    (device.state / DEADLINE).unlink()
    (device.release / "targets/authorisation.json").write_bytes(b"damaged")
    assert "Nobody can tell" in device.erase_if_due(NOW_NS, authorisation=None)
    device.check_erased()


def test_the_deadline_of_another_list_says_nothing_of_this_one(device):
    (device.release / "targets/watchlist.sealed").write_bytes(b"another list")
    (device.release / "targets/authorisation.json").write_bytes(b"damaged")
    assert "Nobody can tell" in device.erase_if_due(NOW_NS, authorisation=None)


def test_an_end_erases_also_where_the_bundle_does_not_verify(device):
    ended = Standing(ended="it is over", ended_at=utc_text(NOW_NS))
    assert "desk has ended" in device.erase_if_due(NOW_NS, None, ended)
    device.check_erased()


def test_an_end_of_unknown_time_forbids_comparing_and_erases_nothing(device):
    undated = Standing(ended="the demonstration is over")
    assert device.erase_if_due(NOW_NS, standing=undated) is None
    assert device.erase_if_due(NOW_NS, None, undated) is None
    assert "give `end` once more" in undated.end_in_force(AUTHORISATION.signed_at)


def test_a_list_without_a_reference_that_may_be_held_is_erased(device):
    assert device.erase_if_due(NOW_NS, held=1) is None
    assert "revoked or has expired" in device.erase_if_due(NOW_NS, held=0)
    device.check_erased()


def test_the_deadline_is_kept_beside_the_list(device):
    kept = decode_deadline((device.state / DEADLINE).read_bytes())
    assert kept.erase_at == utc_text(DUE_NS)
    assert kept.sealed_sha256 == SHA256
    shorter = msgspec.structs.replace(AUTHORISATION, retention=Retention(watchlist_h=0.0))
    device.erasure.remember(shorter, SHA256)
    assert decode_deadline((device.state / DEADLINE).read_bytes()).erase_at == utc_text(END_NS)
    for garbage in (b"", b"{}", b"[", b"\xff"):
        assert decode_deadline(garbage) is None
    for field in ("signed_at", "erase_at"):
        for time in ("2026-13-45T12:00:00.000Z", "2026-12-31T23:59:60.000Z"):
            impossible = msgspec.to_builtins(kept) | {field: time}
            assert decode_deadline(msgspec.json.encode(impossible)) is None


# In which order.


def test_the_key_goes_first_then_the_list_and_each_is_on_the_disk_before_the_next(device):
    trace = []
    with struck(Strike(0), trace):
        device.erase_if_due()
    at = {name: [place for place, (_, path) in enumerate(trace) if path.endswith(name)]
          for name in ("targets/local-keys.json", "targets/watchlist.sealed", "bundle.tar",
                       "targets/authorisation.json")}  # fmt: skip
    assert max(at["targets/local-keys.json"]) < min(at["targets/watchlist.sealed"])
    assert max(at["bundle.tar"]) < min(at["targets/watchlist.sealed"])
    assert max(at["targets/watchlist.sealed"]) < min(at["targets/authorisation.json"])
    intents = [place for place, (name, path) in enumerate(trace) if INTENT in path]
    assert intents[0] < min(at["targets/local-keys.json"])
    assert intents[-1] > max(at["targets/authorisation.json"])
    calls = [name for name, path in trace if path == str(device.release / "targets" / LOCAL_KEYS)]
    assert calls == ["open", "write", "fsync", "unlink"]


def test_the_key_in_memory_is_wiped_before_anything_else(device):
    wiped_at = []
    device.erasure._wipe = lambda: wiped_at.append(device.holds())
    device.erase_if_due()
    assert wiped_at == [True]


def test_a_file_is_overwritten_before_its_name_goes(scratch, monkeypatch):
    path = scratch / "key"
    path.write_bytes(KEY * 100_000)
    # A second name shows what became of the bytes.
    os.link(path, scratch / "block")
    destroy(path)
    assert not path.exists()
    left = (scratch / "block").read_bytes()
    assert len(left) == len(KEY) * 100_000
    assert KEY[:8] not in left
    destroy(path)


def test_a_link_is_removed_and_not_followed(scratch):
    (scratch / "target").write_bytes(b"someone else's")
    (scratch / "link").symlink_to(scratch / "target")
    os.mkfifo(scratch / "pipe")
    destroy(scratch / "link")
    destroy(scratch / "pipe")
    assert [path.name for path in scratch.iterdir()] == ["target"]
    assert (scratch / "target").read_bytes() == b"someone else's"


# Whatever happens.


def test_kill_9_at_every_step_leaves_less_than_before_and_is_finished_at_the_next_start(
    pristine, folders
):
    deaths = 0
    for number in range(1, 1000):
        device = Device(pristine, folders(number))
        if not killed(run_of(device), number):
            break
        deaths += 1
        if not (device.release / "targets/watchlist.sealed").exists():
            assert not device.holds()
        if device.manifest.erased_at != "unknown":
            assert b"CANARY" not in device.content()
        assert device.read_metadata() == device.metadata
        assert device.manifest.listings
        device.erase_if_due(NOW_NS if (device.state / INTENT).exists() else DUE_NS, None)
        device.check_erased()
    assert deaths > 50
    device.check_erased()


@pytest.mark.parametrize(("code", "lasting"), [(errno.EIO, False), (errno.EROFS, True)])
def test_a_failure_at_every_step_is_told_and_made_good_at_the_next_call(
    pristine, folders, code, lasting
):
    failures = 0
    for number in range(1, 1000):
        device = Device(pristine, folders(number))
        with struck(Strike(number, code, lasting=lasting)) as strike:
            try:
                device.erase_if_due()
            except StorageError:
                failures += 1
        if strike.seen < number:
            break
        device.erase_if_due(authorisation=None)
        device.check_erased()
    assert number > 50
    assert failures > 0


def test_a_full_disk_does_not_save_the_key_and_the_list(device):
    full = Strike(1, errno.ENOSPC, lasting=True, only=("create",))
    with struck(full), pytest.raises(StorageError):
        device.erase_if_due()
    assert not device.holds("local-keys.json")
    assert not device.holds("watchlist.sealed")
    assert b"CANARY" not in device.content()
    device.erase_if_due(authorisation=None)
    left = device.content()
    assert all(canary not in left for canary in CANARIES)
    assert device.manifest.erased_at != "unknown"


def test_a_disk_that_is_full_until_the_list_is_gone_gets_its_whole_record(pristine, device):
    listed = device.release / "targets/watchlist.sealed"

    class UntilTheListIsGone(Strike):
        def at(self, name, path):
            if name == "create" and listed.exists():
                raise OSError(errno.ENOSPC, "No space left on device")

    with struck(UntilTheListIsGone(0)):
        device.erase_if_due()
    device.check_erased()
    with pytest.raises(BundleError, match="does not come back"):
        install(pristine / "desk", device.state, device.pinned, NOW_NS)


def test_a_read_only_disk_is_told_and_the_key_in_memory_is_gone(device):
    with struck(Strike(1, errno.EROFS, lasting=True)), pytest.raises(StorageError) as raised:
        device.erase_if_due()
    assert "must be erased and cannot be" in str(raised.value)
    assert device.holds()
    assert (device.folder / "wiped").exists()
    device.erase_if_due()
    device.check_erased()


def test_what_could_not_be_overwritten_is_removed_and_told_in_the_log(device):
    with struck(Strike(1, errno.EIO, lasting=True, only=("write",))):
        device.erase_if_due()
    device.check_erased()
    ((_, details),) = device.notes
    assert "could not be overwritten" in details["not overwritten"]
    assert "local-keys.json" in details["not overwritten"]


def test_a_damaged_note_of_a_begun_erasure_is_one_all_the_same(device):
    (device.state / INTENT).write_bytes(b"\x00\x00")
    assert "is damaged" in device.erase_if_due(NOW_NS, authorisation=None)
    device.check_erased()


# Afterwards.


def test_the_list_does_not_come_back_and_a_new_version_may(pristine, device):
    device.erase_if_due()
    assert installed(device.state, device.pinned, NOW_NS) is None
    with pytest.raises(BundleError, match="does not come back"):
        install(pristine / "desk", device.state, device.pinned, NOW_NS)
    assert b"CANARY" not in device.content()


def test_the_metadata_that_stay_tell_nothing_of_anybody(device):
    device.erase_if_due()
    for path, content in device.metadata.items():
        tree = json.loads(content)
        assert set(tree) == {"signatures", "signed"}, path
        for word in (b"ref-", b"North", b"officer", b"Custodian", DEPLOYMENT.encode(), b"PIA"):
            assert word not in content
    (targets,) = (json.loads(c) for p, c in device.metadata.items() if p.endswith("targets.json"))
    assert {key for one in targets["signed"]["targets"].values() for key in one} == {
        "hashes", "length"
    }  # fmt: skip


def test_a_bundle_that_was_installed_meanwhile_is_left_alone(pristine, device):
    killed(run_of(device), 20)
    assert (device.state / INTENT).exists()
    targets = device.release / "targets"
    targets.mkdir(exist_ok=True)
    newer = msgspec.structs.replace(AUTHORISATION, version=2)
    (targets / "authorisation.json").write_bytes(msgspec.json.encode(newer, order="sorted"))
    (targets / "watchlist.sealed").write_bytes(b"the new list")
    assert device.erase_if_due(NOW_NS, authorisation=newer) is not None
    assert (targets / "watchlist.sealed").read_bytes() == b"the new list"
    assert not (device.state / INTENT).exists()
    assert device.manifest.erased_at != "unknown"


# The manifests.

DAY_2_NS = NOW_NS + 2 * DAY_NS


def test_a_manifest_answers_whether_a_reference_was_listed_between_two_dates(device):
    device.erase_if_due()
    manifests = Manifests(device.state)
    during = manifests.asked("ref-1", NOW_NS + DAY_NS, DAY_2_NS)
    ((version, listing),) = during.listings
    assert (version, listing.template_sha256) == (AUTHORISATION.watchlist, "1" * 64)
    assert manifests.asked("ref-1", 0, NOW_NS - 1).listings == ()
    assert manifests.asked("ref-1", DUE_NS + 1, DUE_NS + DAY_NS).listings == ()
    assert len(manifests.asked("ref-1", DUE_NS, DUE_NS).listings) == 1
    assert manifests.asked("ref-9", 0, 2**62).listings == ()


def test_a_listing_lasts_as_long_as_nothing_says_that_it_ended(device):
    answer = Manifests(device.state).asked("ref-2", DAY_2_NS, DAY_2_NS)
    assert answer.listings[0][1].until_at == "unknown"


def test_a_revoked_reference_was_listed_until_then(device):
    manifests = Manifests(device.state)
    manifests.delisted(DEPLOYMENT, {"ref-1": DAY_2_NS, "ref-9": DAY_2_NS})
    manifests.delisted(DEPLOYMENT, {"ref-1": DAY_2_NS + DAY_NS})
    device.erase_if_due()
    assert manifests.asked("ref-1", DAY_2_NS + 1, 2**62).listings == ()
    assert len(manifests.asked("ref-1", DAY_2_NS, DAY_2_NS).listings) == 1
    assert len(manifests.asked("ref-2", DAY_2_NS + 1, DAY_2_NS + 1).listings) == 1


def test_another_deployments_revocation_ends_no_listing(device):
    Manifests(device.state).delisted(DEPLOYMENT[:-1] + "9", {"ref-1": DAY_2_NS})
    assert {one.until_at for one in device.manifest.listings} == {"unknown"}


def test_opening_a_list_again_changes_nothing_of_its_manifest(device):
    before = device.manifest
    Manifests(device.state).opened(SEALED, DIGESTS, DAY_2_NS)
    assert device.manifest == before


def test_a_list_that_takes_anothers_place_ends_it(device):
    second = Sealed(DEPLOYMENT, ListVersion("list-1", 2), "b" * 64)
    Manifests(device.state).opened(second, {"ref-2": "2" * 64}, DAY_2_NS)
    answer = Manifests(device.state).asked("ref-1", DAY_2_NS + 1, 2**62)
    assert answer.listings == ()
    versions = [v.version for v, _ in Manifests(device.state).asked("ref-2", 0, 2**62).listings]
    assert versions == [1, 2]


def test_a_list_that_is_opened_after_its_erasure_is_listed_anew(device):
    device.erase_if_due()
    later_ns = DUE_NS + 3 * DAY_NS
    Manifests(device.state).opened(SEALED, {"ref-1": "1" * 64}, later_ns)
    answer = Manifests(device.state).asked("ref-1", 0, 2**62)
    assert [one.from_at for _, one in answer.listings] == [utc_text(NOW_NS), utc_text(later_ns)]
    assert Manifests(device.state).asked("ref-1", DUE_NS + 1, later_ns - 1).listings == ()
    assert device.manifest.erased_at == "unknown"


def test_a_list_that_was_never_opened_here_leaves_a_manifest_without_listings(device):
    shutil.rmtree(device.state / "manifests")
    device.erase_if_due()
    assert device.manifest.listings == []
    assert device.manifest.loaded_at == "unknown"
    assert device.manifest.erased_at == utc_text(DUE_NS)


@pytest.mark.parametrize("garbage", [b"", b"{", b"\xff", b"[]", None])
def test_a_manifest_that_cannot_be_read_is_told_and_never_overwritten(device, garbage):
    (path,) = (device.state / "manifests").glob("*.json")
    damaged = path.read_bytes()[:-9] if garbage is None else garbage
    path.write_bytes(damaged)
    device.erase_if_due()
    Manifests(device.state).opened(SEALED, DIGESTS, DUE_NS + DAY_NS)
    assert path.read_bytes() == damaged
    answer = Manifests(device.state).asked("ref-1", 0, NOW_NS)
    assert (answer.listings, answer.unreadable) == ((), (path.name,))
    assert len(Manifests(device.state).asked("ref-1", 0, 2**62).listings) == 1


def test_a_manifest_holds_no_more_than_it_says(device):
    (path,) = (device.state / "manifests").glob("*.json")
    assert set(json.loads(path.read_bytes())) == {
        "deployment", "watchlist", "loaded_at", "erased_at", "reason", "sealed_sha256", "listings",
        "kind",
    }  # fmt: skip


def test_a_window_that_is_authorised_anew_moves_the_end(device):
    longer = an_authorisation(
        windows=[Window(utc_text(NOW_NS), utc_text(NOW_NS + 9 * DAY_NS))], version=2
    )
    assert device.erase_if_due(DUE_NS, longer) is None
    assert device.erase_if_due(NOW_NS + 9 * DAY_NS, longer) is not None


def test_a_device_without_any_bundle_has_nothing_to_erase(tmp_path):
    noted = []
    erasure = Erasure(tmp_path, lambda: None, lambda event, **_: noted.append(event))
    assert erasure.erase_if_due(None, None, Standing(), 2**62) is None
    assert noted == []
    assert list(Path(tmp_path).iterdir()) == []


def test_an_erasure_that_begun_is_finished_also_where_the_release_is_gone(device):
    (device.state / INTENT).write_bytes(b"damaged")
    (device.state / "bundle/current").unlink()
    device.erase_if_due(NOW_NS, authorisation=None)
    assert all(canary not in device.content() for canary in CANARIES)
    kept = Intent("It has ended.", "unknown", DEPLOYMENT, 1)
    device.erasure.erase(kept, NOW_NS)
    assert not (device.state / INTENT).exists()


def test_strikes_are_counted_as_they_are_made(scratch):
    def write_twice():
        for name in ("a", "b"):
            (scratch / name).touch()
            destroy(scratch / name)

    assert strikes.calls(write_twice) == 8
    assert killed(write_twice, 3)
    assert not killed(write_twice, 9)

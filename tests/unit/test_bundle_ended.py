"""A list that has ended here is erased, and no stick brings it back (R24); the floor stays (R7)."""

import shutil

import msgspec
import pytest

from device.bundles import BundleError, current_release, ended, shelf, work
from device.bundles.shelf import Shelf
from device.errors import StorageError
from device.protocol.authorisation import decode_authorisation
from device.protocol.bundle import AUTHORISATION, LOCAL_KEYS, TARGETS, WATCHLIST
from tests.simulators.repository import NOW_NS, Repository, an_authorisation, contents

OTHER = "0195d2f0-0000-7000-8000-000000000002"


class Device:
    def __init__(self, folder):
        self.desk = Repository(folder / "desk")
        self.state = folder / "state"
        self.pinned = self.desk.pinned
        self.offer()

    def offer(self, source=None):
        return work.install(source or self.desk.folder, self.state, self.pinned, NOW_NS)

    def checked(self):
        return work.check(self.state, self.pinned, NOW_NS)

    def erase(self):
        """Erase the list as `device.erasure` does: the note first, then all targets."""
        room = Shelf(self.state)
        targets = room.current() / TARGETS
        authorisation = decode_authorisation((targets / AUTHORISATION).read_bytes())
        versions = {
            **ended.read_ended(room).versions,
            authorisation.deployment: authorisation.version,
        }
        (room.folder / ended.NAME).write_bytes(msgspec.json.encode(ended.Ended(versions)))
        shutil.rmtree(targets)


@pytest.fixture
def device(tmp_path):
    return Device(tmp_path)


def test_the_same_stick_does_not_bring_an_erased_list_back(device):
    device.erase()
    with pytest.raises(BundleError, match="has ended on this device"):
        device.offer()
    # Nor with fresh timestamps, nor with another list under the same authorisation.
    device.desk.refresh()
    with pytest.raises(BundleError, match="has ended on this device"):
        device.offer()
    device.desk.publish(contents(watchlist=b"again"))
    with pytest.raises(BundleError, match="has ended on this device"):
        device.offer()
    assert device.checked() is None


def test_a_new_version_and_a_new_deployment_are_welcome(device):
    device.erase()
    device.desk.publish(contents(an_authorisation(version=2)))
    assert device.offer().targets_version == 2
    device.erase()
    device.desk.publish(contents(an_authorisation(version=2)))
    with pytest.raises(BundleError, match="has ended"):
        device.offer()
    device.desk.publish(contents(an_authorisation(deployment=OTHER)))
    assert device.offer().targets_version == 4
    device.erase()
    for authorisation in (an_authorisation(), an_authorisation(deployment=OTHER)):
        device.desk.publish(contents(authorisation))
        with pytest.raises(BundleError, match="has ended"):
            device.offer()


def test_the_floor_stays_when_the_list_goes(device, tmp_path):
    old = shutil.copytree(device.desk.folder, tmp_path / "old")
    device.desk.publish(contents(an_authorisation(deployment=OTHER)))
    device.offer()
    device.erase()
    with pytest.raises(BundleError, match="older than what is installed"):
        device.offer(old)


def test_a_list_that_ended_and_still_lies_there_is_not_installed(device):
    # The power went after the note and before the last file.
    release = device.state / "bundle" / current_release(device.state) / TARGETS
    kept = {path.name: path.read_bytes() for path in release.iterdir()}
    device.erase()
    release.mkdir()
    for name, content in kept.items():
        (release / name).write_bytes(content)
    assert device.checked() is None


def test_targets_that_are_gone_without_a_note_are_damage_and_no_erasure(device):
    shutil.rmtree(device.state / "bundle" / current_release(device.state) / TARGETS)
    with pytest.raises(BundleError, match="damaged"):
        device.checked()


def test_what_a_new_bundle_replaces_is_overwritten_keys_first(device, monkeypatch):
    destroyed = []
    real = shelf.destroy

    def destroy(path):
        destroyed.append(path.name)
        real(path)

    monkeypatch.setattr(shelf, "destroy", destroy)
    device.desk.publish(contents(an_authorisation(version=2)))
    device.offer()
    assert destroyed == [LOCAL_KEYS, WATCHLIST]


def test_what_was_refused_is_overwritten_too(device, monkeypatch):
    destroyed = []
    monkeypatch.setattr(shelf, "destroy", lambda path: destroyed.append(path.name))
    device.desk.publish(contents(b"no authorisation"))
    with pytest.raises(BundleError):
        device.offer()
    assert destroyed == [LOCAL_KEYS, WATCHLIST]
    assert len(list((device.state / "bundle").iterdir())) == 2


@pytest.mark.parametrize("garbage", [b"", b"{}x", b'{"versions": 1}', b"\xff"])
def test_a_damaged_note_of_what_ended_is_no_empty_one(device, garbage):
    device.erase()
    (device.state / "bundle" / ended.NAME).write_bytes(garbage)
    with pytest.raises(StorageError, match="nobody can say which lists have ended"):
        device.offer()

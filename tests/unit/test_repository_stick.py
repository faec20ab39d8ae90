"""A copy for a site without a network: whole, verified, never older than what is there."""

import contextlib

import pytest

from device.errors import ConfigurationError, StorageError
from tests.unit.test_repository import (
    DAY_NS,
    DAY_S,
    NOW_NS,
    YEAR_NS,
    Office,
    bundle,
    public_files,
    taken,
)
from tests.unit.test_repository_crashes import Disk
from tools.desk.repository import stick


@pytest.fixture
def office():
    return Office()


def test_a_client_takes_the_list_from_the_stick(office, tmp_path):
    office.published(tmp_path / "r").copy_to(tmp_path / "stick")
    assert taken(tmp_path / "stick", office.roots[0], tmp_path / "cache") == bundle()
    assert {path.name for path in (tmp_path / "stick").iterdir()} == {"metadata", "targets"}


def test_the_stick_holds_only_the_list_that_is_published_now(office, tmp_path):
    repository = office.published(tmp_path / "r", b"first")
    repository.copy_to(tmp_path / "stick")
    office.publish(repository, b"second", NOW_NS + 10**9)
    (tmp_path / "stick/targets/.watchlist.sealed.ab12cd_9").write_bytes(b"half of a killed copy")
    (tmp_path / "stick/targets/holiday.jpg").write_bytes(b"not ours")
    repository.copy_to(tmp_path / "stick")
    assert taken(tmp_path / "stick", office.roots[0], tmp_path / "cache") == bundle(b"second")
    lists = [path.read_bytes() for path in (tmp_path / "stick/targets").glob("*watchlist*")]
    assert lists == [b"second" * 1000]
    assert not (tmp_path / "stick/targets/.watchlist.sealed.ab12cd_9").exists()
    assert (tmp_path / "stick/targets/holiday.jpg").exists()


def test_a_stick_that_fills_at_any_write_holds_the_old_or_the_new_list(office, tmp_path):
    words = set()
    for writes in range(12):
        repository = office.published(tmp_path / f"r{writes}", b"first")
        folder = tmp_path / f"stick{writes}"
        repository.copy_to(folder)
        office.publish(repository, b"second", NOW_NS + 10**9)
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(StorageError):
            Disk(patch, writes)
            repository.copy_to(folder)
        found = taken(folder, office.roots[0], tmp_path / f"cache{writes}")
        words.add(found["watchlist.sealed"][:5])
        assert found in (bundle(b"first"), bundle(b"second"))
    assert words == {b"first", b"secon"}


def test_a_stick_with_something_newer_is_left_alone(office, tmp_path):
    repository = office.published(tmp_path / "r")
    newer = office.repository(tmp_path / "new")
    office.publish(newer, b"newer", NOW_NS + DAY_NS)
    newer.copy_to(tmp_path / "stick")
    before = public_files(tmp_path / "stick")
    with pytest.raises(ConfigurationError, match="holds something newer"):
        repository.copy_to(tmp_path / "stick")
    assert public_files(tmp_path / "stick") == before
    repository.refresh(office.signers["publishing"], NOW_NS + 2 * DAY_NS, DAY_S)
    repository.copy_to(tmp_path / "stick")
    assert taken(tmp_path / "stick", office.roots[0], tmp_path / "cache") == bundle()


def test_a_stick_of_another_root_is_left_alone(office, tmp_path):
    Office().published(tmp_path / "other").copy_to(tmp_path / "stick")
    before = public_files(tmp_path / "stick")
    with pytest.raises(ConfigurationError, match="another root of trust"):
        office.published(tmp_path / "r").copy_to(tmp_path / "stick")
    assert public_files(tmp_path / "stick") == before


def test_a_stick_with_a_newer_root_is_left_alone(office, tmp_path):
    repository = office.published(tmp_path / "r")
    office.next_root(expires_ns=YEAR_NS + DAY_NS)
    office.published(tmp_path / "new").copy_to(tmp_path / "stick")
    with pytest.raises(ConfigurationError, match="newer root of trust"):
        repository.copy_to(tmp_path / "stick")
    repository.adopt(office.roots)
    repository.refresh(office.signers["publishing"], NOW_NS + 10**9, DAY_S)
    repository.copy_to(tmp_path / "stick")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff" * 9, b'{"signed": {"version": 99}}'])
def test_a_half_copied_stick_is_repaired(office, tmp_path, content):
    repository = office.published(tmp_path / "r")
    repository.copy_to(tmp_path / "stick")
    (tmp_path / "stick/metadata/timestamp.json").write_bytes(content)
    for path in (tmp_path / "stick/targets").iterdir():
        path.write_bytes(content)
    repository.copy_to(tmp_path / "stick")
    assert taken(tmp_path / "stick", office.roots[0], tmp_path / "cache") == bundle()


def test_a_timestamp_that_a_stranger_signed_is_nothing_newer(office, tmp_path):
    repository = office.published(tmp_path / "r")
    repository.copy_to(tmp_path / "stick")
    stranger = Office()
    stranger.publish(stranger.repository(tmp_path / "forged"), b"x", NOW_NS + 3 * DAY_NS)
    forged = (tmp_path / "forged/metadata/timestamp.json").read_bytes()
    (tmp_path / "stick/metadata/timestamp.json").write_bytes(forged)
    repository.copy_to(tmp_path / "stick")
    assert taken(tmp_path / "stick", office.roots[0], tmp_path / "cache") == bundle()


def test_a_stick_that_loses_what_was_written_is_found_out(office, tmp_path, monkeypatch):
    repository = office.published(tmp_path / "r")
    write = stick.write_atomically

    def forgetful(path, content, mode):
        write(path, content[:100] if "watchlist" in path.name else content, mode)

    monkeypatch.setattr(stick, "write_atomically", forgetful)
    with pytest.raises(StorageError, match="take another stick"):
        repository.copy_to(tmp_path / "stick")


def test_a_list_that_lacks_a_signature_is_not_copied(office, tmp_path):
    repository = office.published(tmp_path / "r")
    office.change("officer")
    office.next_root()
    repository.adopt(office.roots)
    with pytest.raises(StorageError, match="targets is not signed as root 2 asks"):
        repository.copy_to(tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


def test_nothing_published_is_nothing_to_copy(office, tmp_path):
    with pytest.raises(ConfigurationError, match="Nothing is published"):
        office.repository(tmp_path / "r").copy_to(tmp_path / "stick")

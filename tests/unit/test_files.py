"""Files are replaced whole or not at all."""

import errno
import hashlib
import os
import stat

import pytest

from device.errors import StorageError
from device.files import sha256_of, write_atomically


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def full_disk_after_half(real):
    """An `fdopen` whose file takes half of what is written, as a disk that fills up does."""

    def opened(*arguments):
        file = real(*arguments)
        write = file.write

        class Full:
            def __enter__(self):
                return self

            def __exit__(self, *_):
                file.close()

            def write(self, data):
                write(data[: len(data) // 2])
                full_disk()

        return Full()

    return opened


@pytest.fixture
def old(tmp_path):
    path = tmp_path / "status.json"
    path.write_bytes(b"old content")
    return path


def test_a_file_is_made_with_its_folders(tmp_path):
    path = tmp_path / "a/b/file"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content"


def test_a_file_is_replaced_whole_and_nothing_else_stays(old):
    write_atomically(old, b"new")
    assert old.read_bytes() == b"new"
    assert list(old.parent.iterdir()) == [old]


def test_a_reader_of_the_old_file_still_reads_the_old_content(old):
    with old.open("rb") as reader:
        write_atomically(old, b"new")
        assert reader.read() == b"old content"


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_file_has_the_mode_that_was_asked_for(old, mode):
    old.chmod(0o777)
    write_atomically(old, b"new", mode)
    assert stat.S_IMODE(old.stat().st_mode) == mode


def test_only_the_owner_may_read_when_nothing_was_asked_for(tmp_path):
    write_atomically(tmp_path / "file", b"new")
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o600


def test_a_disk_full_at_the_end_leaves_the_old_file_and_nothing_else(old, monkeypatch):
    monkeypatch.setattr("device.files.os.fsync", full_disk)
    with pytest.raises(StorageError, match="No space left on device") as caught:
        write_atomically(old, b"new" * 1000)
    assert str(old) in str(caught.value)
    assert old.read_bytes() == b"old content"
    assert list(old.parent.iterdir()) == [old]


def test_a_disk_full_half_way_leaves_the_old_file_and_nothing_else(old, monkeypatch):
    monkeypatch.setattr("device.files.os.fdopen", full_disk_after_half(os.fdopen))
    with pytest.raises(StorageError, match="No space left on device"):
        write_atomically(old, b"new" * 1000)
    assert old.read_bytes() == b"old content"
    assert list(old.parent.iterdir()) == [old]


def test_a_disk_full_at_the_first_writing_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("device.files.os.fsync", full_disk)
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_other_than_a_full_disk_leaves_no_temporary_file_either(old, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("device.files.os.fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(old, b"new")
    assert old.read_bytes() == b"old content"
    assert list(old.parent.iterdir()) == [old]


def test_a_file_in_the_place_of_the_folder_is_said_in_a_sentence(old):
    with pytest.raises(StorageError, match="cannot be written") as caught:
        write_atomically(old / "file", b"new")
    assert str(old / "file") in str(caught.value)
    assert old.read_bytes() == b"old content"


def test_a_folder_in_the_place_of_the_file_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        write_atomically(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_the_hash_is_that_of_the_whole_file(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(data).hexdigest()


def test_the_hash_of_a_missing_file_is_a_sentence_with_its_name(tmp_path):
    with pytest.raises(StorageError, match="cannot be read") as caught:
        sha256_of(tmp_path / "none")
    assert str(tmp_path / "none") in str(caught.value)


def test_the_hash_of_a_folder_is_a_sentence_with_its_name(tmp_path):
    with pytest.raises(StorageError, match="Is a directory") as caught:
        sha256_of(tmp_path)
    assert str(tmp_path) in str(caught.value)

"""A bundle as one file: one form, and nothing else is unpacked."""

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.bundles import BundleError, pack, unpack
from device.bundles.archive import LARGEST_ARCHIVE_BYTES, MOST_FILES, packed, unpacked
from device.errors import StorageError

FILES = {
    "metadata/1.root.json": b"{}",
    "metadata/timestamp.json": b"x" * 512,
    "targets/aa.watchlist.sealed": bytes(range(256)) * 5,
    "targets/bb.models.json": b"",
}
FILE = st.from_regex(r"\A(metadata|targets)/[0-9a-z][0-9a-z._-]{0,20}\Z")


def _folder(path, files=FILES):
    for place, content in files.items():
        (path / place).parent.mkdir(parents=True, exist_ok=True)
        (path / place).write_bytes(content)
    return path


def _read(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _tar(*entries, form=tarfile.USTAR_FORMAT):
    """A tar of (TarInfo or name, content), made by Python's own writer."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for entry, content in entries:
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo(entry)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def _special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_what_is_packed_comes_out_as_it_was(tmp_path):
    archive = pack(_folder(tmp_path / "in"))
    unpack(archive, tmp_path / "out")
    assert _read(tmp_path / "out") == FILES


def test_the_same_files_always_give_the_same_bytes(tmp_path):
    one = pack(_folder(tmp_path / "one"))
    other = pack(_folder(tmp_path / "other", dict(reversed(FILES.items()))))
    assert one == other


def test_any_tar_program_reads_it():
    with tarfile.open(fileobj=io.BytesIO(packed(FILES))) as tar:
        assert {entry.name: tar.extractfile(entry).read() for entry in tar} == FILES


@settings(deadline=None)
@given(st.dictionaries(FILE, st.binary(max_size=1500), max_size=5))
def test_every_set_of_files_comes_back(files):
    assert unpacked(packed(files)) == files


@settings(deadline=None)
@given(st.data())
def test_no_changed_byte_gives_another_reading_of_the_same_archive(data):
    archive = bytearray(packed(FILES))
    at = data.draw(st.integers(0, len(archive) - 1))
    archive[at] ^= data.draw(st.integers(1, 255))
    try:
        files = unpacked(bytes(archive))
    except BundleError:
        return
    # A file's own content changed, and TUF sees that; nothing else has a second spelling.
    assert packed(files) == bytes(archive)
    assert files != FILES


def test_an_archive_cut_at_any_byte_is_refused():
    archive = packed(FILES)
    for length in range(len(archive)):
        with pytest.raises(BundleError):
            unpacked(archive[:length])


def test_an_archive_with_something_behind_it_is_refused():
    for more in (b"\0", bytes(512), bytes(10240), b"hidden"):
        with pytest.raises(BundleError):
            unpacked(packed(FILES) + more)


HOSTILE = {
    "a path out of the folder": [("../metadata/1.root.json", b"x")],
    "a path out of a room": [("metadata/../../escaped", b"x")],
    "an absolute path": [("/metadata/1.root.json", b"x")],
    "another room": [("etc/1.root.json", b"x")],
    "a folder below": [("targets/a/b", b"x")],
    "a hidden name": [("targets/.bashrc", b"x")],
    "a line break": [("targets/a\nb", b"x")],
    "a very long name": [("targets/" + "a" * 200, b"x")],
    "a folder": [(_special("metadata", tarfile.DIRTYPE), b"")],
    "a link": [(_special("metadata/1.root.json", tarfile.SYMTYPE, "/etc/passwd"), b"")],
    "a hard link": [(_special("metadata/1.root.json", tarfile.LNKTYPE, "/etc/passwd"), b"")],
    "a device": [(_special("metadata/1.root.json", tarfile.CHRTYPE), b"")],
    "a pipe": [(_special("metadata/1.root.json", tarfile.FIFOTYPE), b"")],
    "a file twice": [("metadata/1.root.json", b"x"), ("metadata/1.root.json", b"y")],
    "another order": [("targets/a", b"x"), ("metadata/b", b"y")],
}


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("entries", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused_and_write_nothing(tmp_path, entries, form):
    try:
        archive = _tar(*entries, form=form)
    except ValueError:
        # This form of tar cannot even say it.
        archive = _tar(*entries, form=tarfile.GNU_FORMAT)
    with pytest.raises(BundleError):
        unpack(archive.rstrip(b"\0") + bytes(-len(archive.rstrip(b"\0")) % 512 + 1024), tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert not (tmp_path.parent / "escaped").exists()


@pytest.mark.parametrize("size", [b"-0000000001", b"+0000000001", b"77777777777", b" 0000000001"])
def test_a_length_that_is_no_plain_number_is_refused(size):
    archive = bytearray(packed({"targets/a": b"x"}))
    archive[124:135] = size
    header = bytes(archive[:148]) + b" " * 8 + bytes(archive[156:512])
    archive[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(BundleError):
        unpacked(bytes(archive))


def test_archives_that_are_too_large_are_refused_before_they_are_read():
    with pytest.raises(BundleError, match="at most"):
        unpacked(bytes(LARGEST_ARCHIVE_BYTES + 1))
    with pytest.raises(BundleError, match="at most"):
        packed({f"metadata/{number}.root.json": b"" for number in range(MOST_FILES + 1)})


def test_garbage_is_no_archive():
    for garbage in (b"", b"x", bytes(512), b"\x1f\x8b" + bytes(2000), b"PK\x03\x04" + bytes(4000)):
        with pytest.raises(BundleError):
            unpacked(garbage)


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(StorageError, match="not empty"):
        unpack(packed(FILES), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_that_is_no_bundle_cannot_be_packed(tmp_path):
    with pytest.raises(StorageError):
        pack(tmp_path)
    _folder(tmp_path, {**FILES, "targets/.hidden": b""})
    with pytest.raises(BundleError, match="hidden"):
        pack(tmp_path)

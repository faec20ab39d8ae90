"""Which board this is, read from what the kernel says of it."""

import pytest

from device.board import Board, this_board

PI = "Raspberry Pi 5 Model B Rev 1.0"


def root(folder, *, model=None, cpuinfo=None):
    """Return a folder that looks like the root of a machine."""
    (folder / "proc/device-tree").mkdir(parents=True)
    if model is not None:
        (folder / "proc/device-tree/model").write_bytes(model)
    if cpuinfo is not None:
        (folder / "proc/cpuinfo").write_bytes(cpuinfo)
    return folder


def test_a_pi_says_its_model_and_the_zero_byte_at_its_end_is_left_out(tmp_path):
    here = root(tmp_path, model=f"{PI}\0".encode(), cpuinfo=b"model name\t: another\n")
    assert this_board(here).name == PI


def test_without_a_device_tree_the_processor_names_itself(tmp_path):
    lines = b"processor\t: 0\nmodel name\t: AMD  EPYC\t7B13\n\nprocessor\t: 1\n"
    assert this_board(root(tmp_path, cpuinfo=lines)).name == "AMD EPYC 7B13"


@pytest.mark.parametrize("cpuinfo", [None, b"", b"\xff\xfe:\xff\n:::\n", b"model name :\n"])
def test_where_nothing_is_said_the_architecture_is_the_name(tmp_path, monkeypatch, cpuinfo):
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert this_board(root(tmp_path, model=b"\0\n", cpuinfo=cpuinfo)).name == "aarch64"


def test_a_name_is_one_short_printable_line(tmp_path):
    found = this_board(root(tmp_path, model=b"a\x1b[31m\nb\xff" + b"c" * 500)).name
    assert found.isprintable()
    assert found.startswith("a [31m b")
    assert len(found) == 80


def test_only_the_cores_that_this_process_may_use_count(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {1, 3, 5})
    assert this_board(root(tmp_path, model=b"x")) == Board("x", 3)


def test_a_board_in_words():
    assert str(Board("x", 1)) == "x, 1 core"
    assert str(Board("x", 4)) == "x, 4 cores"

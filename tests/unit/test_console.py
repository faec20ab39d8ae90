"""One way to fail: a sentence and an exit code for what the computer refuses, no mask for ours."""

import os
import tomllib
from pathlib import Path

import pytest

from device.configuration import LARGEST_BYTES, parse_configuration, read_text
from device.errors import ConfigurationError
from tools.console import guarded
from tools.desk.keys import read_public_keys
from tools.desk.main import main as desk
from tools.desk.watchlist.offences import read_offences
from tools.field.main import main as field
from tools.lab.main import main as lab


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (OSError(36, "File name too long", "x"), 9, "File name too long"),
        (NotADirectoryError(20, "Not a directory"), 9, "Not a directory"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), 2, "UTF-8"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), 2, "UTF-8"),
        (EOFError(), 2, "Nobody answered"),
        (OverflowError("date value out of range"), 2, "too large"),
        (RecursionError(), 2, "nested"),
        (MemoryError(), 9, "memory"),
    ],
)
def test_what_the_computer_refuses_is_one_sentence(capsys, error, code, word):
    assert guarded("a-program", raising(error)) == code
    said = capsys.readouterr().err
    assert said.startswith("a-program: ")
    assert word in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("error", [TypeError("ours"), KeyError("ours"), ValueError("ours")])
def test_faults_of_this_program_are_not_hidden(error):
    with pytest.raises(type(error)):
        guarded("a-program", raising(error))


def test_a_reader_who_left_is_still_no_fault(monkeypatch):
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - closed by the program
        monkeypatch.setattr("sys.stderr", nowhere)
        assert guarded("a-program", raising(BrokenPipeError())) == 0


@pytest.mark.parametrize("main", [desk, field, lab])
def test_an_argument_that_is_no_text_stops_every_program_before_it_begins(capsys, main):
    with pytest.raises(SystemExit) as caught:
        main(["--any", "a\udcffb"])
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert "is no text in UTF-8" in said
    assert said.count("\n") == 1


def test_the_command_line_itself_is_looked_at_too(capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["passerby-desk", "rights", "\udcff"])
    with pytest.raises(SystemExit):
        desk()
    assert "is no text in UTF-8" in capsys.readouterr().err


def test_a_configuration_is_a_file_of_a_size_that_somebody_wrote(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "a\0b", tmp_path / "a\udcffb", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigurationError):
            read_text(path)
    with pytest.raises(ConfigurationError, match="is no file"):
        read_text(Path("/dev/zero"))
    large = tmp_path / "large.toml"
    large.write_bytes(b"#" * (LARGEST_BYTES + 1))
    with pytest.raises(ConfigurationError, match="too large"):
        read_text(large)
    large.write_bytes(b"#\r\n" * 10)
    assert read_text(large) == "#\n" * 10


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5000])
def test_a_configuration_that_only_an_attacker_writes_is_one_sentence(tmp_path, text):
    with pytest.raises((ValueError, RecursionError)):
        tomllib.loads(text)
    with pytest.raises(ConfigurationError, match="not valid TOML"):
        parse_configuration(text, tmp_path / "device.toml")


@pytest.mark.parametrize("key", ["", "/", "."])
def test_a_signing_key_without_a_file_name_is_one_sentence(capsys, key):
    assert desk(["signing-key", "show", key]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("content", ["a = " + "[" * 20_000, "a = " + "9" * 5000, "\0", None])
def test_offences_that_cannot_be_meant_are_one_sentence(tmp_path, content):
    path = tmp_path / "offences.toml"
    if content is None:
        os.mkfifo(path)
    else:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match="is no list of offences"):
        read_offences(path)


def test_keys_of_a_device_are_not_read_from_a_pipe_or_a_device(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(ConfigurationError, match="it is no file"):
            read_public_keys(path)

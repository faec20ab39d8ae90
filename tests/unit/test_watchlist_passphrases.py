"""Identity files: one format, fixed work, and a sentence for whatever does not open."""

import pyrage
import pytest

from device.errors import ConfigurationError
from tools.desk.watchlist import passphrases
from tools.desk.watchlist.passphrases import decrypt_with_passphrase, encrypt_with_passphrase

SECRET = "heron lantern orbit maple"


@pytest.fixture(autouse=True)
def _little_work(monkeypatch):
    monkeypatch.setattr(passphrases, "WORK", 10)


def test_an_age_tool_opens_what_is_written_here():
    sealed = encrypt_with_passphrase(b"AGE-SECRET-KEY-1X", SECRET)
    assert pyrage.passphrase.decrypt(sealed, SECRET) == b"AGE-SECRET-KEY-1X"


def test_what_an_age_tool_wrote_opens_here():
    sealed = pyrage.passphrase.encrypt(b"AGE-SECRET-KEY-1X", SECRET)
    try:
        assert decrypt_with_passphrase(sealed, SECRET, "x") == b"AGE-SECRET-KEY-1X"
    except ConfigurationError as error:
        # A fast computer may have chosen more work than is accepted here.
        assert "too much work" in str(error)  # noqa: PT017


@pytest.mark.parametrize("length", [1, 74, 65_536])
def test_it_opens_with_its_passphrase_and_no_other(length):
    sealed = encrypt_with_passphrase(b"x" * length, SECRET)
    assert decrypt_with_passphrase(sealed, SECRET, "x") == b"x" * length
    with pytest.raises(ConfigurationError, match="passphrase is wrong"):
        decrypt_with_passphrase(sealed, SECRET + " ", "x")


def test_every_cut_and_every_altered_byte_is_refused():
    sealed = encrypt_with_passphrase(b"AGE-SECRET-KEY-1X", SECRET)
    for place in range(len(sealed)):
        altered = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        for broken in (sealed[:place], altered):
            with pytest.raises(ConfigurationError):
                decrypt_with_passphrase(broken, SECRET, "x")
    with pytest.raises(ConfigurationError):
        decrypt_with_passphrase(sealed + b"x", SECRET, "x")


def test_a_file_does_not_decide_how_much_memory_it_takes():
    sealed = encrypt_with_passphrase(b"x", SECRET).replace(b" 10\n", b" 40\n", 1)
    with pytest.raises(ConfigurationError, match="too much work"):
        decrypt_with_passphrase(sealed, SECRET, "x")


@pytest.mark.parametrize("content", [b"", b"x" * 65_537])
def test_nothing_and_too_much_are_refused(content):
    with pytest.raises(ConfigurationError):
        encrypt_with_passphrase(content, SECRET)

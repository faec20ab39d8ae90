"""Asking for a secret: from the keyboard, or from a file that only its owner reads.

Never from an argument or from the environment: both can be read by every program of the computer,
and stay in the shell's history.
"""

import getpass
import os
import stat
import unicodedata
import warnings
from pathlib import Path

from device.errors import ConfigurationError

SHORTEST = 12
"""Characters of a new passphrase at least."""
_LEAST_VARIETY = 5
"""Different characters of a new passphrase at least: twelve times one letter is no secret."""
_LARGEST_FILE_BYTES = 1024
_OTHERS = 0o077


def passphrase(what: str, file: Path | None, *, new: bool = False) -> str:
    """Return a passphrase, in Unicode's form NFC, so that every keyboard types the same one.

    Args:
        what: for whom it is, as in "the officer's key officer.pem"; the question shows it.
        file: where it stands, without line break or with one at its end; None asks at the keyboard.
        new: it will protect something new: it is asked for twice and must be long enough.

    Raises:
        ConfigurationError: nobody can be asked, the two answers differ, it is too short, or the
            file cannot be read or can be read by others.
    """
    text = _asked(f"Passphrase for {what}: ") if file is None else _read(file)
    if new:
        _check(text, what)
        if file is None and _asked("The same once more: ") != text:
            raise ConfigurationError("The two passphrases differ; nothing was made.")
    elif not text:
        raise ConfigurationError(f"The passphrase for {what} is empty.")
    return text


def _check(text: str, what: str) -> None:
    if len(text) < SHORTEST or len(set(text)) < _LEAST_VARIETY:
        raise ConfigurationError(
            f"The passphrase for {what} is too weak: take {SHORTEST} characters at least, and not "
            "the same few again and again. Five words that do not belong together are good."
        )


def _asked(question: str) -> str:
    try:
        with warnings.catch_warnings():
            # Without a terminal getpass would warn, and read the secret where it can be seen.
            warnings.simplefilter("error", getpass.GetPassWarning)
            return unicodedata.normalize("NFC", getpass.getpass(question))
    except (getpass.GetPassWarning, EOFError, OSError) as error:
        raise ConfigurationError(
            "Nobody can be asked for a passphrase here: run this in a terminal, or name a file of "
            "mode 600 with --passphrase-file."
        ) from error


def _read(file: Path) -> str:
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as opened:
            found = os.fstat(opened.fileno())
            content = opened.read(_LARGEST_FILE_BYTES + 1) if stat.S_ISREG(found.st_mode) else b""
    except OSError as error:
        raise ConfigurationError(
            f"The passphrase file {file} cannot be read ({error.strerror or error})."
        ) from error
    if found.st_mode & _OTHERS:
        raise ConfigurationError(
            f"The passphrase file {file} can be read by others than its owner: chmod 600 {file}, "
            "and change the passphrase if somebody may have read it."
        )
    return _decoded(content, file)


def _decoded(content: bytes, file: Path) -> str:
    try:
        text = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"The passphrase file {file} is not text in UTF-8.") from error
    if not text or len(content) > _LARGEST_FILE_BYTES or not text.isprintable():
        raise ConfigurationError(
            f"The passphrase file {file} must hold one line: the passphrase, and nothing else."
        )
    return unicodedata.normalize("NFC", text)

"""How the appliance has a bundle verified: it asks a short-lived process, and never loads tuf."""

import logging
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from device.bundles.contents import SMALL_TARGETS, read_contents
from device.bundles.findings import Answer, Findings, decode_answer
from device.bundles.refusal import BundleError
from device.bundles.shelf import FOLDER, Shelf
from device.errors import StorageError
from device.protocol.authorisation import Authorisation
from device.protocol.bundle import TARGETS, WATCHLIST, LocalKeys, ModelList

log = logging.getLogger(__name__)

_LONGEST_S: Final = 300
"""A stick that is slower than this is broken; 20 MB from a worn one take some ten seconds."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A bundle that was verified just now, and lies in the state directory.

    folder: its release; replaced by a later bundle, it disappears. fresh_until_ns: when its first
    role expires, nanoseconds since 1970; then nothing may be compared with it. configuration: TOML
    text (`read_signed`). watchlist_sha256: of watchlist_path; whoever reads it compares.
    """

    folder: Path
    root_version: int
    timestamp_version: int
    targets_version: int
    fresh_until_ns: int
    authorisation: Authorisation
    configuration: str
    models: ModelList
    local_keys: LocalKeys
    watchlist_path: Path
    watchlist_sha256: str


def install(
    source: Path, state: Path, pinned_root: Path, now_ns: int, *, device: str | None = None
) -> Installed:
    """Verify the bundle of a folder (a USB stick) or of an archive's file, and install it.

    state: the state directory. pinned_root: `watchlist.root`. now_ns: nanoseconds since 1970.
    device: urn of this device; a bundle that does not name it is refused. Takes a second or two;
    the same bundle again changes nothing. Raises BundleError or StorageError with one sentence;
    what was installed then stays as it was.
    """
    arguments = [f"--source={source}", *([f"--device={device}"] if device else [])]
    findings = _ask("install", arguments, state, pinned_root, now_ns)
    if findings is None:
        raise BundleError("The check of the bundle ended without an answer: try again.")
    return _installed(findings, state, now_ns)


def installed(state: Path, pinned_root: Path, now_ns: int) -> Installed | None:
    """Return the installed bundle, verified anew: signatures, hashes, versions and expiry.

    None: nothing is installed, or its list was erased. Raises BundleError or StorageError.
    """
    if Shelf(state).current() is None:
        return None
    findings = _ask("check", [], state, pinned_root, now_ns)
    return None if findings is None else _installed(findings, state, now_ns)


def current_release(state: Path) -> str | None:
    """Return the name of the installed release, which changes with every installation.

    Cheap: to be asked now and then by whoever must notice `passerby update`. Raises StorageError.
    """
    current = Shelf(state).current()
    return None if current is None else current.name


def _ask(
    order: str, arguments: list[str], state: Path, pinned_root: Path, now_ns: int
) -> Findings | None:
    command = [
        *(sys.executable, "-P", "-m", "device.bundles.verify", order),
        *(f"--state={state.absolute()}", f"--root={pinned_root}", f"--now-ns={now_ns}"),
        *arguments,
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module, no shell
            command, capture_output=True, stdin=subprocess.DEVNULL, timeout=_LONGEST_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise BundleError(
            f"The check of the bundle took longer than {_LONGEST_S} s and was stopped: take "
            "another stick. What was installed stays."
        ) from error
    except OSError as error:
        raise StorageError(f"The check of the bundle cannot start ({error}).") from error
    if done.stderr:
        log.debug("device.bundles.verify: %s", done.stderr.decode("utf-8", "replace"))
    return _read(done.stdout, done.returncode)


def _read(output: bytes, code: int) -> Findings | None:
    """Return an answer's findings. Raises BundleError: no answer is a refusal."""
    try:
        answer: Answer = decode_answer(output)
    except ValueError as error:
        raise BundleError(
            f"The check of the bundle ended without an answer (code {code}): try again. What was "
            "installed stays."
        ) from error
    if answer.refused is not None:
        raise (StorageError if answer.fault == "storage" else BundleError)(answer.refused)
    return answer.found


def _installed(findings: Findings, state: Path, now_ns: int) -> Installed:
    folder = state / FOLDER / findings.release
    contents = read_contents(
        {name: _verified(folder / TARGETS / name, findings) for name in SMALL_TARGETS}, now_ns
    )
    return Installed(
        folder=folder,
        root_version=findings.root_version,
        timestamp_version=findings.timestamp_version,
        targets_version=findings.targets_version,
        fresh_until_ns=findings.fresh_until_ns,
        authorisation=contents.authorisation,
        configuration=contents.configuration,
        models=contents.models,
        local_keys=contents.local_keys,
        watchlist_path=folder / TARGETS / WATCHLIST,
        watchlist_sha256=findings.sha256[WATCHLIST],
    )


def _verified(path: Path, findings: Findings) -> bytes:
    """Read a target and compare it with what was verified: the disk may have changed between."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BundleError(
            f"{path.name} of the installed bundle cannot be read: it was replaced meanwhile, or "
            "the disk is damaged. Try again."
        ) from error
    if sha256(content).hexdigest() != findings.sha256.get(path.name):
        raise BundleError(f"{path.name} of the installed bundle was changed after its check.")
    return content

"""Erasing a watchlist: when its time has come, in one order, to the end (R24, R27).

    erase-by.json   by when the list beside it is to be erased (`device.policy.erasure.Deadline`)
    erasing.json    an erasure has begun; as long as it is there, it is not finished

The order, so that a power cut at any moment leaves less than before, and never a list without its
record or a key without need:
 1. the key in memory is wiped;
 2. `erasing.json` says what is being erased and why: from here on nothing brings the list back;
 3. the manifest says so too (R27);
 4. `ended.json`: no bundle of this version of the authorisation is installed here again;
 5. key material on the disk, and whatever may hold a copy of it, is overwritten and removed;
 6. the sealed list is overwritten and removed;
 7. so is everything else of the bundle but the TUF metadata, whose versions are the floor for the
    next bundle. They name files by length and digest, and keys; no reference, no place, no name;
 8. the manifest is closed, the audit log says "erased", and `erasing.json` goes.

Steps 2 to 4 need space; where the disk is full they are tried again after 7 has made some. A step
that fails stops none that follows it: a list must not survive for want of its record.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from device.bundles.ended import NAME as ENDED
from device.bundles.ended import Ended, read_ended
from device.bundles.shelf import Shelf
from device.errors import StorageError
from device.files import sha256_of, write_atomically
from device.manifests import Manifests, Sealed
from device.overwriting import destroy, remove
from device.policy.erasure import Deadline, decode_deadline, due, due_unverified
from device.policy.standing import Standing
from device.protocol.alert import ListVersion
from device.protocol.authorisation import Authorisation
from device.protocol.event import Sha256, Uuid
from device.protocol.identifiers import utc_text
from device.remains import (
    any_list,
    in_order,
    remove_empty_folders,
    sealed_list,
    unsigned_authorisation,
)

DEADLINE = "erase-by.json"
INTENT = "erasing.json"
_BROKEN = "Nobody can tell any more until when this list may be held."
_EARLIER = "The list was erased before; when is not known."


class Note(Protocol):
    """Appends a line to the audit log."""

    def __call__(self, event: str, **details: str) -> None:
        """event: "erased". details: texts."""


class Intent(Struct, frozen=True, forbid_unknown_fields=True):
    """An erasure that has begun. What is null was not known any more; version: authorisation's."""

    reason: str
    begun_at: str
    deployment: Uuid | None = None
    version: int | None = None
    watchlist: ListVersion | None = None
    sealed_sha256: Sha256 | None = None

    @property
    def sealed(self) -> Sealed | None:
        """Which list it is, as far as a manifest can name it."""
        if self.deployment is None or self.watchlist is None or self.sealed_sha256 is None:
            return None
        return Sealed(self.deployment, self.watchlist, self.sealed_sha256)


class Erasure:
    """state: directory. wipe: overwrites key and list in memory. note: of the audit log."""

    def __init__(self, state: Path, wipe: Callable[[], None], note: Note) -> None:
        self._state = state
        self._wipe = wipe
        self._note = note
        self._manifests = Manifests(state)

    def remember(self, authorisation: Authorisation, sealed_sha256: str) -> None:
        """Keep the deadline of an installed list beside it. Raises StorageError."""
        content = msgspec.json.encode(Deadline.of(authorisation, sealed_sha256))
        path = self._state / DEADLINE
        if _content(path) != content:
            write_atomically(path, content)

    def erase_if_due(
        self,
        authorisation: Authorisation | None,
        sealed_sha256: str | None,
        standing: Standing,
        time_ns: int,
        *,
        held: int | None = None,
    ) -> str | None:
        """Erase the list if its end has come; finish what was begun. Returns why, or None.

        To be called at each start before the first frame, also when the bundle does not verify
        (authorisation is then None), and in between. time_ns: that has surely passed
        (`device.policy.erasure.certain_ns`). held: references neither revoked nor expired, None
        while the list is not open. Raises StorageError, naming what is left: then nothing may be
        compared, and it is to be called again.
        """
        intent = _begun(self._state)
        if intent is None and authorisation is not None:
            reason = due(authorisation, standing, time_ns, held=held)
            if reason is not None:
                intent = _intent(reason, authorisation, sealed_sha256, time_ns)
        elif intent is None:
            intent = self._unverified(standing, time_ns)
        if intent is None:
            return None
        self.erase(intent, time_ns)
        return intent.reason

    def erase(self, intent: Intent, now_ns: int) -> None:
        """Do it. now_ns: nanoseconds since 1970. Raises StorageError: then it is to be repeated."""
        self._wipe()
        self._announce(intent)
        with Shelf(self._state).held(alone=True):
            # A bundle that was installed meanwhile has taken the place of the one that ended.
            spoiled = [] if _replaced(intent, self._state) else self._destroy()
        self._announce(intent, strictly=True)
        try:
            self._manifests.erased(now_ns, intent.reason)
        except OSError as error:
            raise _unrecorded(error) from error
        details = {"reason": intent.reason, "deployment": intent.deployment or "unknown"}
        if spoiled:
            details["not overwritten"] = " ".join(spoiled)
        self._note("erased", **details)
        for name in (DEADLINE, INTENT):
            remove(self._state / name)

    def _destroy(self) -> list[str]:
        """Steps 5 to 7. Returns what was removed and could not be overwritten."""
        spoiled = []
        for path in in_order(self._state):
            try:
                destroy(path)
            except StorageError as error:
                spoiled.append(str(error))
        left = next(in_order(self._state), None)
        if left is not None:
            raise StorageError(" ".join(spoiled) or f"{left} must be erased and is still there.")
        remove_empty_folders(self._state)
        return spoiled

    def _announce(self, intent: Intent, *, strictly: bool = False) -> None:
        """Steps 2 to 4. strictly: a failure counts; before, there may be no space for them."""
        for step in (self._begin, self._tell_manifest, self._bar):
            try:
                step(intent)
            except (StorageError, OSError) as error:
                if strictly:
                    raise _unrecorded(error) from error

    def _begin(self, intent: Intent) -> None:
        content = msgspec.json.encode(intent)
        if not (self._state / INTENT).exists():
            write_atomically(self._state / INTENT, content)

    def _tell_manifest(self, intent: Intent) -> None:
        if intent.sealed is not None:
            self._manifests.announced(intent.sealed, intent.reason)

    def _bar(self, intent: Intent) -> None:
        """Let no bundle bring this list back (`device.bundles.ended`)."""
        if intent.deployment is None or intent.version is None:
            return
        shelf = Shelf(self._state)
        with shelf.held(alone=True):
            ended = read_ended(shelf)
            if intent.version > ended.versions.get(intent.deployment, 0):
                versions = {**ended.versions, intent.deployment: intent.version}
                write_atomically(
                    shelf.folder / ENDED, msgspec.json.encode(Ended(versions), order="sorted")
                )

    def _unverified(self, standing: Standing, time_ns: int) -> Intent | None:
        """Judge a list whose bundle cannot be verified by what lies beside it, unsigned.

        A bundle that has expired while the device was off is such a one. Whoever forges a later end
        gains nothing: without its signatures no device opens the list.
        """
        path = sealed_list(self._state)
        if path is None:
            if not any_list(self._state):
                # An erasure on a full disk may have left the manifest open.
                self._manifests.erased(time_ns, _EARLIER)
            return None
        sealed_sha256 = _digest(path)
        signed = unsigned_authorisation(self._state)
        deadlines = self._deadlines(signed, sealed_sha256)
        if not deadlines:
            return Intent(_BROKEN, utc_text(time_ns), sealed_sha256=sealed_sha256)
        for deadline in deadlines:
            reason = due_unverified(deadline, standing, time_ns)
            if reason is not None:
                version = None if signed is None else signed.version
                named = (deadline.deployment, version, deadline.watchlist)
                return Intent(reason, utc_text(time_ns), *named, sealed_sha256)
        return None

    def _deadlines(self, signed: Authorisation | None, sealed_sha256: str | None) -> list[Deadline]:
        """Return by when a list is to be erased, as far as anything tells."""
        found = [] if signed is None else [Deadline.of(signed, sealed_sha256)]
        kept = decode_deadline(_content(self._state / DEADLINE) or b"")
        if kept is not None and sealed_sha256 in (None, kept.sealed_sha256):
            found.append(kept)
        return found


def _unrecorded(error: Exception) -> StorageError:
    return StorageError(f"The list is erased, and its record cannot be written: {error}")


def _intent(reason: str, signed: Authorisation, sealed: str | None, time_ns: int) -> Intent:
    return Intent(
        reason, utc_text(time_ns), signed.deployment, signed.version, signed.watchlist, sealed
    )


def _begun(state: Path) -> Intent | None:
    """Return the erasure that was begun. A damaged note of one is one, too."""
    path = state / INTENT
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(_content(path) or b"", type=Intent)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Intent("An erasure had begun, and its note is damaged.", "unknown")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _digest(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except StorageError:
        return None


def _replaced(intent: Intent, state: Path) -> bool:
    """Return whether another authorisation is installed than the one whose end has come."""
    signed = unsigned_authorisation(state)
    if signed is None or intent.deployment is None:
        return False
    return (signed.deployment, signed.version) != (intent.deployment, intent.version)

"""`Incoming`: puts the parts of a bundle together on the disk, as they come over MQTT.

    incoming/offer.json               which bundle: of two offers the later one counts
    incoming/<sha256>/<number>.part   the parts that are there
    incoming/bundle.tar               all of it, until it is installed or refused

Parts come in any order, twice, over days, with power cuts in between. One bundle at a time: a later
offer throws away what there is of an earlier one. What is whole is not trusted for that:
`install` checks it (TUF). Nothing here needs to be secret: the list inside is sealed.
"""

import hashlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from device.errors import StorageError
from device.files import write_atomically
from device.protocol.event import Sha256, Time
from device.protocol.part import LARGEST_BUNDLE_BYTES, BundlePartData, filled, length_of
from device.protocol.refusals import MisaddressedError, NotCanonicalError, ReplayedError

log = logging.getLogger(__name__)

OFFER: Final = "offer.json"
WHOLE: Final = "bundle.tar"
_LARGEST_OFFER_BYTES = 1_024


class Offer(Struct, frozen=True, forbid_unknown_fields=True):
    """The newest bundle that was offered. whole: it has come, and is or was in `bundle.tar`."""

    offered_at: Time
    bundle: Sha256
    size: Annotated[int, Meta(ge=1, le=LARGEST_BUNDLE_BYTES)]
    whole: bool = False

    def is_of(self, part: BundlePartData) -> bool:
        """Return whether a part belongs to this offer."""
        return (part.offered_at, part.bundle, part.size) == (
            self.offered_at,
            self.bundle,
            self.size,
        )


class Incoming:
    """One thread calls it, and none other.

    folder: of its own, `bundle/incoming`. device: URI of this device. on_bundle: called with the
    path of a whole bundle; `done` must follow, after it was installed or refused. on_missed: called
    when a part could not be kept, so that somebody asks the broker for all of them again.
    """

    def __init__(
        self,
        folder: Path,
        device: str,
        on_bundle: Callable[[Path], None],
        on_missed: Callable[[], None] = lambda: None,
    ) -> None:
        self._folder = folder
        self._device = device
        self._on_bundle = on_bundle
        self._on_missed = on_missed
        self.fault: str | None = None
        """Why the newest bundle is not here, in a sentence; None when nothing is wrong."""
        self._offer = self._read_offer()
        self._there = self._tidy()

    @property
    def newest(self) -> str | None:
        """SHA-256 of the newest bundle that came whole, for the status; None: it has not yet."""
        return self._offer.bundle if self._offer is not None and self._offer.whole else None

    def waiting(self) -> Path | None:
        """Return a whole bundle that nobody was done with before a restart, or None."""
        path = self._folder / WHOLE
        return path if self.newest is not None and path.is_file() else None

    def take(self, part: BundlePartData) -> None:
        """Keep a part; hand the bundle on when it is whole.

        Raises MisaddressedError (another device's), ReplayedError (of an older offer),
        NotCanonicalError (two bundles of one offer). A part that is there already is no error.
        """
        if part.device != self._device:
            raise MisaddressedError("A part of a bundle is for another device.")
        offer = self._offer
        if offer is not None and not offer.is_of(part):
            if part.offered_at < offer.offered_at:
                raise ReplayedError("A part belongs to an older bundle than the newest offered.")
            if part.offered_at == offer.offered_at:
                raise NotCanonicalError("Two bundles were offered as one.")
        try:
            if offer is None or not offer.is_of(part):
                offer = self._begin(part)
            if not offer.whole:
                self._keep(offer, part)
        except (StorageError, OSError) as error:
            self._missed(error)

    def done(self) -> None:
        """Remove a bundle that was installed or refused. Raises StorageError."""
        self._remove(self._folder / WHOLE)

    def erase(self, *, judged: bool = True) -> None:
        """Remove all parts and bundles (R24).

        judged: whether one that came whole was installed or refused; it is then not taken again.
        One that was not, or that was still coming, is forgotten, and the desk offers it again: it
        may be the list that follows. Whether it may be installed is not decided here. Raises
        StorageError.
        """
        judged = judged and self._offer is not None and self._offer.whole
        if not judged:
            self._offer = None
        self._there = set()
        for path in self._entries():
            if path.name != OFFER or not judged:
                self._remove(path)

    def _begin(self, part: BundlePartData) -> Offer:
        """Turn to a later bundle. First it is written down, then the earlier one goes."""
        offer = Offer(part.offered_at, part.bundle, part.size)
        self._write(offer)
        self._there = self._tidy()
        return offer

    def _keep(self, offer: Offer, part: BundlePartData) -> None:
        if part.content and part.part not in self._there:
            write_atomically(self._parts / f"{part.part}.part", part.content)
            self._there.add(part.part)
        if all(number in self._there for number in filled(offer.size)):
            self._finish(offer)

    def _finish(self, offer: Offer) -> None:
        archive = b"".join(
            (self._parts / f"{number}.part").read_bytes() for number in filled(offer.size)
        )
        if hashlib.sha256(archive).hexdigest() != offer.bundle:
            # Every part was signed by the desk: it is this disk that has changed them.
            self._remove(self._parts)
            self._there = set()
            raise StorageError(
                "The parts of a bundle do not give what the desk has sent: is the card failing? "
                "They are fetched again."
            )
        write_atomically(self._folder / WHOLE, archive)
        # In this order: a power cut in between makes the bundle anew from its parts.
        self._write(msgspec.structs.replace(offer, whole=True))
        self._remove(self._parts)
        self._there, self.fault = set(), None
        self._on_bundle(self._folder / WHOLE)

    def _missed(self, error: Exception) -> None:
        sentence = str(error) if isinstance(error, StorageError) else _unreadable(self._folder)
        if sentence != self.fault:
            log.warning("%s", sentence)
        self.fault = sentence
        self._on_missed()

    @property
    def _parts(self) -> Path:
        if self._offer is None:
            raise StorageError("There is no offer of a bundle.")
        return self._folder / self._offer.bundle

    def _write(self, offer: Offer) -> None:
        write_atomically(self._folder / OFFER, msgspec.json.encode(offer))
        self._offer = offer

    def _read_offer(self) -> Offer | None:
        """Return what was offered before; a damaged note of it is as good as none."""
        try:
            with (self._folder / OFFER).open("rb") as file:
                content = file.read(_LARGEST_OFFER_BYTES + 1)
            return msgspec.json.decode(content, type=Offer)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            log.warning("%s is damaged (%s): the bundle is fetched again.", OFFER, error)
            return None

    def _tidy(self) -> set[int]:
        """Remove what does not belong to the offer; return which of its parts are there whole."""
        offer = self._offer
        wanted = {OFFER, WHOLE if offer.whole else offer.bundle} if offer is not None else set()
        try:
            for path in self._entries():
                if path.name not in wanted:
                    self._remove(path)
            if offer is None or offer.whole or not self._parts.is_dir():
                return set()
            return {number for number in filled(offer.size) if self._is_whole(offer, number)}
        except (StorageError, OSError) as error:
            self._missed(error)
            return set()

    def _is_whole(self, offer: Offer, number: int) -> bool:
        path = self._parts / f"{number}.part"
        return path.is_file() and path.stat().st_size == length_of(offer.size, number)

    def _entries(self) -> list[Path]:
        try:
            return sorted(self._folder.iterdir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StorageError(_unreadable(self._folder)) from error

    def _remove(self, path: Path) -> None:
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path} cannot be removed ({error.strerror or error}); check the rights of its "
                "folder."
            ) from error


def _unreadable(folder: Path) -> str:
    return f"{folder} cannot be read or written: check the disk and the rights of the folder."

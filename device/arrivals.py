"""`Arrivals`: bundles that come over MQTT: put together from parts, verified, installed."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty

from device.bundles import BundleError, install
from device.bundles.parts import Incoming
from device.errors import MessageError, StorageError
from device.inbox import Inbox
from device.notebook import Notebook
from device.obedience import Obedience

log = logging.getLogger(__name__)

_PARTS_AT_ONCE = 8
"""So that a bundle of hundreds of parts does not hold up the frames."""
_AGAIN_S = 60.0


class Arrivals:
    """Bundles over MQTT. state: directory. root: pinned root of trust. device: its URI.

    fetch: asks the broker for all parts again. refused: why the newest bundle was not installed, in
    a sentence, or None.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what it joins
        self,
        inbox: Inbox,
        state: Path,
        root: Path,
        device: str,
        notebook: Notebook,
        obedience: Obedience,
        fetch: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._state = state
        self._root = root
        self._device = device
        self._notebook = notebook
        self._obedience = obedience
        self._fetch = fetch
        self._incoming = Incoming(state / "bundle" / "incoming", device, self._arrived, fetch)
        self._whole: Path | None = self._incoming.waiting()
        self._again_s = 0.0
        self.refused: str | None = None

    @property
    def newest(self) -> str | None:
        """SHA-256 of the newest bundle that came whole, for the status."""
        return self._incoming.newest

    @property
    def faults(self) -> list[str]:
        """What is wrong with bundles, a sentence each; the list in force is not touched by it."""
        return [fault for fault in (self.refused, self._incoming.fault) if fault]

    def tend(self, now_ns: int, *, believed: bool = True) -> None:
        """Put parts together; install a bundle that is whole.

        now_ns: wall clock. believed: what is refused while it is not, may be good by the true time
        and is tried again.
        """
        for _ in range(_PARTS_AT_ONCE):
            try:
                part = self._inbox.parts.get_nowait()
            except Empty:
                break
            try:
                self._incoming.take(part)
            except MessageError as error:
                self._obedience.refuse(f"{type(error).__name__}: {error}")
        if self._inbox.missed:
            self._inbox.missed = False
            self._fetch()
        if self._whole is not None and time.monotonic() >= self._again_s:
            self._install(self._whole, now_ns, believed=believed)

    def erase(self) -> None:
        """Remove what has come of any bundle: a list that ended must not come back (R24)."""
        self._incoming.erase(judged=self._whole is None)
        self._whole = None

    def _arrived(self, path: Path) -> None:
        self._whole = path

    def _install(self, path: Path, now_ns: int, *, believed: bool) -> None:
        try:
            bundle = install(path, self._state, self._root, now_ns, device=self._device)
        except StorageError as error:
            # Of this device, not of the bundle: it is tried again.
            self.refused = str(error)
            self._again_s = time.monotonic() + _AGAIN_S
            return
        except BundleError as error:
            self.refused = f"The bundle that the desk sent is refused. {error}"
            if not believed:
                # The offer is over once it is refused: nobody would send this bundle again.
                self._again_s = time.monotonic() + _AGAIN_S
                return
            log.error("%s", self.refused)  # noqa: TRY400 - a sentence, no traceback
            self._notebook.note("bundle refused", reason=str(error))
        else:
            self.refused = None
            self._notebook.note(
                "bundle installed",
                version=bundle.targets_version,
                deployment=bundle.authorisation.deployment,
            )
        self._whole = None
        try:
            self._incoming.done()
        except StorageError as error:
            self._notebook.failed(error)

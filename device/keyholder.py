"""`Keyholder`: gets the key of the list, from the desk or from this device, and hands it on."""

from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Final

from device.bundles import Installed
from device.errors import PasserbyError
from device.identity import own_keys
from device.notebook import Notebook
from device.protocol.unlocking import Unlock, UnlockRequest, unwrap_key
from device.settings import Settings
from device.trusted_time import boot_s
from device.unlock import Answer, Unlocking, Wanted

_BLOCKED_S = 30.0
"""A list that opened and could not be used is tried again after this, or when anything changes."""

_TIME_AGAIN_S = 60.0
"""An answer that did not make the clock believed is asked for again after this."""

_FINAL: Final = ("reported stolen", "ended")


class Keyholder:
    """One thread calls it. device: URI of this device. answers: what the courier hears.

    ask: sends a request. on_time: called with every answer of the desk. on_key: called with a key,
    which it overwrites, and "remote" or "local". on_end: called with a reason and the desk's time
    when the desk will never open this list again.
    """

    def __init__(  # noqa: PLR0913 - what it joins
        self,
        settings: Settings,
        device: str,
        notebook: Notebook,
        *,
        answers: SimpleQueue[Unlock],
        ask: Callable[[UnlockRequest], None],
        on_time: Callable[[Answer], None],
        on_key: Callable[[bytearray, str], None],
        on_refusal: Callable[[str], None],
        on_end: Callable[[str, int], None],
    ) -> None:
        self._local = settings.watchlist.unlock == "local"
        self._state = Path(settings.device.state_directory)
        self._device = device
        self._notebook = notebook
        self._answers = answers
        self._on_time = on_time
        self._on_key = on_key
        self._on_end = on_end
        self._unlocking = Unlocking(device, ask, self._answered, on_refusal)
        self._blocked: str | None = None
        self._blocked_until_s = 0.0
        self._time_again_s = 0.0

    @property
    def reason(self) -> str | None:
        """Why there is no key, in a sentence; None while none is sought."""
        return self._blocked or self._unlocking.reason

    @property
    def asks(self) -> bool:
        """Whether the desk is being asked."""
        return self._unlocking.reason is not None

    def seek(self, bundle: Installed) -> None:
        """Get the key of a list that may be opened."""
        if self._blocked is not None:
            return
        if self._local:
            self._unwrap(bundle)
        else:
            self._begin(bundle)

    def ask_the_time(self, bundle: Installed | None) -> None:
        """Let the desk confirm the clock, though the list may not be opened."""
        if bundle is None or self._local or self._unlocking.reason is not None:
            return
        now_s = boot_s()
        if now_s >= self._time_again_s:
            self._time_again_s = now_s + _TIME_AGAIN_S
            self._begin(bundle)

    def tend(self, now_s: float, now_ns: int) -> None:
        """Take answers and ask again. now_s: of `boot_s`; now_ns: wall clock."""
        while True:
            try:
                self._unlocking.take(self._answers.get_nowait())
            except Empty:
                break
        self._unlocking.tick(now_s, now_ns)
        if self._blocked is not None and now_s >= self._blocked_until_s:
            self._blocked = None

    def block(self, reason: str) -> None:
        """Seek no key for a while: the list is of no use as it is."""
        self._unlocking.stop()
        self._blocked, self._blocked_until_s = reason, boot_s() + _BLOCKED_S

    def stop(self) -> None:
        """Seek no key, and forget what was asked."""
        self._unlocking.stop()
        self._blocked, self._time_again_s = None, 0.0

    def _begin(self, bundle: Installed) -> None:
        if self._unlocking.reason is not None:
            return
        signed = bundle.authorisation
        wanted = Wanted(signed.deployment, signed.watchlist, bundle.watchlist_sha256)
        self._unlocking.begin(wanted)
        self._notebook.note("unlock asked", deployment=signed.deployment)

    def _answered(self, answer: Answer) -> None:
        self._on_time(answer)
        if answer.key is not None:
            self._on_key(answer.key, "remote")
            return
        refusal = answer.refusal or "without a reason"
        self._notebook.note("unlock refused", deployment=answer.deployment, reason=refusal)
        if answer.refusal in _FINAL:
            self._on_end(f"the desk says: {refusal}", answer.desk_ns)

    def _unwrap(self, bundle: Installed) -> None:
        wrapped = bundle.local_keys.wrapped.get(self._device)
        if wrapped is None:
            self.block(
                "The bundle has no key for this device, whose watchlist.unlock is local: the desk "
                "seals the list for it, with --local-device."
            )
            return
        deployment = bundle.authorisation.deployment
        try:
            key = unwrap_key(wrapped, own_keys(self._state), self._device, deployment)
        except PasserbyError as error:
            self.block(f"The list's key in the bundle is not for this device: {error}")
            return
        self._on_key(bytearray(key), "local")

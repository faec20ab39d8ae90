"""`Charge`: everything that a device with a signed list looks after, besides its frames.

Time, bundles that arrive, the key, orders, the stop rule, erasure, the record. `tend` does what is
due; `situation` gathers the facts for policy; `decide` acts on the verdict between two sessions.
"""

import logging
import time
from pathlib import Path

import msgspec

from device.alerts import Courier
from device.arrivals import Arrivals
from device.audit import Ledger
from device.custody import Custody
from device.ending import Ending
from device.erasure import Erasure
from device.errors import StorageError
from device.exposure import Exposures
from device.inbox import Inbox
from device.keyholder import Keyholder
from device.manifests import Manifests, Sealed
from device.memory import overwrite, swap_is_on
from device.notebook import Notebook
from device.obedience import Obedience
from device.policy.arming import Verdict, judge
from device.policy.configured import loosened
from device.policy.erasure import certain_ns
from device.policy.situation import Situation
from device.policy.standing import Standing
from device.protocol.authorisation import LONGEST_RETENTION_H, Authorisation
from device.protocol.identifiers import utc_ns, utc_text
from device.protocol.order import CommandData
from device.protocol.status import StatusData
from device.protocol.topics import Topics
from device.settings import Settings
from device.trusted_time import TrustedTime, boot_s
from device.unlock import Answer

log = logging.getLogger(__name__)

_ERASE_EVERY_S = 5.0


class Charge:
    """One thread calls it. inbox: what the courier hears.

    process_fault: why frames and faces in memory may be swapped to the disk, or None.
    """

    def __init__(  # noqa: PLR0913 - what a device is made of
        self,
        settings: Settings,
        inbox: Inbox,
        courier: Courier,
        notebook: Notebook,
        obedience: Obedience,
        *,
        process_fault: str | None = None,
    ) -> None:
        self._process_fault = process_fault
        state = Path(settings.device.state_directory)
        self._state = state
        self._settings = settings
        self._device = Topics(settings.device.site, settings.device.id).source
        self._courier = courier
        self.notebook = notebook
        self.obedience = obedience
        self.custody = Custody(settings, notebook)
        courier.keep_for(self._alerts_h() * 3600)
        self._time = TrustedTime(state)
        self._arrivals = Arrivals(
            inbox,
            state,
            Path(settings.watchlist.root),
            self._device,
            notebook,
            obedience,
            courier.fetch_bundle,
        )
        self._erasure = Erasure(state, self._wiped, notebook.note)
        self._ending = Ending(settings, courier, notebook, obedience)
        self._erasure_fault: str | None = None
        self._erase_next_s = 0.0
        self._manifests = Manifests(state)
        self._exposures = Exposures(state, notebook)
        self._watching = False
        self._keyholder = Keyholder(
            settings,
            self._device,
            notebook,
            answers=inbox.unlocks,
            ask=courier.ask,
            on_time=self._timed,
            on_key=self._open,
            on_refusal=obedience.refuse,
            on_end=self._ended_by_the_desk,
        )

    @property
    def authorisation(self) -> Authorisation:
        """Return the authorisation in force. Raises RuntimeError where there is none."""
        if self.custody.installed is None:
            raise RuntimeError("Nothing is authorised.")
        return self.custody.installed.authorisation

    @property
    def asks(self) -> bool:
        """Whether the desk is being asked for the key, or for the time."""
        return self._keyholder.asks

    def obey(self) -> None:
        """Let orders take effect while nothing is watched; the appliance does it meanwhile."""
        told = [order.data for order in self.obedience.obey()]
        gone = [one.reference_id for one in told if isinstance(one, CommandData)]
        revoked = [reference_id for reference_id in gone if reference_id is not None]
        if revoked and self.custody.installed is not None:
            # The list may be opened again hours later; these have left it now.
            self._delist(revoked, self._time.certain_ns)

    def tend(self) -> None:
        """Do what is due: time, bundles, answers, the stop rule."""
        now_ns, now_s = self._time.now(), boot_s()
        self._heard()
        self._arrivals.tend(now_ns, believed=self._time.fault is None)
        if self.custody.look(now_ns, now_s):
            self._changed()
        self._keyholder.tend(now_s, now_ns)
        self._count(now_s)
        # A clock that is not believed overwrites nothing: only what has surely passed counts.
        sure_ns = self._time.certain_ns
        gone = self.custody.expire(self.obedience.standing.revoked, sure_ns)
        if gone:
            self._delist(gone, sure_ns)

    def decide(self) -> Verdict:
        """Return what this device does now; erase, ask and open as the verdict says."""
        situation = self.situation(None)
        verdict = judge(situation)
        self._erase_if_due(situation, urgent=verdict.state == "over")
        bundle = self.custody.installed
        if verdict.state == "ready" and bundle is not None:
            self._keyholder.seek(bundle)
            verdict = judge(self.situation(None))
        elif verdict.state == "waiting" and self.custody.gallery is not None:
            # It is of no use as it is: sealed again, and the reason stays in the status.
            self._block(" ".join(verdict.reasons))
        elif verdict.state == "waiting" and self._time.fault is not None:
            self._keyholder.ask_the_time(bundle)
        elif verdict.state != "armed":
            self._keyholder.stop()
        return verdict

    def situation(self, camera_fault: str | None, *, storage: bool = True) -> Situation:
        """Gather the facts. storage: whether a fault of the disk counts."""
        now_ns, custody = self._time.now(), self.custody
        bundle, standing = custody.installed, self.obedience.standing
        floor_ns, clock_fault = self._time.floor_ns, self._time.fault
        # As for erasing: a clock that is not believed lets no reference expire.
        sure_ns = certain_ns(now_ns, floor_ns, believed=clock_fault is None)
        return Situation(
            now_ns=now_ns,
            floor_ns=floor_ns,
            device=self._device,
            authorisation=None if bundle is None else bundle.authorisation,
            fresh_until_ns=None if bundle is None else bundle.fresh_until_ns,
            standing=standing,
            bundle_fault=custody.fault,
            clock_fault=clock_fault,
            stop_rule=standing.stopped,
            loosened=_loosened(custody),
            storage_fault=(self._erasure_fault or self.notebook.fault) if storage else None,
            memory_fault=custody.memory_fault or self._process_fault,
            swaps=swap_is_on(),
            opened=custody.facts(standing.revoked, sure_ns),
            lock_fault=self._keyholder.reason or custody.lock_fault,
            models=custody.models,
            threshold=custody.threshold,
            camera_fault=camera_fault,
        )

    def begin(self, ledger: Ledger) -> None:
        """Begin to watch."""
        self._exposures.begin(ledger, self.obedience.standing)
        self._watching = True

    def disarm(self, reason: str) -> None:
        """End watching: the list is wiped, the counts are kept."""
        self._exposures.step(self.obedience.standing, time.monotonic())
        self._watching = False
        self._exposures.keep()
        self.custody.close(reason)
        self.notebook.note("disarmed", reason=reason)

    def leave(self) -> None:
        """Wipe everything before the process ends."""
        self._keyholder.stop()
        self.custody.close("the appliance stops")
        self._time.keep()

    def told(self, status: StatusData) -> StatusData:
        """Return a status with what only this knows."""
        bundle = self.custody.installed
        return msgspec.structs.replace(
            status,
            reasons=[*status.reasons, *self._arrivals.faults],
            watchlist=status.watchlist or (bundle and bundle.authorisation.watchlist),
            last_order=self.obedience.standing.last_order,
            checkpoint=self.notebook.anchor,
            bundle=self._arrivals.newest,
        )

    def _heard(self) -> None:
        """Every order carries a time that the desk has signed."""
        if self.obedience.heard_ns:
            self._time.heard(self.obedience.heard_ns)

    def _changed(self) -> None:
        """Another bundle is in force, or none."""
        self._keyholder.stop()
        bundle = self.custody.installed
        self._time.signed(None if bundle is None else utc_ns(bundle.authorisation.signed_at))
        self._courier.keep_for(self._alerts_h() * 3600)
        if bundle is not None:
            self.obedience.keep(_serving(self.obedience.standing, bundle.authorisation))
            try:
                self._erasure.remember(bundle.authorisation, bundle.watchlist_sha256)
            except StorageError as error:
                self.notebook.failed(error)

    def _alerts_h(self) -> float:
        """Return for how many hours alerts are kept: this device may keep them shorter (R25)."""
        own = min(self._settings.retention.alerts_h, LONGEST_RETENTION_H)
        bundle = self.custody.installed
        return own if bundle is None else min(own, bundle.authorisation.retention.alerts_h)

    def _count(self, now_s: float) -> None:
        """Let the stop rule judge what verifiers have found so far (R32)."""
        standing = self.obedience.standing
        if self._watching:
            self._exposures.step(standing, now_s)
        bundle = self.custody.installed
        if bundle is None or standing.stopped is not None:
            return
        why = self._exposures.verdict(bundle.authorisation.stop_rule, standing)
        if why is not None and self.obedience.keep(standing.suspended_itself(why)):
            log.error("%s", why)
            self.notebook.note("suspended", reason=why)

    def _timed(self, answer: Answer) -> None:
        self._time.answered(answer.desk_ns, answer.waited_s)

    def _ended_by_the_desk(self, reason: str, desk_ns: int) -> None:
        """A list that the desk will never open again is erased, as by its order."""
        bundle = self.custody.installed
        if bundle is not None:
            # The answer is newer than the signature, whatever the desk's clocks say.
            desk_ns = max(desk_ns, utc_ns(bundle.authorisation.signed_at))
        self.obedience.keep(
            msgspec.structs.replace(
                self.obedience.standing,
                ended=reason,
                ended_at=utc_text(desk_ns),
                record_owed=True,
            )
        )

    def _open(self, key: bytearray, how: str) -> None:
        """Open the list; a key that was asked for the time only, or too late, opens nothing."""
        try:
            wanted = self.custody.gallery is None
            if wanted and judge(self.situation(None)).state == "ready":
                signed = self.authorisation
                self.notebook.note("unlocked", deployment=signed.deployment, how=how)
                if self.custody.open(key):
                    self._list_it(signed)
                else:
                    self._block(self.custody.lock_fault or "The list could not be opened.")
        finally:
            overwrite(key)

    def _list_it(self, signed: Authorisation) -> None:
        """Before the first comparison the manifest says who is on the list (R27)."""
        bundle, gallery = self.custody.installed, self.custody.gallery
        if bundle is None or gallery is None:
            return
        sealed = Sealed(signed.deployment, signed.watchlist, bundle.watchlist_sha256)
        try:
            self._manifests.opened(sealed, gallery.template_digests(), self._time.now())
        except StorageError as error:
            self.notebook.failed(error)
            self._block(str(error))

    def _delist(self, gone: list[str], now_ns: int) -> None:
        try:
            self._manifests.delisted(self.authorisation.deployment, dict.fromkeys(gone, now_ns))
        except StorageError as error:
            self.notebook.failed(error)

    def _block(self, reason: str) -> None:
        self.custody.close(reason)
        self._keyholder.block(reason)

    def _erase_if_due(self, now: Situation, *, urgent: bool) -> None:
        """Erase if policy says so; looked at now and then, for it may hash the whole list."""
        now_s = time.monotonic()
        if not urgent and now_s < self._erase_next_s:
            return
        self._erase_next_s = now_s + _ERASE_EVERY_S
        bundle = self.custody.installed
        time_ns = self._time.certain_ns
        try:
            why = self._erasure.erase_if_due(
                now.authorisation,
                None if bundle is None else bundle.watchlist_sha256,
                now.standing,
                time_ns,
                held=None if now.opened is None else now.opened.held,
            )
            self._erasure_fault = None
            if why is not None:
                self.custody.forget()
                self._arrivals.erase()
        except StorageError as error:
            self._erasure_fault = str(error)
            return
        self._ending.settle()

    def _wiped(self) -> None:
        """Erasing begins."""
        self._keyholder.stop()
        self.custody.close("the list is erased")
        bundle = self.custody.installed
        self._ending.begin(None if bundle is None else bundle.authorisation)


def _serving(standing: Standing, signed: Authorisation) -> Standing:
    threshold_id = signed.threshold.threshold_id
    return standing.serving(signed.deployment, threshold_id, silent=signed.mode != "alerting")


def _loosened(custody: Custody) -> tuple[str, ...]:
    """Return what the signed configuration has looser than the evaluation; empty: nothing."""
    if custody.installed is None:
        return ()
    attack = None if custody.eye is None else custody.eye.attack
    scale = None if attack is None else attack.entry.live
    live = None if scale is None else scale.threshold
    return loosened(custody.settings.matching, custody.settings.vision, live)

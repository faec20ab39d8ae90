"""The wiring: which room hands what to which, and who owns the threads.

Three threads: capture (owned by `Camera`), processing (the caller of `run`), courier (owned by the
sink). Orders of the desk are obeyed between two frames. A frame is taken, its faces are compared if
nothing forbids it, it is wiped. Whatever happens in between, the wiping happens (R13, R14).
"""

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from device import __version__
from device.alerts import AlertMaker, AlertSink
from device.alerts.maker import Circumstances, Draft
from device.audit import Ledger, Tally
from device.audit.events import Value
from device.capture import Camera, Frame
from device.circumstances import circumstances_of, models_of
from device.conditions import Conditions, DemonstrationConditions
from device.deployment import deployment_record
from device.effects import Effects
from device.errors import BrokerError, MessageError
from device.matching import Confirmed, Cooldown, Gallery
from device.notebook import Notebook
from device.obedience import Obedience
from device.pacing import Pacing
from device.protocol.alert import LARGEST_CROP_BYTES, ListVersion
from device.protocol.bands import margin_band, score_band
from device.protocol.record import Record
from device.protocol.status import State, StatusData
from device.recognition import Recogniser, scale_of
from device.settings import Settings
from device.vision import Eye, Sighting

log = logging.getLogger(__name__)

_FRAME_WAIT_S = 0.2
_LOG_EVERY = 100


class Appliance:
    """Runs until the source ends, `stop` is called, or its conditions end the session.

    conditions: the rules of the list's session; by default those of a demonstration. pacing: how
    hard it works; by default by this board's own clock and thermometer.
    """

    def __init__(  # noqa: PLR0913 - the rooms that are wired
        self,
        settings: Settings,
        eye: Eye,
        gallery: Gallery,
        camera: Camera,
        sink: AlertSink,
        *,
        notebook: Notebook,
        obedience: Obedience,
        conditions: Conditions | None = None,
        pacing: Pacing | None = None,
    ) -> None:
        self._settings = settings
        self._conditions = conditions or DemonstrationConditions(settings, obedience)
        self._eye = eye
        self._models = models_of(eye)
        self._gallery = gallery
        self._camera = camera
        self._sink = sink
        self._recogniser = Recogniser(eye, gallery, settings)
        self._cooldown = Cooldown(settings.matching.cooldown_s)
        self._maker = AlertMaker(self._circumstances(), time.time_ns)
        self._notebook = notebook
        self._obedience = obedience
        # A signed list is erased by its custody, key first; an unsigned one is a file.
        listed = settings.watchlist.path if self._conditions.mode == "demonstration" else ""
        self._effects = Effects(
            obedience, notebook, Path(listed) if listed else None, gallery, self._recogniser
        )
        self._pacing = pacing or Pacing(
            settings.vision,
            small_detector=eye.small_detector is not None,
            live=camera.live,
            note=notebook.note,
        )
        self._stopping = threading.Event()
        self._processing_fault: str | None = None
        self.ledger = Ledger()
        self._tally = Tally(
            self.ledger,
            notebook.note,
            purpose=self._conditions.purpose,
            watchlist=self._list_version(),
        )

    @property
    def storage_fault(self) -> str | None:
        """Why the state directory cannot be written, in a sentence, or None."""
        return self._notebook.fault

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler."""
        self._stopping.set()

    def run(self, on_ready: Callable[[], None] = lambda: None) -> int:
        """Deliver and watch until the end. Returns how many alerts wait in the outbox.

        on_ready: called once, after the first frame was processed. Raises BrokerError when the
        courier's thread has died.
        """
        self._sink.start()
        try:
            self.watch(on_ready)
        finally:
            undelivered = self._shut_down()
        return undelivered

    def watch(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """Process frames until the end; somebody else owns the sink. See `run`."""
        self._effects.apply()
        self._note_start()
        self._camera.start()
        self._report("starting", [])
        ready = False
        try:
            while not self._ended:
                if not self._sink.alive:
                    # Nothing could leave any more: the supervisor starts the process again.
                    raise BrokerError(self._sink.fault or "The courier has died.")
                self._effects.obey(self._sink, self._record)
                self._step()
                self._tally.step()
                if not ready and self.ledger.frames:
                    ready = True
                    on_ready()
        finally:
            self._camera.stop()
            self._recogniser.forget()
            self._gallery.wipe()
            self._tally.close()

    def _note_start(self) -> None:
        listed = self._list_version()
        details: dict[str, Value] = {
            "watchlist": listed.id,
            "version": listed.version,
            "purpose": self._conditions.purpose,
        }
        if self._conditions.mode == "demonstration":
            self._notebook.note("start", **details)
        else:
            self._notebook.note("armed", mode=self._conditions.mode, **details)

    @property
    def _ended(self) -> bool:
        return self._stopping.is_set() or self._camera.finished or self._conditions.over

    def _step(self) -> None:
        """Take one frame, or notice that there is none, and say how things are."""
        frame = self._camera.next(_FRAME_WAIT_S)
        self._pacing.tend()
        reasons = self._conditions.reasons(self._notebook.fault, self._camera.fault)
        reasons = [*reasons, *self._pacing.reasons]
        if reasons:
            # Nothing of a face, not even a box, stays while comparing is forbidden.
            self._recogniser.forget()
        if frame is not None:
            self._take(frame, armed=not reasons)
        idle = bool(reasons) or self._fault is not None
        self._report("not comparing" if idle else "comparing", reasons)

    @property
    def _fault(self) -> str | None:
        """Why nothing is compared although it may be, in a sentence, or None."""
        return self._processing_fault or self._pacing.fault

    def _take(self, frame: Frame, *, armed: bool) -> None:
        """Process one frame and wipe it; one that is too old is only wiped."""
        if self._pacing.too_old(frame.taken_ns):
            frame.release()
            self.ledger.late += 1
            return
        self._recogniser.effort = self._pacing.effort
        self._process(frame, armed=armed)
        if armed:
            self._pacing.done(frame.taken_ns)

    def _process(self, frame: Frame, *, armed: bool) -> None:
        """Process one frame and wipe it, whatever happens."""
        try:
            if armed:
                raise_alert = partial(self._raise_alert, frame)
                self._recogniser.process(frame, raise_alert, self._note_attack)
                self._processing_fault = None
        except Exception as error:  # noqa: BLE001 - a failed frame goes the way of a good one (R14)
            self.ledger.faults += 1
            self._processing_fault = f"A frame could not be processed ({type(error).__name__})."
            # Not what the error says: a library may quote what it had in hand.
            log.error("frame not processed: %s", type(error).__name__)  # noqa: TRY400
        finally:
            frame.release()
        if armed:
            # Also of a frame that failed: whoever was seen is counted (R14, R37).
            self.ledger.faces += self._recogniser.new_tracks
            self.ledger.compared += self._recogniser.compared
        faces = self._recogniser.faces_in_frame if armed else 0
        self.ledger.frame_ended(faces, wiped=frame.released and self._eye.wiped)
        if self.ledger.frames % _LOG_EVERY == 0:
            log.debug("frames=%d", self.ledger.frames)

    def _raise_alert(self, frame: Frame, confirmed: Confirmed, face: Sighting) -> None:
        if not self._cooldown.ready(confirmed.reference_id, frame.seconds):
            return
        crop = None if self._conditions.mode == "silent" else self._portrait(face)
        draft = self._maker.draft(confirmed, frame.captured_at_ns, crop)
        self.ledger.alerts += 1
        if self._conditions.mode == "silent":
            # Recorded for the pilot's evaluation; nobody is engaged (R35).
            self._note_silently(draft, confirmed)
            return
        self._notebook.note("alert", alert=draft.id, reference=draft.reference_id)
        if not self._sink.submit(draft):
            self._notebook.note("alert lost: there was no room for it", alert=draft.id)

    @staticmethod
    def _portrait(face: Sighting) -> bytes | None:
        try:
            return face.portrait(LARGEST_CROP_BYTES)
        except MessageError as error:
            # An alert without its picture is worth more than no alert.
            log.warning("%s", error)
            return None

    def _note_silently(self, draft: Draft, confirmed: Confirmed) -> None:
        bands = scale_of(self._eye.embedder_entry).bands
        self._notebook.note(
            "alert",
            alert=draft.id,
            reference=draft.reference_id,
            sent="no: silent mode",
            band=score_band(confirmed.score, bands),
            margin_band=margin_band(confirmed.margin),
        )

    def _record(self) -> Record:
        """Return the counts of the deployment, over all runs."""
        self._tally.close()
        return deployment_record(
            self._settings,
            self._list_version(),
            len(self._gallery),
            self._circumstances().threshold_id,
            running=True,
            written=self._notebook.fault is None,
        )

    def _note_attack(self) -> None:
        """Note that a face was judged a print or a screen: no reference, no score, no alert."""
        self.ledger.attacks += 1
        self._notebook.note("presentation attack judged")

    def _report(self, state: State, reasons: list[str]) -> None:
        if self._fault is not None:
            reasons = [*reasons, self._fault]
        reasons = [*reasons, *self._sink.alarms]
        status = StatusData(
            link="offline" if state == "stopped" else "online",
            state=state,
            reasons=reasons,
            demonstration=self._conditions.mode == "demonstration",
            software=__version__,
            presentation_attack_detection=self._eye.attack_detection,
            runtime=str(self._eye.runtime),
            models=self._models,
            watchlist=self._list_version(),
            last_order=self._obedience.standing.last_order,
            mode=self._conditions.mode,
            pace=None if state == "stopped" else self._pacing.pace,
        )
        status = self._conditions.told(status)
        self._sink.report(status)
        self._notebook.show(
            status, self._camera.fault or "frames arrive", self._sink.fault or "connected"
        )

    def _shut_down(self) -> int:
        ended = self._camera.finished and not self._stopping.is_set()
        why = (self._camera.fault or "The material has ended.") if ended else "Stopped on request."
        self._report("stopped", [why])
        undelivered = self._sink.stop()
        self._report("stopped", [why])
        self._notebook.note("stop")
        return undelivered

    def _list_version(self) -> ListVersion:
        return ListVersion(self._gallery.list_id, self._gallery.version)

    def _circumstances(self) -> Circumstances:
        return circumstances_of(self._settings, self._eye, self._list_version(), self._conditions)

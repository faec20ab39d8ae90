"""`Service`: a device with a signed watchlist. It waits until all holds, watches, and waits again.

While it waits the camera is off, the list is sealed, and the status says what is missing. When
every condition of `device.policy` holds, the list is opened into locked memory and an `Appliance`
watches until one of them fails; then the list is wiped and the waiting begins anew (R6, R24, R36).
"""

import logging
import threading
from collections.abc import Callable

from device import __version__
from device.alerts import Courier
from device.appliance import Appliance
from device.capture import Camera, source_for
from device.charge import Charge
from device.errors import BrokerError, CameraError
from device.lent import Lent
from device.policy.arming import Verdict
from device.protocol.status import StatusData
from device.session import SessionConditions
from device.vision import Eye

log = logging.getLogger(__name__)

_LOOK_S = 0.25

OnReady = Callable[[Appliance, str, Eye, int], None]
"""Called once per session after its first frame: appliance, source, models, references."""


class Service:
    """charge: what this device is in charge of. courier: delivers all the while."""

    def __init__(self, charge: Charge, courier: Courier) -> None:
        self._charge = charge
        self._courier = courier
        self._stopping = threading.Event()
        self._appliance: Appliance | None = None
        self.camera: Camera | None = None
        """Of the newest session."""
        self.material_ended = False

    def stop(self) -> None:
        """Ask `run` to end; safe from a signal handler."""
        self._stopping.set()
        if self._appliance is not None:
            self._appliance.stop()

    def run(self, on_ready: OnReady) -> int:
        """Serve until `stop`, or the end of a clip. Returns how many alerts wait in the outbox.

        on_ready: called once for each session. Raises BrokerError when the courier's thread died,
        CameraError when the camera cannot be turned off: only the end of the process does it then.
        """
        notebook = self._charge.notebook
        notebook.note("start")
        self._courier.start()
        try:
            while not self._stopping.is_set():
                verdict = self._wait_step()
                if verdict.state == "armed" and self._watch(on_ready):
                    break
        finally:
            self._charge.leave()
            asked = "Stopped on request." if self._stopping.is_set() else "The material has ended."
            why = self._stuck or asked
            self._tell("stopped", [why])
            undelivered = self._courier.stop()
            self._tell("stopped", [why])
            notebook.note("stop")
        return undelivered

    def _wait_step(self) -> Verdict:
        """Look after everything once; the camera is off."""
        if not self._courier.alive:
            raise BrokerError(self._courier.fault or "The courier has died.")
        self._charge.obey()
        self._charge.tend()
        verdict = self._charge.decide()
        if verdict.state != "armed":
            self._tell("not comparing", list(verdict.reasons))
            self._stopping.wait(_LOOK_S)
        return verdict

    def _watch(self, on_ready: OnReady) -> bool:
        """Watch while armed. Returns whether the material has ended."""
        charge, custody = self._charge, self._charge.custody
        eye, gallery = custody.eye, custody.gallery
        if eye is None or gallery is None:
            return False
        source = source_for(custody.settings.camera)
        camera = self.camera = Camera(source)
        conditions = SessionConditions(charge, camera)
        appliance = Appliance(
            custody.settings,
            eye,
            gallery,
            camera,
            Lent(self._courier),
            notebook=charge.notebook,
            obedience=charge.obedience,
            conditions=conditions,
        )
        charge.begin(appliance.ledger)
        self._appliance = appliance
        if self._stopping.is_set():
            appliance.stop()
        try:
            appliance.watch(lambda: on_ready(appliance, source.name, eye, len(gallery)))
        finally:
            self._appliance = None
            charge.disarm(conditions.why or "Stopped.")
        if (stuck := camera.stuck) is not None:
            # No waiting room with the camera on: whoever starts this program starts it again.
            raise CameraError(stuck)
        # Stopping a camera ends its material too: only an end that nobody asked for counts.
        asked_for = conditions.over or self._stopping.is_set()
        self.material_ended = camera.finished and not asked_for
        return self.material_ended

    @property
    def _stuck(self) -> str | None:
        return None if self.camera is None else self.camera.stuck

    def _tell(self, state: str, reasons: list[str]) -> None:
        stopped = state == "stopped"
        status = StatusData(
            "offline" if stopped else "online",
            "stopped" if stopped else "not comparing",
            [*reasons, *self._courier.alarms],
            software=__version__,
        )
        status = self._charge.told(status)
        self._courier.report(status)
        camera = self._stuck or "off"
        self._charge.notebook.show(status, camera, self._courier.fault or "connected")

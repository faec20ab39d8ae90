"""The camera of the proof, under the name by which Passerby imports it.

A simulated picamera2 whose sensor exposes when the driver has sent a frame and the program waits
for one. The driver hears when the frame lies in the camera's buffer, and when it was released.
"""

import os
import signal
import threading
import time
from concurrent.futures import TimeoutError as FutureTimeoutError

import numpy as np

from tests.privacy.forgetting import faults, leaks
from tests.privacy.forgetting.agent.link import LEAK, VARIABLE, Link
from tests.privacy.forgetting.agent.notices import Notices, ending
from tests.privacy.forgetting.agent.plants import PLACES, Plants
from tests.simulators import picamera2 as simulated

_SLICE_S = 0.25
_BLANK = {"number": None, "at_ns": None}
"""A grey frame: a real camera gives one in time while it is turned off."""
_link = Link(os.environ[VARIABLE])
_notices = Notices(_link)
_plants = Plants(_link.receive_into)
_stalling = threading.Event()
_leaving = threading.Event()


class PatientJob(simulated.Job):
    """Waits for the driver's next frame as long as it takes.

    Otherwise every search of the memory, for which the process stands still, would look like a
    stalled camera. It times out when a stall is wanted.
    """

    def get_result(self, timeout=None):
        left = timeout
        while True:
            try:
                return super().get_result(timeout and min(timeout, _SLICE_S))
            except FutureTimeoutError:
                if self._future.done():
                    continue
                if _stalling.is_set():
                    _stalling.clear()
                    faults.fired("camera stall")
                    raise
                left -= _SLICE_S if ending.is_set() else 0
                if left <= 0:
                    raise


class NumberedRequest(simulated.CompletedRequest):
    """A frame of the driver's. taken: the program was given it."""

    def __init__(self, request, camera, number):
        super().__init__(request, camera)
        self.number = number
        self.taken = False

    def release(self):
        at_ns, last = time.monotonic_ns(), self.ref_count == 1
        # An empty buffer is asked of the memory itself, not of the view that was wiped.
        wiped = last and not any(
            np.frombuffer(memory, np.uint8).any() for memory in self.request.buffers.values()
        )
        super().release()
        if not last:
            return
        facts = {"number": self.number, "at_ns": at_ns, "wiped": wiped}
        if self.taken:
            _link.tell("released", **facts, processed=_notices.processing == self.number)
        else:
            _link.tell("dropped", **facts, fault=faults.frame_ended())


class Sensor(simulated.Hardware):
    """Holds the driver's frame, still in the socket, until the camera has a buffer for it."""

    def __init__(self):
        super().__init__()
        self.paint = self._receive
        self._lock = threading.Lock()
        self._waiting = None
        self._consumed = threading.Event()
        self.exposing = None

    @property
    def waiting(self):
        return self._waiting

    def offer(self, order):
        """Wait until a frame, announced by the driver, was taken out of the socket."""
        self._consumed.clear()
        self._waiting = order
        self._consumed.wait()

    def claim(self, sizes):
        """Take the frame that waits, if it fits."""
        with self._lock:
            order, self._waiting = self._waiting, None
        if order is None and ending.is_set():
            order = _BLANK
        if order not in (None, _BLANK) and order["sizes"] != sizes:
            self.refuse(order, f"the camera's buffers have {sizes} bytes")
            return None
        self.exposing = order
        return order

    def refuse(self, order, why):
        _link.skip(sum(order["sizes"]))
        _link.tell("refused", number=order["number"], why=why)
        self._consumed.set()

    def leave(self):
        """The camera is off: nobody will take the frame that waits."""
        with self._lock:
            order, self._waiting = self._waiting, None
        if order is not None:
            self.refuse(order, "the program has ended")

    def _receive(self, buffers, _number):
        if self.exposing is _BLANK:
            for buffer in buffers.values():
                buffer.fill(128)
            return
        for name in ("main", "lores"):
            _link.receive_into(buffers[name])
        _link.tell("filled", number=self.exposing["number"], at_ns=time.monotonic_ns())
        self._consumed.set()


class Picamera2(simulated._with_hardware(Sensor())):
    """One camera whose frames come from the driver."""

    _failing = False
    _spared = None

    def start(self, config=None, show_preview=False):  # noqa: FBT002 - picamera2's signature
        ending.clear()
        super().start(config, show_preview)
        streams = {name: self.camera_config[name]["size"] for name in self.stream_map}
        _link.tell("camera", streams=streams)

    def capture_request_(self):
        if self._failing:
            self._failing = False
            raise RuntimeError("Camera frontend has timed out!")
        done, request = super().capture_request_()
        if done:
            request.taken = True
        return done, request

    def _expose(self):
        order = self._hardware.waiting or (_BLANK if ending.is_set() else None)
        if not (order and self.started and self._queued and self._asked):
            return []
        if _stalling.is_set() or self._failing or self._strikes(order["number"]):
            return []
        order = self._hardware.claim([self.camera_config[n]["framesize"] for n in self.stream_map])
        if order is None:
            return []
        if faults.armed() == "frame lost in the camera":
            self._fail()
        (request,) = super()._expose()
        if order["at_ns"] is not None:
            request.request.metadata["SensorTimestamp"] = order["at_ns"]
        stamp = request.request.metadata["SensorTimestamp"]
        _notices.number_of[stamp / 1e9] = order["number"]
        return [NumberedRequest(request.request, self, order["number"])]

    @property
    def _asked(self):
        """Whether the program waits for a frame; a job could also be to stop."""
        return any(self.capture_request_ in job._functions for job in self._job_list[:1])

    def _strikes(self, number):
        """Let the driver's fault of the camera happen, once for each frame."""
        if self._spared == number or faults.armed() not in ("decoder", "camera stall"):
            return False
        self._spared = number
        if faults.armed() == "decoder":
            self._fail()
            self._notified.set()
        else:
            _stalling.set()
        return True

    def _fail(self):
        self._failing = True
        faults.fired(faults.armed())


CompletedRequest, MappedArray = NumberedRequest, simulated.MappedArray
# `dispatch_functions` takes the name from its own module.
simulated.Job = Job = PatientJob


def hold():
    """Stand still at the end of the program until the driver lets go."""
    Picamera2._hardware.leave()
    _link.tell("holding", at_ns=time.monotonic_ns())
    _leaving.wait()


def _plant(order):
    if order["place"] not in PLACES:
        _link.skip(order["size"])
        raise ValueError(f"there is no place called {order['place']}: {', '.join(PLACES)}")
    _plants.plant(order["place"], order["size"])


_ORDERS = {
    "frame": Picamera2._hardware.offer,
    "fault": lambda order: faults.arm(order["stage"], always=order["always"]),
    "plant": _plant,
    "planted": lambda _order: _plants.planted(),
    "unplant": lambda _order: _plants.unplant(),
    "leaked": lambda _order: leaks.leaked(),
    "leave": lambda _order: _leaving.set(),
}


def _obey():
    while (order := _link.order()) is not None:
        try:
            answer = _ORDERS[order["do"]](order)
        except Exception as error:  # noqa: BLE001 - told to the driver, who raises it
            _link.tell("answer", to=order["do"], error=f"{type(error).__name__}: {error}")
        else:
            if order["do"] != "frame":
                _link.tell("answer", to=order["do"], value=answer)
    # Nobody drives any more: the program must not stay behind alone.
    _leaving.set()
    os.kill(os.getpid(), signal.SIGTERM)


if LEAK in os.environ:
    leaks.install(os.environ[LEAK])
_notices.install()
threading.Thread(target=_obey, name="agent", daemon=True).start()

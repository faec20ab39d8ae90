"""A camera under the name by which Passerby imports picamera2, filled by a process of its own.

The calls that `device/capture/picamera.py` makes, with picamera2's manners: a request that is not
released keeps its buffers, a frame for which nobody waits goes back at once (`queue=False`), jobs
run in a thread of the library. The pictures are copied into shared memory by the sensor's process
(`tools.lab.bench.live.sensor`), as a camera's DMA would: none of that costs this process anything.
"""

import contextlib
import mmap
import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any, Final, Self

import numpy as np

VARIABLE: Final = "PASSERBY_BENCH_CAMERA"
"""`socket,memory,width,height,lores width,lores height,buffers`: descriptors and numbers."""
FRAME: Final = struct.Struct("<iiq")
"""From the sensor: generation, buffer, SensorTimestamp in nanoseconds since boot."""
ORDER: Final = struct.Struct("<ii")
"""To the sensor: what, and a buffer or, for a start, its generation."""
START, STOP, RELEASED, UNASKED = 1, 2, 3, 4

_CONTROLS = ("AeEnable", "AeExposureMode", "FrameDurationLimits", "AfMode", "LensPosition")
Stream = dict[str, Any]


class Job:
    """Something for the library's thread to do, whose result somebody may wait for."""

    def __init__(self, function: Callable[[], tuple[bool, Any]]) -> None:
        self._function = function
        self._future: Future[Any] = Future()
        self._future.set_running_or_notify_cancel()

    def execute(self) -> bool:
        """Try; False when it must be tried again after the next frame."""
        try:
            done, result = self._function()
        except Exception as error:  # noqa: BLE001 - as the real one
            self._future.set_exception(error)
            return True
        if done:
            self._future.set_result(result)
        return done

    def get_result(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - as the real one
        """Return the result. Raises TimeoutError, and what the job raised."""
        return self._future.result(timeout)

    def cancel(self) -> None:
        """Give it up."""
        self._future.set_exception(CancelledError())


class CompletedRequest:
    """A frame in one of the camera's buffers."""

    def __init__(self, camera: "Picamera2", buffer: int, taken_ns: int) -> None:
        self.config: dict[str, Stream] = camera.camera_config
        self.buffers = camera.buffers[buffer]
        self._camera = camera
        self._buffer = buffer
        self._generation = camera.generation
        self._taken_ns = taken_ns

    def get_metadata(self) -> dict[str, int]:
        """Return what the sensor said of it."""
        return {"SensorTimestamp": self._taken_ns, "ExposureTime": 2000}

    def release(self, what: int = RELEASED) -> None:
        """Give the buffer back."""
        if self._generation == self._camera.generation:
            self._camera.tell(what, self._buffer)


class MappedArray:
    """A view of a request's buffer; no copy."""

    def __init__(
        self,
        request: CompletedRequest,
        stream: str,
        reshape: bool = True,  # noqa: FBT001, FBT002 - picamera2's signature
        write: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        del write
        self._flat = request.buffers[stream]
        width, height = request.config[stream]["size"]
        self._shape = (height * 3 // 2, width) if reshape else (-1,)
        self.array: Any = None

    def __enter__(self) -> Self:
        self.array = self._flat.reshape(self._shape)
        return self

    def __exit__(self, *_: object) -> None:
        self.array = None


class _Cable:
    """The end of the sensor's cable in this process; it outlives a camera that is closed."""

    def __init__(self) -> None:
        numbers = [int(text) for text in os.environ[VARIABLE].split(",")]
        self.socket = socket.socket(fileno=numbers[0])
        self.sizes = {"main": tuple(numbers[2:4]), "lores": tuple(numbers[4:6])}
        self.count = numbers[6]
        bytes_of = {name: w * h * 3 // 2 for name, (w, h) in self.sizes.items()}
        memory = mmap.mmap(numbers[1], self.count * sum(bytes_of.values()))
        flat, at = np.frombuffer(memory, np.uint8), 0
        self.buffers: list[dict[str, Any]] = [{} for _ in range(self.count)]
        for buffer in self.buffers:
            for name, length in bytes_of.items():
                buffer[name] = flat[at : at + length]
                at += length


_cable: _Cable | None = None


class Picamera2:
    """One opened camera, with a thread that `start` begins and `close` ends."""

    def __init__(self, camera_num: int = 0) -> None:
        global _cable  # noqa: PLW0603 - a cable is plugged in once
        _cable = _cable or _Cable()
        self._cable = _cable
        self.buffers = _cable.buffers
        self.camera_idx = camera_num
        self.camera_controls = dict.fromkeys(_CONTROLS, (None, None, None))
        self.camera_config: dict[str, Any] = {}
        self.generation = 0
        self.started = False
        self._lock = threading.Lock()
        self._jobs: list[Job] = []
        self._completed: list[CompletedRequest] = []
        self._prod = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._abort = False
        self._thread: threading.Thread | None = None

    @staticmethod
    def global_camera_info() -> list[dict[str, Any]]:
        """Return the cameras that are there."""
        return [{"Model": "bench", "Num": 0}] if VARIABLE in os.environ else []

    def create_video_configuration(
        self,
        main: Stream,
        lores: Stream,
        controls: dict[str, Any],
        buffer_count: int = 6,
        **_others: object,
    ) -> dict[str, Any]:
        """Return a configuration for `configure`."""
        return {"main": main, "lores": lores, "controls": controls, "buffer_count": buffer_count}

    def configure(self, camera_config: dict[str, Any]) -> None:
        """Take a configuration. Raises RuntimeError when the material is of another size."""
        cable = self._cable
        for name, size in cable.sizes.items():
            if tuple(camera_config[name]["size"]) != size:
                raise RuntimeError(
                    f"the bench's {name} stream is {size}, not {camera_config[name]['size']}"
                )
        if camera_config["buffer_count"] != cable.count:
            raise RuntimeError(f"the bench's camera has {cable.count} buffers")
        self.camera_config = camera_config

    def set_controls(self, controls: dict[str, Any]) -> None:
        """Take controls, which change nothing here."""

    def start(self) -> None:
        """Begin to give frames."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._loop, name="picamera2", daemon=True)
            self._thread.start()
        if not self.started:
            self.generation += 1
            self.started = True
            self.tell(START, self.generation)

    def stop(self) -> None:
        """Give no more frames; buffers that are out belong to nobody any more."""
        if self.started:
            self._dispatch(self._stop, prod=True).get_result()

    def close(self) -> None:
        """End the thread."""
        self.stop()
        self._abort = True
        os.eventfd_write(self._prod, 1)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def cancel_all_and_flush(self) -> None:
        """Give up all jobs."""
        with self._lock:
            for job in self._jobs:
                job.cancel()
            self._jobs = []

    def capture_request(self, wait: bool | None = None) -> Job:  # noqa: FBT001 - as theirs
        """Ask for the next frame; only `wait=False` is known here."""
        if wait is not False:
            raise NotImplementedError("the bench's camera knows capture_request(wait=False) only")
        return self._dispatch(self._capture, prod=False)

    def tell(self, what: int, number: int) -> None:
        """Say something to the sensor; one that is gone hears nothing."""
        with contextlib.suppress(OSError):
            self._cable.socket.send(ORDER.pack(what, number))

    def _dispatch(self, function: Callable[[], tuple[bool, Any]], *, prod: bool) -> Job:
        job = Job(function)
        with self._lock:
            self._jobs.append(job)
        if prod:
            os.eventfd_write(self._prod, 1)
        return job

    def _capture(self) -> tuple[bool, Any]:
        return (True, self._completed.pop(0)) if self._completed else (False, None)

    def _stop(self) -> tuple[bool, Any]:
        self.started = False
        self._completed = []
        self.generation += 1
        self.tell(STOP, self.generation)
        return True, None

    def _loop(self) -> None:
        sources = [self._prod, self._cable.socket.fileno()]
        while not self._abort:
            readable, _, _ = select.select(sources, [], [])
            if self._prod in readable:
                os.eventfd_read(self._prod)
            if self._cable.socket.fileno() in readable:
                message = self._cable.socket.recv(FRAME.size)
                if not message:
                    # The sensor is gone: from here on this is a camera that stalls.
                    sources.pop()
                    continue
                self._arrive(*FRAME.unpack(message))
            self._work()

    def _arrive(self, generation: int, buffer: int, taken_ns: int) -> None:
        if self.started and generation == self.generation:
            self._completed.append(CompletedRequest(self, buffer, taken_ns))

    def _work(self) -> None:
        with self._lock:
            while self._jobs and self._jobs[0].execute():
                self._jobs.pop(0)
        while self._completed:
            # Nobody waits for it: `queue=False`.
            self._completed.pop(0).release(UNASKED)

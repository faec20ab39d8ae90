"""picamera2 in memory: the parts that `device.capture.picamera` uses, with the real manners.

The signatures are those of picamera2 0.3.38 (tests/unit/test_picamera.py compares them with the
real source) and so is the behaviour that can hurt:

- a request that is not released keeps its buffers; when none is left the camera starves;
- a job that timed out stays in the queue, and jobs run strictly in order: `stop` waits behind it;
- an instance that is not closed keeps its camera, so that a second one cannot open it;
- a control that the camera does not advertise is refused by `configure`;
- `MappedArray` shows the camera's own memory, YUV420 as (height * 3 / 2, stride).

Use `SimulatedPicamera2()` in place of the module. Its `hardware` is the camera itself, in the hands
of the test: stall it, break it, take it away. Call `shut_down()` at the end of the test.
"""

# The real signatures have these.
# ruff: noqa: B006, FBT002, PLR0913, PLR0917

import dataclasses
import threading
import time
from concurrent.futures import CancelledError, Future

import numpy as np

PERIOD_S = 0.002
AUTOFOCUS_CONTROLS = frozenset({"AfMode", "LensPosition"})
COMMON_CONTROLS = frozenset({"AeEnable", "AeExposureMode", "FrameDurationLimits"})
STREAM_KEYS = ("format", "size", "stride", "preserve_ar")


@dataclasses.dataclass(frozen=True)
class Transform:
    """`libcamera.Transform`."""

    hflip: int = 0
    vflip: int = 0


def boottime_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def paint_numbers(buffers, number):
    """Fill every stream's buffer with the frame's number, never 0: what is 0 was wiped."""
    for buffer in buffers.values():
        buffer.fill(number % 255 + 1)


class Hardware:
    """The sensor at the end of its ribbon cable.

    cameras: how many are connected. padding: bytes behind each row of Y. latency_ns: age of a
    frame when it arrives. paint(buffers, number): fills each stream's (height * 3 / 2, stride)
    buffer, see `paint_numbers`. stalled: gives no frames while True. start_error, request_error:
    raised by `start` and by a job that would give a request. metadata_lacks: names left out.
    instances: `Picamera2` objects made so far. held: requests that the application was given and
    has not released. starts: controls and transform of each start of the camera.
    """

    def __init__(self, cameras=1, padding=0, latency_ns=0, autofocus=True):
        self.cameras = cameras
        self.padding = padding
        self.latency_ns = latency_ns
        self.controls = COMMON_CONTROLS | (AUTOFOCUS_CONTROLS if autofocus else frozenset())
        self.paint = paint_numbers
        self.stalled = False
        self.start_error = None
        self.request_error = None
        self.metadata_lacks = frozenset()
        self.instances = 0
        self.opened = {}
        self.held = set()
        self.starts = []
        self.frames = 0

    def buffers(self, stream):
        """All memory that the open cameras have for a stream, as uint8 arrays."""
        return [
            np.frombuffer(memory[stream], np.uint8)
            for camera in self.opened.values()
            for memory in camera._buffers
        ]


class Job:
    """An operation for the event loop. One that timed out stays queued."""

    def __init__(self, functions, signal_function=None):
        self._functions = functions
        self._future = Future()
        self._future.set_running_or_notify_cancel()
        self._signal_function = signal_function
        self._result = None
        self.calls = 0

    def execute(self):
        try:
            while self._functions:
                done, result = self._functions[0]()
                self.calls += 1
                if not done:
                    break
                self._functions.pop(0)
            if not self._functions:
                self._result = result
        except Exception as error:  # noqa: BLE001 - as the real one
            self._future.set_exception(error)
            self._functions = []
        return not self._functions

    def signal(self):
        if not self._future.done():
            self._future.set_result(self._result)
        if self._signal_function:
            self._signal_function(self)

    def get_result(self, timeout=None):
        return self._future.result(timeout=timeout)

    def cancel(self):
        self._future.set_exception(CancelledError())


class _SensorRequest:
    """What libcamera completes: one buffer per stream, and the metadata."""

    def __init__(self, buffers):
        self.buffers = buffers
        self.metadata = {}


class CompletedRequest:
    """A frame. Its buffers go back to the camera when the last reference is released."""

    def __init__(self, request, picam2):
        self.request = request
        self.ref_count = 1
        self.lock = picam2.request_lock
        self.picam2 = picam2
        self.stop_count = picam2.stop_count
        self.configure_count = picam2.configure_count
        self.config = picam2.camera_config.copy()
        self.stream_map = picam2.stream_map.copy()

    def acquire(self):
        with self.lock:
            if self.ref_count == 0:
                raise RuntimeError("CompletedRequest: acquiring lock with ref_count 0")
            self.ref_count += 1

    def release(self):
        with self.lock:
            self.ref_count -= 1
            if self.ref_count < 0:
                raise RuntimeError("CompletedRequest: lock now has negative ref_count")
            if self.ref_count > 0:
                return
            if self.stop_count == self.picam2.stop_count and self.picam2.started:
                self.picam2._queued.append(self.request)
            self.picam2._hardware.held.discard(self)
            self.request = None
            self.config = {}
            self.stream_map = {}

    def get_metadata(self):
        assert self.request is not None
        return dict(self.request.metadata)


class MappedArray:
    """A view of a request's buffer; no copy."""

    def __init__(self, request, stream, reshape=True, write=True):
        stream_of_camera = request.stream_map[stream]
        assert request.request is not None
        self.__memory = request.request.buffers[stream_of_camera]
        self.__config = request.config[stream]
        self.__reshape = reshape
        self.__array = None

    def __enter__(self):
        array = np.frombuffer(self.__memory, np.uint8)
        if self.__reshape:
            array = array.reshape((self.__config["size"][1] * 3 // 2, self.__config["stride"]))
        self.__array = array
        return self

    def __exit__(self, exc_type, exc_value, exc_traceback):
        if self.__array is not None:
            del self.__array

    @property
    def array(self):
        return self.__array


class Picamera2:
    """One opened camera with its event loop, a thread that `start` begins and only `close` ends."""

    _hardware: Hardware

    def __init__(self, camera_num=0, verbose_console=None, tuning=None, allocator=None):
        self._hardware.instances += 1
        self.is_open = False
        if camera_num >= self._hardware.cameras:
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check '
                "connected cameras"
            )
        if camera_num in self._hardware.opened:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self._hardware.opened[camera_num] = self
        self.is_open = True
        self.camera_idx = camera_num
        self.request_lock = threading.Lock()
        self.lock = threading.Lock()
        self.camera_config = {}
        self.stream_map = {}
        self.started = False
        self.stop_count = 0
        self.configure_count = 0
        self.completed_requests = []
        self._job_list = []
        self._queued = []
        self._buffers = []
        self._next_controls = {}
        self._preview = None
        self._abort = threading.Event()
        self._notified = threading.Event()

    @property
    def camera_controls(self):
        return dict.fromkeys(self._hardware.controls, (None, None, None))

    def create_video_configuration(
        self,
        main={},
        lores=None,
        raw={},
        transform=Transform(),
        colour_space=None,
        buffer_count=6,
        controls={},
        display="main",
        encode="main",
        queue=True,
        sensor={},
        use_case="video",
    ):
        main = _stream({"format": "XBGR8888", "size": (1280, 720), "preserve_ar": True}, main)
        if lores is not None:
            lores = _stream({"format": "YUV420", "size": main["size"]}, lores)
        config = {
            "use_case": use_case,
            "transform": transform,
            "buffer_count": buffer_count,
            "queue": queue,
            "main": main,
            "lores": lores,
            "controls": dict(controls),
        }
        for what, stream in (("Display", display), ("Encode", encode)):
            if stream is not None and config.get(stream) is None:
                raise RuntimeError(f"{what} stream {stream} was not defined")
        return config | {"display": display, "encode": encode}

    def configure(self, camera_config=None):
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        config = camera_config.copy()
        self._check(config)
        streams = [name for name in ("main", "lores") if config[name] is not None]
        for name in streams:
            width, height = config[name]["size"]
            stride = width + self._hardware.padding
            config[name] = config[name] | {"stride": stride, "framesize": stride * height * 3 // 2}
        self._buffers = [
            {name: bytearray(config[name]["framesize"]) for name in streams}
            for _ in range(config["buffer_count"])
        ]
        self.stream_map = {name: name for name in streams}
        self._max_queue_len = 1 if config["queue"] and config["buffer_count"] > 1 else 0
        self.camera_config = config
        self.set_controls(config["controls"])
        self.configure_count += 1

    def set_controls(self, controls):
        for name in controls:
            if name not in self._hardware.controls:
                raise RuntimeError(f"Control {name} is not advertised by libcamera")
        self._next_controls |= controls

    def start(self, config=None, show_preview=False):
        if config is not None:
            self.configure(config)
        if not self.camera_config:
            raise RuntimeError("Camera has not been configured")
        if self._preview is None:
            self._abort.clear()
            self._preview = threading.Thread(target=self._event_loop, daemon=True)
            self._preview.start()
        if self.started:
            return
        if self._hardware.start_error is not None:
            raise self._hardware.start_error
        self._hardware.starts.append((self._next_controls, self.camera_config["transform"]))
        self._next_controls = {}
        self._queued = [_SensorRequest(buffers) for buffers in self._buffers]
        self.started = True

    def stop(self):
        if not self.started:
            return
        if self._preview is not None:
            self.dispatch_functions([self.stop_], wait=True, immediate=True)
        else:
            self.stop_()

    def stop_(self, request=None):
        if self.started:
            self.stop_count += 1
            self.started = False
            while self.completed_requests:
                self.completed_requests.pop(0).release()
        return (True, None)

    def cancel_all_and_flush(self):
        with self.lock:
            for job in self._job_list:
                job.cancel()
            self._job_list = []

    def close(self):
        if self._preview is not None:
            self._abort.set()
            self._preview.join()
            self._preview = None
        if not self.is_open:
            return
        self.stop()
        del self._hardware.opened[self.camera_idx]
        self.is_open = False
        self.stream_map = {}
        self.camera_config = {}

    def dispatch_functions(self, functions, wait, signal_function=None, immediate=False):
        if wait is None:
            wait = signal_function is None
        timeout = None if wait is True else wait
        with self.lock:
            only_job = not self._job_list
            job = Job(functions, signal_function)
            self._job_list.append(job)
            if only_job and (self.completed_requests or immediate):
                self._notified.set()
        return job.get_result(timeout=timeout) if wait else job

    def capture_request(self, wait=None, signal_function=None, flush=None):
        return self.dispatch_functions([self.capture_request_], wait, signal_function)

    def capture_request_(self):
        if self._hardware.request_error is not None:
            raise self._hardware.request_error
        if not self.completed_requests:
            return (False, None)
        request = self.completed_requests.pop(0)
        self._hardware.held.add(request)
        return (True, request)

    def _event_loop(self):
        """Like the real one, work only when a frame arrived or somebody prodded."""
        while not self._abort.is_set():
            prodded = self._notified.wait(PERIOD_S)
            if prodded:
                # Cleared only when seen: the real one's pipe forgets no prod either.
                self._notified.clear()
            arrived = self._expose()
            if prodded or arrived:
                self._process_requests(arrived)

    def _expose(self):
        """Complete one request, unless the camera stalls or starves."""
        if self._hardware.stalled or not self.started or not self._queued:
            return []
        request = self._queued.pop(0)
        buffers = {name: self._array(request.buffers[name], name) for name in self.stream_map}
        self._hardware.paint(buffers, self._hardware.frames)
        self._hardware.frames += 1
        metadata = {
            "SensorTimestamp": boottime_ns() - self._hardware.latency_ns,
            "ExposureTime": 2000,
        }
        request.metadata = {
            name: value
            for name, value in metadata.items()
            if name not in self._hardware.metadata_lacks
        }
        return [CompletedRequest(request, self)]

    def _process_requests(self, arrived):
        finished = []
        with self.lock:
            self.completed_requests += arrived
            while self._job_list:
                if not self._job_list[0].execute():
                    break
                finished.append(self._job_list.pop(0))
            while len(self.completed_requests) > self._max_queue_len:
                self.completed_requests.pop(0).release()
        for job in finished:
            job.signal()

    def _array(self, memory, stream):
        config = self.camera_config[stream]
        return np.frombuffer(memory, np.uint8).reshape(config["size"][1] * 3 // 2, config["stride"])

    def _check(self, config):
        for name in ("main", "lores"):
            stream = config[name]
            if stream is None:
                continue
            if stream["format"] != "YUV420":
                raise RuntimeError(f"Bad format {stream['format']} in stream {name}")
            if stream["size"][0] % 2 or stream["size"][1] % 2:
                raise RuntimeError("width and height should be even")
        if config["lores"] is not None:
            pairs = zip(config["lores"]["size"], config["main"]["size"], strict=True)
            if any(small > large for small, large in pairs):
                raise RuntimeError("lores stream dimensions may not exceed main stream")
        if not isinstance(config["transform"], Transform):
            raise TypeError("Transform has incorrect type")


class SimulatedPicamera2:
    """What `import picamera2` gives, with hardware of its own."""

    CompletedRequest = CompletedRequest
    Job = Job
    MappedArray = MappedArray

    def __init__(self, **hardware):
        self.hardware = Hardware(**hardware)
        self.Picamera2 = _with_hardware(self.hardware)

    def shut_down(self):
        """Close whatever is still open, and wake whoever still waits."""
        for camera in list(self.hardware.opened.values()):
            camera.cancel_all_and_flush()
            camera.close()


def _with_hardware(hardware: Hardware) -> type[Picamera2]:
    def global_camera_info():
        return [{"Model": "imx708", "Num": n, "Id": f"/i2c/{n}"} for n in range(hardware.cameras)]

    return type(
        "Picamera2",
        (Picamera2,),
        {"_hardware": hardware, "global_camera_info": staticmethod(global_camera_info)},
    )


def _stream(defaults: dict, updates: dict) -> dict:
    for key in updates:
        if key not in STREAM_KEYS:
            raise ValueError(f"Bad key {key!r}: valid stream configuration keys are {STREAM_KEYS}")
    stream = defaults | updates
    width, height = stream["size"]
    return stream | {"size": (width - width % 2, height - height % 2)}

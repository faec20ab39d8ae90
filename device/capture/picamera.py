"""The Pi's camera through picamera2: two streams, no copies.

Checked against the signatures of picamera2 0.3.38 (tests/unit/test_picamera.py); never run on a Pi
yet, see docs/hardware.md. Why these calls: `MappedArray` is the only way without a copy; a request
that is not released starves the camera; creating and closing `Picamera2` again and again leaks, so
one instance lives as long as the source, and a stall is answered by stop and start. Only when a
session is over it is closed: another one could not open the camera beside it.
"""

import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import ExitStack, suppress
from importlib import import_module
from typing import Any

from device.capture.frame import Frame, Picture, PixelFormat, Pixels
from device.errors import CameraError

# Names and numbers of libcamera's controls (libcamera control_ids_core.yaml); libcamera's Python
# enumerations accept plain integers.
_EXPOSURE_NORMAL, _EXPOSURE_SHORT = 0, 1
_AF_MANUAL, _AF_CONTINUOUS = 0, 2
_FORMAT = "YUV420"


def controls_for(frames_per_second: float, exposure: str, focus_m: float) -> dict[str, Any]:
    """Return libcamera controls for people who walk past.

    exposure: "short" makes the automatic exposure prefer short times and more gain; a face that
    moves 1.4 m/s at 5 m crosses about half a pixel of a 2304-pixel stream per millisecond.
    focus_m: distance in metres to focus at (lens position is in dioptres, 1/m); 0: continuous.
    """
    microseconds = round(1_000_000 / frames_per_second)
    controls: dict[str, Any] = {
        "FrameDurationLimits": (microseconds, microseconds),
        "AeEnable": True,
        "AeExposureMode": _EXPOSURE_SHORT if exposure == "short" else _EXPOSURE_NORMAL,
    }
    if focus_m > 0:
        controls |= {"AfMode": _AF_MANUAL, "LensPosition": 1 / focus_m}
    else:
        controls |= {"AfMode": _AF_CONTINUOUS}
    return controls


class PiCameraSource:
    """Frames of a CSI camera. main and lores are I420; sensor time stamps give the latency.

    module: picamera2 itself; tests hand in a simulator with the same signatures.
    """

    def __init__(  # noqa: PLR0913 - one argument per setting of the camera
        self,
        *,
        width: int,
        height: int,
        lores_width: int,
        frames_per_second: float,
        exposure: str = "short",
        focus_m: float = 0.0,
        index: int = 0,
        upside_down: bool = False,
        module: Any = None,  # noqa: ANN401 - a module, checked in the tests
    ) -> None:
        self.name = f"Pi camera {index}"
        self.live = True
        self.endless = True
        self._main_size = (width, height)
        # libcamera wants even sizes; a multiple of 32 keeps the rows free of padding.
        self._lores_size = (lores_width, 2 * round(height * lores_width / width / 2))
        self._controls = controls_for(frames_per_second, exposure, focus_m)
        self._index = index
        self._upside_down = upside_down
        self._module = module
        self._camera: Any = None
        self._pending: Any = None
        self._number = 0

    def open(self) -> None:
        """Start the camera, or start it again after a stall. Raises CameraError."""
        module = self._module = self._module or _picamera2()
        try:
            if self._camera is None:
                self._camera = self._configured(module)
            else:
                # picamera2 forgets its controls when it starts.
                self._camera.set_controls(self._known_controls(self._camera))
            self._camera.start()
        except CameraError:
            raise
        except Exception as error:
            self._abandon()
            msg = (
                f"The Pi camera does not start ({error}): check the ribbon cable with the power "
                "off, and that no other program uses it (`rpicam-hello --list-cameras`)."
            )
            raise CameraError(msg) from error

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`."""
        if self._camera is None:
            msg = f"{self.name} is not open."
            raise CameraError(msg)
        if self._pending is None:
            self._pending = self._camera.capture_request(wait=False)
        try:
            # A job that timed out stays queued in picamera2; asking it again, not for another one,
            # keeps its request from being lost.
            request = self._pending.get_result(timeout=timeout_s)
        except (FutureTimeoutError, TimeoutError) as error:
            msg = f"{self.name} gave no frame for {timeout_s:.0f} s: check the ribbon cable."
            raise CameraError(msg) from error
        except Exception as error:
            self._pending = None
            msg = f"{self.name} failed ({error})."
            raise CameraError(msg) from error
        self._pending = None
        return self._frame(request)

    def close(self) -> None:
        """Stop the camera but keep the instance, so that `open` can start it again."""
        pending, self._pending = self._pending, None
        if self._camera is None:
            return
        try:
            if pending is not None:
                # picamera2 runs its jobs in order: `stop` would wait for ever behind a request
                # that never comes.
                self._camera.cancel_all_and_flush()
            self._camera.stop()
        except Exception:  # noqa: BLE001 - a camera that cannot be stopped is given up
            self._abandon()
        if pending is not None:
            # Cancelled, mostly; but it may have come just before. Then it is wiped like any other.
            with suppress(Exception):
                request = pending.get_result(timeout=0)
                try:
                    self._frame(request).release()
                except Exception:
                    request.release()
                    raise

    def discard(self) -> None:
        """Give the camera and its buffers back to the system: nothing of a frame stays in them."""
        self._abandon()

    def _configured(self, module: Any) -> Any:  # noqa: ANN401 - picamera2 has no stubs
        if len(module.Picamera2.global_camera_info()) <= self._index:
            msg = (
                f"No Pi camera {self._index} found: check the ribbon cable with the power off, "
                "then `rpicam-hello --list-cameras`."
            )
            raise CameraError(msg)
        camera = module.Picamera2(self._index)
        try:
            self._configure(camera)
        except Exception:
            # Left open it would keep the camera busy for every later attempt.
            with suppress(Exception):
                camera.close()
            raise
        return camera

    def _configure(self, camera: Any) -> None:  # noqa: ANN401 - picamera2 has no stubs
        extra: dict[str, Any] = {}
        if self._upside_down:
            extra["transform"] = import_module("libcamera").Transform(hflip=1, vflip=1)
        configuration = camera.create_video_configuration(
            main={"size": self._main_size, "format": _FORMAT},
            lores={"size": self._lores_size, "format": _FORMAT},
            controls=self._known_controls(camera),
            buffer_count=6,
            display=None,
            encode=None,
            queue=False,
            **extra,
        )
        camera.configure(configuration)

    def _known_controls(self, camera: Any) -> dict[str, Any]:  # noqa: ANN401
        """Leave out what this camera does not have: AfMode and LensPosition without autofocus."""
        known = camera.camera_controls
        return {name: value for name, value in self._controls.items() if name in known}

    def _frame(self, request: Any) -> Frame:  # noqa: ANN401 - picamera2 has no stubs
        with ExitStack() as stack:
            stack.callback(request.release)
            main = self._picture(stack, request, "main")
            lores = self._picture(stack, request, "lores")
            sensor_ns = int(request.get_metadata()["SensorTimestamp"])
            # SensorTimestamp counts since boot, as CLOCK_BOOTTIME does.
            elapsed_ns = max(0, time.clock_gettime_ns(time.CLOCK_BOOTTIME) - sensor_ns)
            held = stack.pop_all()

        def release() -> None:
            main.pixels.fill(0)
            lores.pixels.fill(0)
            held.close()

        number, self._number = self._number, self._number + 1
        return Frame(
            number,
            time.time_ns() - elapsed_ns,
            sensor_ns / 1e9,
            lores,
            main,
            release=release,
            taken_ns=time.monotonic_ns() - elapsed_ns,
        )

    def _picture(self, stack: ExitStack, request: Any, stream: str) -> Picture:  # noqa: ANN401
        width, height = request.config[stream]["size"]
        mapped = stack.enter_context(self._module.MappedArray(request, stream, write=True))
        pixels: Pixels = mapped.array
        return Picture(pixels, width, height, PixelFormat.I420)

    def _abandon(self) -> None:
        camera, self._camera, self._pending = self._camera, None, None
        if camera is not None:
            # It is given up because it is broken.
            with suppress(Exception):
                camera.close()


def _picamera2() -> Any:  # noqa: ANN401 - picamera2 has no stubs
    try:
        return import_module("picamera2")
    except ImportError as error:
        msg = (
            f"picamera2 is not here ({error}): on Raspberry Pi OS `sudo apt install "
            "python3-picamera2`, then `make device` again, so that the environment sees it."
        )
        raise CameraError(msg) from error

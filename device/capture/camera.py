"""`Camera`: the capture thread. Latest frame wins; a lost source is noticed and opened again."""

import logging
import threading
import time
from collections.abc import Callable

from device.capture.frame import Frame
from device.capture.source import FrameSource
from device.errors import CameraError

log = logging.getLogger(__name__)

STALL_S = 1.5
"""A live source that gives no frame for this long counts as lost; the promise is two seconds."""
_GIVE_UP_S = 3.0
"""`stop` waits this long for the driver: the time in which a source must give a frame, twice."""
_RETRY_S = (0.5, 1.0, 2.0, 5.0)


class Camera:
    """Reads a source in a thread of its own and holds the one newest frame.

    A live source may drop frames; one that is not live waits until each frame is taken. One that is
    not endless ends for good at its end or its first fault. `now` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        source: FrameSource,
        stall_s: float = STALL_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._stall_s = stall_s
        self._now = now
        self._changed = threading.Condition()
        self._latest: Frame | None = None
        self._stopping = threading.Event()
        self._finished = False
        self._fault: str | None = None
        self._alive_at = now()
        self._gave_up = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def start(self) -> None:
        """Start the thread; the source opens there."""
        self._alive_at = self._now()
        self._thread.start()

    def next(self, timeout_s: float) -> Frame | None:
        """Take the newest frame, or None when there is none within `timeout_s` seconds.

        The caller owns the frame and must release it.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._latest is not None or self._finished, timeout_s)
            frame, self._latest = self._latest, None
            self._changed.notify_all()
            return frame

    @property
    def live(self) -> bool:
        """Whether a frame that is not taken in time is dropped for a newer one."""
        return self._source.live

    @property
    def finished(self) -> bool:
        """True when the material has ended and its last frame was taken."""
        with self._changed:
            return self._finished and self._latest is None

    @property
    def fault(self) -> str | None:
        """What is wrong with the source, in a sentence, or None.

        A source that hangs inside its driver is noticed here as well, by the silence.
        """
        with self._changed:
            silent_s = self._now() - self._alive_at
            watched = self._source.endless and not self._finished and self._fault is None
            if watched and silent_s > self._stall_s:
                # A fixed text: the status must not change every second.
                return (
                    f"{self._source.name} has given no frame for over {self._stall_s:.1f} s: check "
                    "its cable and its power."
                )
            return self._fault

    @property
    def stuck(self) -> str | None:
        """Why the source is still open after `stop`, in a sentence, or None when it is closed.

        Python cannot end a thread that hangs inside a driver. The kernel closes the device when the
        process ends.
        """
        if self._gave_up and self._thread.is_alive():
            return (
                f"{self._source.name} does not answer and could not be turned off: this program "
                "ends, so that the system closes it. Start it again; check the cable and the power."
            )
        return None

    def stop(self) -> None:
        """End the thread, close the source, wipe the waiting frame. Ask `stuck` whether it did."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout=_GIVE_UP_S)
            self._gave_up = True
        self._drop_latest()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._source.open()
                self._read_until_end()
                break
            except CameraError as error:
                failures = 0 if self._healthy() else failures
                self._note(str(error))
                if not self._source.endless:
                    break
                log.warning("%s", error)
            except Exception as error:  # the thread must outlive any driver's surprise
                failures = 0 if self._healthy() else failures
                self._note(f"{self._source.name} failed ({type(error).__name__}: {error}).")
                log.exception("capture failed")
                if not self._source.endless:
                    break
            finally:
                self._close()
            self._stopping.wait(_RETRY_S[min(failures, len(_RETRY_S) - 1)])
            failures += 1
        self._source.discard()
        if self._stopping.is_set():
            # A driver that hung may have given a frame after `stop` had given up on it.
            self._drop_latest()
        with self._changed:
            self._finished = True
            self._changed.notify_all()

    def _read_until_end(self) -> None:
        """Read frames until told to stop, or until the material ends."""
        while not self._stopping.is_set():
            frame = self._source.read(self._stall_s)
            if frame is None:
                return
            self._offer(frame)

    def _close(self) -> None:
        try:
            self._source.close()
        except Exception as error:  # noqa: BLE001 - the thread must outlive any driver's surprise
            log.warning("%s could not be closed: %s", self._source.name, error)

    def _offer(self, frame: Frame) -> None:
        with self._changed:
            if not self._source.live:
                self._changed.wait_for(lambda: self._latest is None or self._stopping.is_set())
            stale, self._latest = self._latest, frame
            self._fault = None
            self._alive_at = self._now()
            self._changed.notify_all()
        if stale is not None:
            stale.release()

    def _healthy(self) -> bool:
        with self._changed:
            return self._fault is None

    def _note(self, fault: str) -> None:
        with self._changed:
            self._fault = fault
            self._changed.notify_all()

    def _drop_latest(self) -> None:
        with self._changed:
            frame, self._latest = self._latest, None
        if frame is not None:
            frame.release()

"""`FrameSource`: what every camera, clip and folder of stills looks like to the appliance."""

from typing import Protocol

from device.capture.frame import Frame


class FrameSource(Protocol):
    """Where frames come from. One thread opens, reads and closes it.

    live: True where a frame that is not taken in time is dropped for a newer one: a camera, or a
    clip in real time. False for a file that is read as fast as possible: each frame is processed.
    endless: True for a camera: silence is a fault, and after a fault it is opened again. False for
    a file: its end, or its first fault, is the end.
    """

    name: str
    live: bool
    endless: bool

    def open(self) -> None:
        """Start the source. Raises CameraError with what to do."""
        ...

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame, or None at the end of the material.

        Raises CameraError when no frame came within `timeout_s` seconds, or the source failed. The
        caller owns the frame and must release it.
        """
        ...

    def close(self) -> None:
        """Stop the source and wipe its buffers. Never raises; safe to call twice."""
        ...

    def discard(self) -> None:
        """Let go of it for good, after `close`: it is not opened again. Never raises."""
        ...

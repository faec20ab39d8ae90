"""`FrameSource`: what every camera, clip and folder of stills looks like to the appliance."""

from typing import Protocol

from device.capture.frame import Frame


class FrameSource(Protocol):
    """Where frames come from. One thread opens, reads and closes it.

    live: True for a camera: a frame that is not taken in time is dropped for a newer one. False for
    a file that is read as fast as possible: every frame is processed.
    """

    name: str
    live: bool

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

"""Several clips as one frame source, one after the other."""

from pathlib import Path

from device.capture.frame import Frame
from device.capture.video import VideoSource

_PAUSE_S = 5.0


class Playlist:
    """Plays clips as fast as possible; between two of them the source's clock jumps five seconds.

    The jump ends every track, as the empty street between two people would.
    """

    live = False
    endless = False

    def __init__(self, clips: list[Path]) -> None:
        self.name = f"{len(clips)} clips"
        self._clips = list(clips)
        self._current: VideoSource | None = None
        self._offset_s = 0.0
        self._last_s = 0.0

    def open(self) -> None:
        """Open the first clip. Raises CameraError."""
        self._next_clip()

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`."""
        while self._current is not None:
            frame = self._current.read(timeout_s)
            if frame is not None:
                frame.seconds += self._offset_s
                self._last_s = frame.seconds
                return frame
            self._next_clip()
        return None

    def close(self) -> None:
        """Close the clip that is playing."""
        if self._current is not None:
            self._current.close()
        self._current = None

    def discard(self) -> None:
        """Do nothing more: `close` has closed it."""

    def _next_clip(self) -> None:
        self.close()
        if not self._clips:
            return
        self._offset_s = self._last_s + _PAUSE_S
        clip = VideoSource(self._clips.pop(0), fast=True)
        clip.open()
        self._current = clip

"""A rendered street as a frame source of the appliance; and as pictures in a folder."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from device.capture.frame import Frame, Picture
from device.capture.stills import shrunk
from device.errors import CameraError
from tools.lab.people.scene import Scene
from tools.lab.picture import write


class RenderedSource:
    """Plays scenes to the appliance as fast as it takes them; their seconds are the source's clock.

    scenes: makes the sequence anew, each time the source is opened. seen: hears of each scene and
    of the time at which it is said to be captured (UTC, nanoseconds), before the appliance does.
    """

    live = False
    endless = False

    def __init__(
        self,
        scenes: Callable[[], Iterator[Scene]],
        lores_width: int = 640,
        seen: Callable[[Scene, int], None] = lambda _scene, _captured_at_ns: None,
    ) -> None:
        self.name = "a rendered street"
        self._make = scenes
        self._lores_width = lores_width
        self._seen = seen
        self._scenes: Iterator[Scene] = iter(())
        self._number = 0

    def open(self) -> None:
        """Start the sequence. Raises CameraError when it is impossible."""
        try:
            self._scenes = self._make()
        except ValueError as error:
            raise CameraError(str(error)) from error
        self._number = 0

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`."""
        del timeout_s
        scene = next(self._scenes, None)
        if scene is None:
            return None
        captured_at_ns = time.time_ns()
        self._seen(scene, captured_at_ns)
        main = scene.image.copy()
        lores = shrunk(main, self._lores_width)

        def release() -> None:
            lores.fill(0)
            main.fill(0)

        number, self._number = self._number, self._number + 1
        return Frame(
            number,
            captured_at_ns,
            scene.seconds,
            Picture.of_bgr(lores),
            Picture.of_bgr(main),
            release=release,
        )

    def close(self) -> None:
        """End the sequence."""
        self._scenes = iter(())

    def discard(self) -> None:
        """Do nothing more: `close` has ended it."""


def write_stills(scenes: Iterator[Scene], folder: Path) -> int:
    """Write a sequence as numbered PNG files, for `camera.kind = "stills"`; return how many.

    Raises StorageError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for number, scene in enumerate(scenes, start=1):
        write(folder / f"{number:05d}.png", scene.image)
    return number

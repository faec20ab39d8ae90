"""`python -m tools.lab.people.pool`: aligned crops of many rendered people, for training.

Writes a NumPy archive: `images` (n, 160, 160, 3) uint8 BGR, the ArcFace template of 112 pixels in
the middle of each with 24 pixels round it; `identity` (n,) int32, counted from 0; `seed` the first
person's seed. Views of one person lie together; the first is frontal.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from device.capture.frame import Pixels
from device.errors import ConfigurationError, StorageError
from device.files import write_atomically
from device.opencv import cv2
from device.vision.geometry import similarity, template_points
from tools.console import guarded, notes
from tools.lab.people.person import Person
from tools.lab.people.rendered import Rendered, render
from tools.lab.people.view import View

CROP, TEMPLATE = 160, 112
_MARGIN = (CROP - TEMPLATE) // 2
_RENDERED = 168
_SCALE = 0.21
_NOTED_EVERY = 20
TRAINED_ON: Final = range(1_000_000, 1_006_000)
"""Seeds of the people whom the built-in embedder learnt by who they are. Demonstrations, tests and
evaluations are to show others."""


def aligned(rendered: Rendered) -> Pixels:
    """Cut the aligned crop, (160, 160, 3) uint8 BGR, out of a picture."""
    target = template_points(TEMPLATE) + np.float32(_MARGIN)
    move = similarity(rendered.landmarks, target)
    crop = cv2.warpAffine(
        rendered.image, move, (CROP, CROP), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(crop, np.uint8)


def views(seed: int, number: int) -> list[View]:
    """Return the views of one person in a pool: a frontal one, then any."""
    rng = np.random.default_rng([seed, 11])
    drawn = [replace(View.random(rng), scale=_SCALE) for _ in range(number - 1)]
    return [View.frontal(seed), *drawn]


def crops(seed: int, number: int) -> Pixels:
    """Render one person's aligned crops, (number, 160, 160, 3) uint8 BGR."""
    person = Person.from_seed(seed)
    return np.stack([aligned(render(person, view, _RENDERED)) for view in views(seed, number)])


class Pool:
    """A pool that is being made, kept beside its archive so that it can go on after a stop.

    The crops are written straight into `FILE.part.npy`; `FILE.part.txt` says how many people are
    done, and which pool it is.
    """

    def __init__(self, out: Path, identities: int, views_each: int, seed: int) -> None:
        self._out, self._seed, self._each = out, seed, views_each
        self._identities = identities
        self._images = out.with_suffix(".part.npy")
        self._note = out.with_suffix(".part.txt")
        self._name = f"{identities} people from seed {seed} in {views_each} views"

    def done(self) -> int:
        """Return how many people an earlier run of this very pool has done."""
        if not (self._images.is_file() and self._note.is_file()):
            return 0
        count, _, name = self._note.read_text("utf-8").partition(" of ")
        return int(count) if name == self._name else 0

    def make(self, done: int) -> None:
        """Render everybody from person `done` on. Raises StorageError."""
        try:
            with Progress(console=notes) as progress:
                task = progress.add_task("rendering people", total=self._identities, completed=done)
                images = self._opened(done)
                for number in range(done, self._identities):
                    first = number * self._each
                    images[first : first + self._each] = crops(self._seed + number, self._each)
                    progress.advance(task)
                    if (number + 1) % _NOTED_EVERY == 0:
                        self._write_note(number + 1)
            self._finish(images)
        except OSError as error:
            raise StorageError(f"{self._out} cannot be written ({error}).") from error

    def _opened(self, done: int) -> npt.NDArray[np.uint8]:
        if done:
            return np.lib.format.open_memmap(self._images, mode="r+")
        self._note.unlink(missing_ok=True)
        shape = (self._identities * self._each, CROP, CROP, 3)
        return np.lib.format.open_memmap(self._images, mode="w+", dtype=np.uint8, shape=shape)

    def _write_note(self, done: int) -> None:
        write_atomically(self._note, f"{done} of {self._name}".encode())

    def _finish(self, images: npt.NDArray[np.uint8]) -> None:
        identity = np.repeat(np.arange(self._identities, dtype=np.int32), self._each)
        np.savez(self._out, images=images, identity=identity, seed=self._seed)
        self._images.unlink()
        self._note.unlink(missing_ok=True)


def main(arguments: list[str] | None = None) -> int:
    """Make a pool; 0 when it is complete."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab.people.pool", description=__doc__)
    parser.add_argument("--identities", type=int, required=True, metavar="N")
    parser.add_argument("--views", type=int, default=4, metavar="K")
    parser.add_argument("--seed", type=int, default=TRAINED_ON.start)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--resume", action="store_true", help="go on with a pool that was stopped")
    options = parser.parse_args(arguments)
    return guarded("people.pool", lambda: _make(options))


def _make(options: argparse.Namespace) -> int:
    if options.identities < 1 or options.views < 1 or options.seed < 0:
        raise ConfigurationError("--identities and --views must be positive, --seed not negative.")
    if options.out.suffix != ".npz":
        raise ConfigurationError("--out must name a file that ends in .npz.")
    pool = Pool(options.out, options.identities, options.views, options.seed)
    pool.make(pool.done() if options.resume else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

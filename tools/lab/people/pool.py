"""`python -m tools.lab.people.pool`: aligned crops of many rendered people, for training.

Writes a NumPy archive: `images` (n, 160, 160, 3) uint8 BGR, the ArcFace template of 112 pixels in
the middle of each with 24 pixels round it; `identity` (n,) int32, counted from 0; `seed` the first
person's seed. Views of one person lie together; the first is frontal.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from device.capture.frame import Pixels
from device.errors import ConfigurationError, StorageError
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
_SAVE_EVERY = 250


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
    """A pool that is being made, kept beside its archive so that it can go on after a stop."""

    def __init__(self, out: Path, identities: int, views_each: int, seed: int) -> None:
        self._out, self._seed, self._each = out, seed, views_each
        self._identities = identities
        self._part = out.with_suffix(f".{seed}x{views_each}.part.npy")
        self._images = np.zeros((identities * views_each, CROP, CROP, 3), np.uint8)

    def resume(self) -> int:
        """Take up what an earlier run left; return how many people are done."""
        if not self._part.is_file():
            return 0
        kept = np.load(self._part, mmap_mode="r")[: len(self._images)]
        done = len(kept) // self._each
        self._images[: done * self._each] = kept[: done * self._each]
        return done

    def make(self, done: int) -> None:
        """Render everybody from person `done` on. Raises StorageError."""
        with Progress(console=notes) as progress:
            task = progress.add_task("rendering people", total=self._identities, completed=done)
            for number in range(done, self._identities):
                first = number * self._each
                self._images[first : first + self._each] = crops(self._seed + number, self._each)
                progress.advance(task)
                if (number + 1) % _SAVE_EVERY == 0:
                    self._save(self._part, self._images[: first + self._each])
        self._finish()

    def _finish(self) -> None:
        identity = np.repeat(np.arange(self._identities, dtype=np.int32), self._each)
        try:
            np.savez(self._out, images=self._images, identity=identity, seed=self._seed)
        except OSError as error:
            raise StorageError(f"{self._out} cannot be written ({error}).") from error
        self._part.unlink(missing_ok=True)

    @staticmethod
    def _save(path: Path, images: npt.NDArray[np.uint8]) -> None:
        fresh = path.with_suffix(".new.npy")
        try:
            np.save(fresh, images)
            fresh.replace(path)
        except OSError as error:
            raise StorageError(f"{path} cannot be written ({error}).") from error


def main(arguments: list[str] | None = None) -> int:
    """Make a pool; 0 when it is complete."""
    parser = argparse.ArgumentParser(prog="python -m tools.lab.people.pool", description=__doc__)
    parser.add_argument("--identities", type=int, required=True, metavar="N")
    parser.add_argument("--views", type=int, default=4, metavar="K")
    parser.add_argument("--seed", type=int, default=0)
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
    pool.make(pool.resume() if options.resume else 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Still pictures: one file at a time, or a folder as a frame source.

Pillow decodes, not OpenCV: it refuses a truncated file, which OpenCV fills up with grey, and it
tells the size before it decodes, so that a hostile 100-megapixel file costs nothing.
"""

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from device.capture.frame import Frame, Picture, Pixels
from device.errors import CameraError, PictureError
from device.opencv import cv2

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MEGAPIXELS = 50
"""Largest picture that is decoded; a 50-megapixel one takes 150 MB."""
SMALLEST_PX = 24
"""Smallest side of a picture that can show a face worth comparing."""


def read_still(path: Path) -> Pixels:
    """Read a picture as (h, w, 3) uint8 BGR, turned upright by its EXIF tag.

    Raises PictureError: missing, empty, no picture, cut, too large or too small.
    """
    try:
        _refuse_empty(path)
        with warnings.catch_warnings():
            # Pillow warns of what is refused below anyway, and of broken EXIF, which is no loss.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                return _decode(path, image)
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        msg = f"{path} is not a picture (JPEG, PNG, BMP, TIFF and WebP are read)."
        raise PictureError(msg) from error
    except Image.DecompressionBombError as error:
        msg = f"{path} is larger than {MEGAPIXELS} megapixels; make it smaller first."
        raise PictureError(msg) from error
    except FileNotFoundError as error:
        raise PictureError(f"{path} does not exist.") from error
    except (PermissionError, IsADirectoryError) as error:
        raise PictureError(f"{path} cannot be read ({error.strerror}).") from error
    except Exception as error:
        # Pillow raises struct.error, TypeError and others for damaged tags and tables.
        raise PictureError(f"{path} is damaged or cut and cannot be decoded.") from error


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise PictureError(f"{path} is empty.")


def _decode(path: Path, image: Image.Image) -> Pixels:
    width, height = image.size
    if width * height > MEGAPIXELS * 1_000_000:
        msg = (
            f"{path} has {width * height / 1e6:.0f} megapixels, the limit is {MEGAPIXELS}; make it "
            "smaller first."
        )
        raise PictureError(msg)
    if min(width, height) < SMALLEST_PX:
        msg = f"{path} is {width}×{height} pixels: too small to show a face."
        raise PictureError(msg)
    # Sixteen-bit greys would be clipped to white by convert(); scale them instead.
    if image.mode.startswith("I;16"):
        wide = np.asarray(image)
        image = Image.fromarray((wide >> 8).astype(np.uint8))
    upright = ImageOps.exif_transpose(image).convert("RGB")
    pixels = np.asarray(cv2.cvtColor(np.asarray(upright), cv2.COLOR_RGB2BGR), dtype=np.uint8)
    for decoded in (upright, image):
        if decoded.mode in {"RGB", "L"}:
            decoded.paste(0 if decoded.mode == "L" else (0, 0, 0), (0, 0, *decoded.size))
    return pixels


class StillsSource:
    """A folder of consecutive pictures as a frame source, in the order of their names.

    frames_per_second: how far apart they are on the source's clock, which the tracker goes by.
    A file that cannot be read is handed to `on_unreadable` and left out; the others go on.
    """

    live = False
    endless = False

    def __init__(
        self,
        folder: Path,
        lores_width: int = 640,
        frames_per_second: float = 15.0,
        on_unreadable: Callable[[PictureError], None] = lambda _: None,
    ) -> None:
        self.name = f"stills in {folder}"
        self._folder = folder
        self._lores_width = lores_width
        self._rate = frames_per_second
        self._on_unreadable = on_unreadable
        self._waiting: list[Path] = []
        self._number = 0

    def open(self) -> None:
        """List the folder. Raises CameraError when it is missing or holds no pictures."""
        if not self._folder.is_dir():
            msg = f"{self._folder} is no folder; camera.path must name a folder of pictures."
            raise CameraError(msg)
        self._waiting = pictures_in(self._folder)
        if not self._waiting:
            msg = f"{self._folder} holds no pictures ({', '.join(sorted(SUFFIXES))})."
            raise CameraError(msg)

    def read(self, timeout_s: float) -> Frame | None:
        """See `FrameSource.read`."""
        del timeout_s
        while self._waiting:
            path = self._waiting.pop(0)
            try:
                return self._frame(read_still(path))
            except PictureError as error:
                self._on_unreadable(error)
        return None

    def close(self) -> None:
        """Forget the list."""
        self._waiting = []

    def discard(self) -> None:
        """Do nothing more: `close` has given it back."""

    def _frame(self, pixels: Pixels) -> Frame:
        taken_ns = time.monotonic_ns()
        small = shrunk(pixels, self._lores_width)

        def release() -> None:
            small.fill(0)
            pixels.fill(0)

        number, self._number = self._number, self._number + 1
        lores, main = Picture.of_bgr(small), Picture.of_bgr(pixels)
        seconds = number / self._rate
        return Frame(
            number, time.time_ns(), seconds, lores, main, release=release, taken_ns=taken_ns
        )


def pictures_in(folder: Path) -> list[Path]:
    """Return the pictures in a folder (not below it), sorted by name."""
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SUFFIXES)


def shrunk(pixels: Pixels, width: int) -> Pixels:
    """Return a copy no wider than `width` pixels, or `pixels` itself where it is narrow enough."""
    height, full_width, _ = pixels.shape
    if full_width <= width:
        return pixels
    size = (width, max(1, round(height * width / full_width)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

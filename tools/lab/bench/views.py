"""Frames for measurements: rendered streets in a camera's buffers, filled outside the clock."""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

import numpy as np

from device.capture.frame import Frame, Picture, PixelFormat, Pixels
from device.matching import Gallery
from device.opencv import cv2
from device.recognition import Recogniser
from device.settings import (
    CameraSettings,
    DeviceSettings,
    Settings,
    VisionSettings,
    WatchlistSettings,
)
from device.vision import Eye
from tools.lab.people import Person, scene
from tools.lab.people.scene import Stage, compose
from tools.lab.random_list import random_list

Size = tuple[int, int]
Layout = Literal["I420", "I420, padded rows", "BGR"]
LAYOUTS: Final[tuple[Layout, ...]] = ("I420", "I420, padded rows", "BGR")
LORES: Final[Size] = (640, 360)
SCENES: Final = {"nobody": 0, "one walker": 1, "five faces": 5}
_SEED, _STAGE, _REFERENCES = 910_000, 3, 500
_NOISE: Final = 3
_PADDING: Final = 64
_VIEWS: Final = 4


@dataclass(frozen=True, slots=True)
class Street:
    """A camera's buffers, and what is written into them in turn.

    main, lores: the buffers. shown: the bytes of both, view by view.
    """

    main: Picture
    lores: Picture
    shown: tuple[tuple[Pixels, Pixels], ...]

    def frame(self, number: int, seconds: float, *, wipes: bool = True) -> Frame:
        """Fill the buffers with the next view. wipes: its release overwrites them."""
        for picture, view in zip(
            (self.main, self.lores), self.shown[number % len(self.shown)], strict=True
        ):
            picture.pixels[...] = view

        def release() -> None:
            if wipes:
                self.main.pixels.fill(0)
                self.lores.pixels.fill(0)

        return Frame(number, time.time_ns(), seconds, self.lores, self.main, release=release)


def street(people: int, size: Size, layout: Layout = "I420") -> Street:
    """Render a street with a sensor's noise over it: empty and still, or with so many people.

    Every other view is mirrored where there are people, so that something moves in every frame.
    size: width and height of the main stream; the small one is `LORES`.
    """
    views = [
        (_laid_out(large, layout), _laid_out(small, layout))
        for large, small in _pictures(people, size)
    ]
    return Street(
        _picture(np.zeros_like(views[0][0]), size, layout),
        _picture(np.zeros_like(views[0][1]), LORES, layout),
        tuple(views),
    )


def recogniser(eye: Eye, vision: VisionSettings, seed: int = 1) -> Recogniser:
    """Return a recogniser whose list holds nobody: 500 random references."""
    nobody = random_list(_REFERENCES, eye, np.random.default_rng(seed))
    settings = Settings(
        DeviceSettings("bench", "bench", demonstration=True),
        CameraSettings("picamera2"),
        WatchlistSettings(""),
        vision=vision,
    )
    return Recogniser(eye, Gallery(nobody, eye.embedder_entry.sha256), settings)


@lru_cache(maxsize=4)
def _pictures(people: int, size: Size) -> list[tuple[Pixels, Pixels]]:
    """Return the views as BGR, of the main and of the small stream."""
    rng = np.random.default_rng(2)
    if people:
        walkers = [Person.from_seed(_SEED + number) for number in range(people)]
        picture = scene(walkers, _STAGE, size).image
    else:
        picture = compose(Stage.random(rng, size), [], rng).image
    pictures = []
    for number in range(_VIEWS):
        if people and number:
            picture = np.ascontiguousarray(picture[:, ::-1])
        noise = rng.integers(-_NOISE, _NOISE + 1, picture.shape)
        noisy = np.clip(picture + noise, 0, 255).astype(np.uint8)
        small = cv2.resize(noisy, LORES, interpolation=cv2.INTER_AREA)
        pictures.append((noisy, np.asarray(small, np.uint8)))
    return pictures


def _picture(pixels: Pixels, size: Size, layout: Layout) -> Picture:
    form = PixelFormat.BGR if layout == "BGR" else PixelFormat.I420
    return Picture(pixels, *size, form)


def _laid_out(bgr: Pixels, layout: Layout) -> Pixels:
    """Return a picture's bytes as a camera of that layout has them."""
    if layout == "BGR":
        return bgr
    packed = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420), np.uint8)
    if layout == "I420":
        return packed
    height, width, _ = bgr.shape
    padded = np.zeros((len(packed), width + _PADDING), np.uint8)
    padded[:height, :width] = packed[:height]
    chroma = padded[height:].reshape(height, -1)
    chroma[:, : width // 2] = packed[height:].reshape(height, -1)
    return padded

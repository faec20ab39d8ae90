"""A street in which people are coloured, chequered squares: honest input for honest stand-ins.

The stand-in detector really looks for saturated squares in the pixels, and the stand-in embedder
really measures the hue of the aligned crop: blank the pixels, and nobody is found. With them the
whole chain can be tested without any model and without any face.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from device.capture.frame import Frame, Picture
from device.matching.gallery import Gallery
from device.protocol.watchlist import DemonstrationList, Reference
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision.catalogue import Contract, ModelEntry, ScoreScale
from device.vision.detector import COLUMNS
from device.vision.eye import Eye, limits_from
from device.vision.geometry import template_points
from device.vision.inference import RuntimeInfo
from device.vision.sample import Aligner, Probe

SIDE = 112
WIDTH, HEIGHT = 640, 360
DIMENSION = 16
LENGTH = np.float32(4)
"""Of the stand-in embedder's output."""
SHA = "ab" * 32


@dataclass(frozen=True)
class Person:
    """hue: 0 to 179, who it is. x, y, size: the square at second 0; speed in pixels per second.

    paper: it is no person but a picture of one, held up with a wide white border.
    """

    hue: int
    x: float
    y: float = 100
    size: int = 80
    speed: float = 0
    until_s: float = 1e9
    paper: bool = False


def picture(people, seconds):
    """Render the street at a time, (HEIGHT, WIDTH, 3) uint8 BGR."""
    hsv = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    hsv[:, :, 2] = 120
    for person in people:
        x = round(person.x + person.speed * seconds)
        left, right = max(0, x), min(WIDTH, x + person.size)
        if seconds > person.until_s or right - left < person.size:
            continue
        rows, columns = np.mgrid[0 : person.size, 0 : person.size]
        top = round(person.y)
        if person.paper:
            border = 2 * person.size
            sheet = slice(max(0, top - border), top + 3 * person.size)
            hsv[sheet, max(0, left - border) : right + border] = (0, 0, 255)
        region = hsv[top : top + person.size, left:right]
        region[:, :, 0] = person.hue
        region[:, :, 1] = 200
        region[:, :, 2] = np.where((rows // 8 + columns // 8) % 2, 230, 90)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def frame(people, number, rate=10.0):
    """Return frame `number` of a camera that shows the street `rate` times per second."""
    seconds = number / rate
    pixels = picture(people, seconds)
    shown = Picture.of_bgr(pixels)
    return Frame(
        number,
        1_790_000_000_000_000_000 + int(seconds * 1e9),
        seconds,
        shown,
        shown,
        release=lambda: pixels.fill(0),
    )


class HueDetector:
    """Finds saturated squares; the same interface as `device.vision.detector.Detector`."""

    input_size = (WIDTH, HEIGHT)
    wiped = True

    def __init__(self):
        self.calls = 0

    def wipe(self):
        """Nothing of a frame is kept."""

    def detect(self, lores, main_width):
        self.calls += 1
        scale = main_width / lores.width
        hsv = cv2.cvtColor(lores.region_bgr(0, 0, lores.width, lores.height), cv2.COLOR_BGR2HSV)
        mask = cv2.morphologyEx(
            (hsv[:, :, 1] > 100).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)
        )
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        rows = [_row(stats[i], scale) for i in range(1, count) if stats[i][4] > 100]
        return np.array(rows, np.float32).reshape(-1, COLUMNS)


def _row(stat, scale):
    x, y, width, height, _ = (float(v) * scale for v in stat)
    points = template_points(SIDE) / SIDE * np.array([width, height], np.float32) + (x, y)
    return [x, y, width, height, *points.reshape(-1), 0.9]


class HueEmbedder:
    """Turns a crop's hue into a template; the same interface as `Embedder`."""

    side = SIDE
    dimension = DIMENSION
    wiped = True

    def __init__(self):
        self.calls = 0
        self.probes = []

    def wipe(self):
        """The probes that are kept are wiped by whoever uses them."""

    def features(self, sample):
        self.calls += 1
        hsv = cv2.cvtColor(sample.pixels[40:72, 40:72], cv2.COLOR_BGR2HSV)
        return LENGTH * template(float(np.median(hsv[:, :, 0])))

    def embed(self, sample):
        probe = Probe(self.features(sample) / LENGTH)
        self.probes.append(probe)
        return probe


def template(hue):
    """Return the template of a hue, (DIMENSION,) float32 of unit length; similar hues are alike."""
    angle = hue / 180 * 2 * np.pi
    waves = np.arange(1, DIMENSION // 2 + 1)
    vector = np.concatenate([np.cos(waves * angle), np.sin(waves * angle)]).astype(np.float32)
    return vector / np.linalg.norm(vector)


def entry(role, scores=None):
    return ModelEntry(
        name=f"stand-in-{role}",
        role=role,
        file="none",
        sha256=SHA,
        collection="built-in",
        licence="Apache-2.0",
        training_data="none",
        card="none",
        contract=Contract((1, SIDE, SIDE, 3), "uint8", "BGR", [[1, DIMENSION]]),
        scores=scores,
    )


def settings(folder, **sections):
    return Settings(
        device=DeviceSettings("s1", "d1", str(folder), demonstration=True),
        camera=CameraSettings("stills"),
        watchlist=WatchlistSettings("none"),
        **sections,
    )


def eye(configuration):
    return Eye(
        detector=HueDetector(),
        aligner=Aligner(SIDE),
        embedder=HueEmbedder(),
        limits=limits_from(configuration.vision),
        detector_entry=entry("detector"),
        embedder_entry=entry(
            "embedder", ScoreScale(0.8, (0.9, 0.95), same=0.8, twin=0.95, second_crop_from=0.7)
        ),
        runtime=RuntimeInfo("stand-in", "1", "CPU", 1),
        other_aligner=Aligner(SIDE, "tight"),
    )


def watchlist(hues):
    return DemonstrationList(
        list_id="list-1",
        version=1,
        created_at="2026-01-01T00:00:00.000Z",
        embedder="stand-in",
        embedder_sha256=SHA,
        dimension=DIMENSION,
        references=[Reference(f"ref-{hue}", [template(hue).tobytes()]) for hue in hues],
    )


def gallery(hues):
    return Gallery(watchlist(hues), SHA)


class StreetSource:
    """The street as a frame source that ends after some frames; `on_read` may raise a fault."""

    name = "street"

    def __init__(self, people, frames, on_read=lambda number: None, *, live=False):
        self.live = live
        self.endless = live
        self._people, self._frames, self._on_read = people, frames, on_read
        self._number = 0
        self.released = 0
        self.given = []

    def open(self):
        pass

    def read(self, timeout_s):
        if self._number >= self._frames:
            return None
        self._on_read(self._number)
        shown = frame(self._people, self._number)
        self._number += 1
        self.given.append(shown)
        return shown

    def close(self):
        pass

    def discard(self):
        pass

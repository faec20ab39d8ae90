"""The loop of tutorials: detect every face in every frame, embed each, compare each with the list.

OpenCV's `FaceDetectorYN` with the YuNet that OpenCV's model zoo publishes, at Passerby's detection
threshold, then Passerby's own alignment, embedder and interpreter: what differs is the pipeline.
The conversion to BGR is granted: it is done before the clock starts. No tracker, no quality gate,
no wiping.
"""

from pathlib import Path
from typing import Literal

import numpy as np

from device.capture.frame import Picture, Pixels
from device.capture.stills import read_still
from device.errors import WatchlistError
from device.files import sha256_of
from device.opencv import cv2
from device.settings import VisionSettings
from device.vision import Catalogue, default_directory
from device.vision.detector import LANDMARKS
from device.vision.embedder import Embedder
from device.vision.inference import Floats
from device.vision.sample import Aligner
from tools.lab.bench.contestant import FrameResult, Score, Setup, View, needed
from tools.lab.collection import Collection, models_of

DETECTOR = "face_detection_yunet_2023mar.onnx"
_SUPPRESSION = 0.3
_MOST_FACES = 5000
_HASH = 16


class OpenCvDetector:
    """`cv2.FaceDetectorYN`, for pictures of any size."""

    def __init__(self, folder: Path, threshold: float) -> None:
        """Raises AbsentError when the folder does not hold the model."""
        self._path = needed(folder / DETECTOR)
        self._detector = cv2.FaceDetectorYN.create(
            str(self._path), "", (320, 320), threshold, _SUPPRESSION, _MOST_FACES
        )
        self._size = (320, 320)

    def detect(self, bgr: Pixels) -> Floats:
        """Return faces as (n, 15) float32, columns as `device.vision.detector`'s."""
        size = (bgr.shape[1], bgr.shape[0])
        if size != self._size:
            self._detector.setInputSize(size)
            self._size = size
        _, found = self._detector.detect(bgr)
        return np.empty((0, 15), np.float32) if found is None else np.asarray(found, np.float32)

    def versions(self) -> dict[str, str]:
        """Return the library, and the model's hash."""
        return {
            "opencv": cv2.__version__,
            DETECTOR: sha256_of(self._path)[:_HASH],
        }


class SameEmbedder:
    """Passerby's alignment, embedder and interpreter, on plain pictures."""

    def __init__(self, collection: Collection = "operational") -> None:
        """Raises ModelError when the model is not there."""
        catalogue = Catalogue.read(default_directory())
        models = models_of(catalogue, collection)
        self._entry = catalogue.entry(models.embedder, "embedder")
        network = catalogue.open(self._entry, models.threads, edge_tpu=False)
        self._embedder = Embedder(network)
        self._aligner = Aligner(self._embedder.side, self._entry.contract.alignment)
        self._runtime = str(network.runtime)

    def template(self, bgr: Pixels, landmarks: Floats) -> Floats | None:
        """Return a template of unit length, or None when the landmarks make no face.

        bgr: (h, w, 3) uint8. landmarks: (5, 2) float32 in its pixels.
        """
        try:
            sample = self._aligner.align(Picture.of_bgr(bgr), landmarks)
            return self._embedder.embed(sample).template
        except ValueError:
            return None

    def versions(self) -> dict[str, str]:
        """Return the interpreter, and the model's hash."""
        return {"runtime": self._runtime, self._entry.name: self._entry.sha256[:_HASH]}


class List:
    """References as rows of a matrix, compared by cosine."""

    def __init__(self, templates: dict[str, Floats]) -> None:
        """Raises WatchlistError for nobody."""
        if not templates:
            raise WatchlistError("None of the photographs could be enrolled.")
        self.ids = list(templates)
        self._matrix = np.stack(list(templates.values()))

    def best(self, template: Floats) -> Score:
        """Return the nearest reference and its cosine."""
        scores = self._matrix @ template
        index = int(scores.argmax())
        return self.ids[index], float(scores[index])


def enrolled(
    detector: OpenCvDetector, embedder: SameEmbedder, stills: list[Path]
) -> dict[str, Floats]:
    """Return the template of the largest face of each photograph that shows one."""
    templates = {}
    for still in stills:
        pixels = read_still(still)
        found = detector.detect(pixels)
        if not len(found):
            continue
        row = found[int((found[:, 2] * found[:, 3]).argmax())]
        template = embedder.template(pixels, row[LANDMARKS].reshape(5, 2))
        if template is not None:
            templates[still.stem] = template
    return templates


class WithOpenCv:
    """What contestants share that find faces with OpenCV and embed them with ours."""

    def __init__(self, setup: Setup, collection: Collection, threshold: float) -> None:
        """threshold: lowest score of a detection.

        Raises AbsentError, ModelError when a model is not there.
        """
        self._detector = OpenCvDetector(setup.peer_models, threshold)
        self._embedder = SameEmbedder(collection)
        self._list: List | None = None

    def versions(self) -> dict[str, str]:
        """See `Contestant`."""
        return self._detector.versions() | self._embedder.versions()

    def enrol(self, stills: list[Path]) -> list[str]:
        """See `Contestant`. Raises WatchlistError for nobody."""
        self._list = List(enrolled(self._detector, self._embedder, stills))
        return self._list.ids


class Loop(WithOpenCv):
    """A contestant. stream: which one the detector sees; faces are cut from the main one."""

    def __init__(
        self, stream: Literal["small", "main"], setup: Setup, collection: Collection
    ) -> None:
        super().__init__(setup, collection, VisionSettings().detection_threshold)
        shown = "the small stream" if stream == "small" else "the main stream"
        same = "the same embedder" if collection == "operational" else "the built-in embedder"
        self.name = f"OpenCV FaceDetectorYN on {shown} + {same}, every frame"
        self._stream = stream
        wanted = ("main_bgr", "lores_bgr") if stream == "small" else ("main_bgr",)
        self.wants = frozenset(wanted)

    def begin(self) -> None:
        """See `Contestant`: nothing is kept between frames."""

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        del seconds
        main, seen = view.main_bgr, view.lores_bgr if self._stream == "small" else view.main_bgr
        if main is None or seen is None or self._list is None:
            raise WatchlistError("Nobody was enrolled, or a picture is missing.")
        found = self._detector.detect(seen)
        scale = np.float32(main.shape[1] / seen.shape[1])
        best = []
        for row in found:
            template = self._embedder.template(main, row[LANDMARKS].reshape(5, 2) * scale)
            if template is not None:
                best.append(self._list.best(template))
        return FrameResult(faces=len(found), embedded=len(best), best=best)


def on_the_small_stream(setup: Setup) -> Loop:
    """Return the loop that is the fairest to compare: detection on the small stream, as ours."""
    return Loop("small", setup, "operational")


def on_the_main_stream(setup: Setup) -> Loop:
    """Return the loop as tutorials have it: detection on the camera's own picture."""
    return Loop("main", setup, "operational")


def built_in_on_the_small_stream(setup: Setup) -> Loop:
    """Return the first loop with the embedder that learnt from rendered people."""
    return Loop("small", setup, "built-in")

"""face_recognition on dlib, as its own documentation uses it on a processor.

HOG detector on the main picture, five landmarks, a ResNet's 128 numbers, Euclidean distance.
"""

import warnings
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from tools.lab.bench.contestant import AbsentError, FrameResult, Score, Setup, View
from tools.lab.bench.peers.loop import given, picture_of, short_hash

_STRIDE: Final = 5
"""A good part of a second for each frame: it is shown every fifth."""


def upsampled_once(setup: Setup) -> "FaceRecognition":
    """Look for faces in a picture twice as large: the library's default."""
    del setup
    return FaceRecognition(1)


def not_upsampled(setup: Setup) -> "FaceRecognition":
    """Look for faces in the picture as it is: four times as fast, and blind below 80 pixels."""
    del setup
    return FaceRecognition(0)


class FaceRecognition:
    """face_recognition; a score is 1 - distance, so that its threshold of 0.6 is 0.4."""

    wants = frozenset({"main_bgr"})
    stride = _STRIDE

    def __init__(self, upsampling: int) -> None:
        """upsampling: how often the picture is doubled. Raises AbsentError."""
        self._upsampling = upsampling
        self._library = _library()
        self._ids: list[str] = []
        self._templates: list[Any] = []
        self._how = "picture doubled once" if upsampling else "picture as it is"
        self.name = f"face_recognition (dlib), {self._how}"

    def versions(self) -> dict[str, str]:
        """See `Contestant`."""
        models = import_module("face_recognition_models")
        files = (
            Path(models.face_recognition_model_location()),
            Path(models.pose_predictor_five_point_model_location()),
        )
        dlib = import_module("dlib").__version__
        return {
            "face_recognition": metadata.version("face_recognition"),
            "dlib": f"{dlib}, float, 1 thread, HOG, {self._how}",
        } | {file.name: short_hash(file.read_bytes()) for file in files}

    def enrol(self, stills: list[Path]) -> list[str]:
        """See `Contestant`."""
        self._ids, self._templates = [], []
        for still in stills:
            rgb = _rgb(picture_of(still))
            places = self._library.face_locations(rgb, 1, model="hog")
            if places:
                largest = max(places, key=lambda place: place[2] - place[0])
                self._ids.append(still.stem)
                self._templates += self._library.face_encodings(rgb, [largest])
        return self._ids

    def begin(self) -> None:
        """Do nothing: no frame knows of another."""

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        del seconds
        rgb = _rgb(given(view.main_bgr))
        places = self._library.face_locations(rgb, self._upsampling, model="hog")
        # Its defaults, spelt out: one crop of each face, five landmarks.
        found = self._library.face_encodings(rgb, places, num_jitters=1, model="small")
        best = [score for one in found for score in self._nearest(one)]
        return FrameResult(faces=len(places), embedded=len(found), best=best)

    def _nearest(self, encoding: Any) -> list[Score]:  # noqa: ANN401 - no stubs
        if not self._ids:
            return []
        distances = self._library.face_distance(self._templates, encoding)
        index = int(np.argmin(distances))
        return [(self._ids[index], 1 - float(distances[index]))]


def _rgb(bgr: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _library() -> Any:  # noqa: ANN401 - no stubs
    with warnings.catch_warnings():
        # Of pkg_resources, which face_recognition_models finds its files with.
        warnings.simplefilter("ignore")
        try:
            return import_module("face_recognition")
        except SystemExit as error:
            # It ends the program when its weights are missing.
            raise AbsentError("face_recognition has no weights (`make venv-peers`).") from error

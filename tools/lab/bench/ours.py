"""Passerby itself: recognition of `passerby run`, fed as the Pi's camera feeds it.

Frames are I420 views into buffers that are used again, wiped on release; the wiping is on the
clock. Its alerts follow its own rule (`device.matching.confirmation`, at its models' default
threshold); the scores beside them are read by `tools.lab.bench.reading`.
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device import __version__
from device.capture.frame import Frame, Picture, PixelFormat, Pixels
from device.errors import WatchlistError
from device.matching import Confirmed, Gallery
from device.opencv import cv2
from device.protocol.identifiers import utc_text
from device.protocol.watchlist import DemonstrationList, Reference
from device.recognition import Recogniser
from device.settings import (
    CameraSettings,
    DeviceSettings,
    ModelSettings,
    Settings,
    VisionSettings,
    WatchlistSettings,
)
from device.vision import Catalogue, Eye, Sighting, default_directory
from tools.desk.enrolment import Report, template_of
from tools.desk.gate import LIMITS
from tools.lab.bench.contestant import FrameResult, Score, Setup, View
from tools.lab.bench.reading import Reading
from tools.lab.collection import models_of

_HASH = 16


def settings_of(models: ModelSettings, vision: VisionSettings | None = None) -> Settings:
    """Return the appliance's settings with these models, all else as it comes."""
    return Settings(
        device=DeviceSettings("bench", "bench", demonstration=True),
        camera=CameraSettings("video"),
        watchlist=WatchlistSettings(""),
        models=models,
        vision=VisionSettings() if vision is None else vision,
    )


@dataclass
class _Sums:
    """What is counted over a clip."""

    tracks: int = 0
    embedded: int = 0


class Ours:
    """A contestant: Passerby with some settings. Raises ModelError when a model is not there."""

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.wants: frozenset[str] = frozenset()
        self._settings = settings
        catalogue = Catalogue.configured(settings.models.directory)
        self._eye = self.made(Eye.open(catalogue, settings.models, settings.vision))
        self._gallery: Gallery | None = None
        self._recogniser: Recogniser | None = None
        self._alerts: list[Score] = []
        self._number = 0
        self._sums = _Sums()
        self.reading = Reading()

    def made(self, eye: Eye) -> Eye:
        """Return the eye that takes part; an ablation takes something out of it."""
        return eye

    def versions(self) -> dict[str, str]:
        """See `Contestant`."""
        libraries = {
            "passerby": __version__,
            "numpy": np.__version__,
            "opencv": cv2.__version__,
            "runtime": str(self._eye.runtime),
        }
        return libraries | {entry.name: entry.sha256[:_HASH] for entry in self._eye.entries}

    def enrol(self, stills: list[Path]) -> list[str]:
        """See `Contestant`; as `passerby-desk enrol` does. Raises WatchlistError for nobody."""
        references = references_of(self._eye, stills)
        if not references:
            raise WatchlistError("None of the photographs could be enrolled.")
        entry = self._eye.embedder_entry
        dimension = self._eye.embedder.dimension
        created = utc_text(time.time_ns())
        watchlist = DemonstrationList(
            "bench", 1, created, entry.name, entry.sha256, dimension, references
        )
        self._gallery = Gallery(watchlist, entry.sha256, dimension)
        self.begin()
        return [reference.reference_id for reference in references]

    def begin(self) -> None:
        """See `Contestant`."""
        self._sums = _Sums()
        if self._gallery is not None:
            self._recogniser = Recogniser(self._eye, self._gallery, self._settings)

    def frame(self, view: View, seconds: float) -> FrameResult:
        """See `Contestant`."""
        if self._recogniser is None:
            raise WatchlistError("Nobody was enrolled.")
        self._alerts = []
        self.reading.begin()
        frame = self._frame(view, seconds)
        try:
            seen = self._recogniser.process(frame, self._confirmed)
        finally:
            frame.release()
        self._sums.tracks += seen.new_tracks
        self._sums.embedded += self.reading.embedded
        return FrameResult(
            faces=seen.faces,
            embedded=self.reading.embedded,
            best=self.reading.best,
            alert=self._alerts,
            tracks=seen.new_tracks,
        )

    def figures(self) -> dict[str, float]:
        """See `WithFigures`: tracks, and templates made."""
        return {"tracks": self._sums.tracks, "embedded": self._sums.embedded}

    def close(self) -> None:
        """Stop reading scores."""
        self.reading.close()

    def picture(self, pixels: Pixels) -> Picture:
        """Return I420 (h * 3 / 2, w) as the camera hands it over; an ablation converts it."""
        height, width = pixels.shape[0] * 2 // 3, pixels.shape[1]
        return Picture(pixels, width, height, PixelFormat.I420)

    def buffers(self, view: View, main: Picture, lores: Picture) -> list[Pixels]:
        """Return what is wiped when a frame ends."""
        del view
        return [main.pixels, lores.pixels]

    def _frame(self, view: View, seconds: float) -> Frame:
        main, lores = self.picture(view.main_i420), self.picture(view.lores_i420)

        def release() -> None:
            # As `PiCameraSource` does.
            for pixels in self.buffers(view, main, lores):
                pixels.fill(0)

        self._number += 1
        return Frame(self._number, round(seconds * 1e9), seconds, lores, main, release=release)

    def _confirmed(self, confirmed: Confirmed, sighting: Sighting) -> None:
        del sighting
        self._alerts.append((confirmed.reference_id, confirmed.score))


def references_of(eye: Eye, stills: list[Path]) -> list[Reference]:
    """Return a reference per photograph that passes the desk's gate.

    The desk would refuse two references that it takes for one person. That is left out: the
    renderer's people resemble each other to a network that learnt from real ones, and everybody in
    the contest shall have the same list.
    """
    strict = replace(eye, limits=LIMITS)
    report = Report()
    return [
        Reference(still.stem, [template])
        for still in stills
        if (template := template_of(strict, still, still.parent, report)) is not None
    ]


def operational(setup: Setup) -> Ours:
    """Return Passerby with its default models."""
    del setup
    return Ours("Passerby", settings_of(ModelSettings()))


def built_in(setup: Setup) -> Ours:
    """Return Passerby with the models that it brings along."""
    del setup
    models = models_of(Catalogue.read(default_directory()), "built-in")
    return Ours("Passerby, built-in models", settings_of(models))

"""Stills and clips against the list: the Ottawa way of working.

A still is one shot, so a candidate is what one comparison returns; a clip goes through the same
tracking and confirmation as the camera. Every pixel and template is wiped before a result returns.
A clip may take hours: whatever ends a session of the camera ends a search in the middle of it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path
from typing import Literal

from device.capture.frame import Frame, Picture
from device.capture.stills import SUFFIXES, read_still
from device.capture.video import VideoSource
from device.errors import CameraError, PictureError
from device.files import shown
from device.matching import Candidate, Confirmed, Gallery, compare
from device.protocol.bands import MarginBand, ScoreBand, margin_band, score_band
from device.recognition import Recogniser, limits_for, scale_of
from device.settings import Settings
from device.vision import Eye, Sighting, StillFace, find_faces
from device.vision.inference import Floats
from device.vision.quality import faults_of_pose

CLIPS = frozenset(
    {".mp4", ".mkv", ".avi", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mjpeg", ".wmv"}
)
_FRAME_WAIT_S = 30.0
_ASK_EVERY_S = 0.5
"""As often as in a session of the camera."""

StillAllowed = Callable[[], None]
"""Raises NotArmedError when nothing may be compared any more."""


@dataclass(frozen=True, slots=True)
class Found:
    """A candidate of one input. box: x, y, width, height in pixels. at_s: position in a clip."""

    reference_id: str
    band: ScoreBand
    margin_band: MarginBand
    shots: int
    box: tuple[int, int, int, int]
    at_s: float | None = None


@dataclass(slots=True)
class Result:
    """What one input held. faces: people in it; not_compared: why some of them were not compared.

    judged_attacks: faces near a reference that were judged a presentation attack, in at least one
    shot; such a shot gives no candidate. error: why the input could not be read, or not to its end.
    """

    file: str
    kind: Literal["still", "clip"]
    faces: int = 0
    candidates: list[Found] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)
    judged_attacks: int = 0
    error: str | None = None


class Searcher:
    """Compares inputs with one list."""

    def __init__(self, eye: Eye, gallery: Gallery, settings: Settings) -> None:
        self._eye = eye
        self._gallery = gallery
        self._settings = settings
        self._limits = limits_for(settings, eye.embedder_entry)
        self._bands = scale_of(eye.embedder_entry).bands

    def search(self, path: Path, still_allowed: StillAllowed = lambda: None) -> Result:
        """Compare one file. What cannot be read is said in the result's `error`.

        still_allowed: asked before every frame of a clip, twice a second at most, and once more
        before the result returns; what it raises ends the search, and nothing of it is returned.
        """
        suffix = path.suffix.lower()
        result = Result(shown(str(path)), "clip" if suffix in CLIPS else "still")
        try:
            if suffix in CLIPS:
                self._clip(path, result, _Permission(still_allowed))
            elif suffix in SUFFIXES or not path.exists():
                self._still(path, result)
            else:
                known = " ".join(sorted(SUFFIXES | CLIPS))
                result.error = (
                    f"{result.file} is neither a picture nor a clip by its name ({known})."
                )
        except (PictureError, CameraError) as error:
            result.error = shown(str(error))
        still_allowed()
        # Who was found, and has been revoked or has expired since, is shown to nobody.
        gone = set(compress(self._gallery.ids, self._gallery.gone))
        result.candidates = [one for one in result.candidates if one.reference_id not in gone]
        return result

    def _still(self, path: Path, result: Result) -> None:
        pixels = read_still(path)
        try:
            picture = Picture.of_bgr(pixels)
            faces = find_faces(self._eye, pixels)
            result.faces = len(faces)
            for face in faces:
                self._compare_still(picture, face, result)
        finally:
            self._eye.wipe()
            pixels.fill(0)

    def _compare_still(self, picture: Picture, face: StillFace, result: Result) -> None:
        faults = faults_of_pose(face.pose, self._eye.limits)
        probe = None
        if not faults:
            probe, faults = self._eye.probe(picture, face.landmarks)
        if probe is None:
            result.not_compared.append("; ".join(faults))
            return
        try:
            candidate = compare(self._gallery, probe, self._limits)
        finally:
            probe.wipe()
        if candidate is None:
            return
        attack = self._eye.attack
        if attack is not None and attack.is_attack(picture, face.box):
            result.judged_attacks += 1
        else:
            result.candidates.append(self._found(candidate, 1, face.box, None))

    def _clip(self, path: Path, result: Result, permission: "_Permission") -> None:
        recogniser = Recogniser(self._eye, self._gallery, self._settings)
        source = VideoSource(path, fast=True, lores_width=self._settings.camera.lores_width)
        source.open()
        try:
            while (frame := source.read(_FRAME_WAIT_S)) is not None:
                self._frame(recogniser, frame, result, permission)
        finally:
            source.close()
            recogniser.forget()

    def _frame(
        self, recogniser: Recogniser, frame: Frame, result: Result, permission: "_Permission"
    ) -> None:
        def keep(confirmed: Confirmed, face: Sighting) -> None:
            found = self._found(confirmed, confirmed.shots, face.box, round(frame.seconds, 2))
            if all(found.reference_id != earlier.reference_id for earlier in result.candidates):
                result.candidates.append(found)

        def note_attack() -> None:
            result.judged_attacks += 1

        try:
            permission.ask()
            result.faces += recogniser.process(frame, keep, note_attack).new_tracks
        finally:
            frame.release()

    def _found(
        self, candidate: Candidate | Confirmed, shots: int, box: Floats, at_s: float | None
    ) -> Found:
        x, y, width, height = (round(float(value)) for value in box)
        return Found(
            candidate.reference_id,
            score_band(candidate.score, self._bands),
            margin_band(candidate.margin),
            shots,
            (x, y, width, height),
            at_s,
        )


class _Permission:
    """What was allowed a moment ago is allowed; a refusal ends the search, and is not kept."""

    def __init__(self, still_allowed: StillAllowed) -> None:
        self._still_allowed = still_allowed
        self._holds_until_s = float("-inf")

    def ask(self) -> None:
        """Raise what `still_allowed` raises."""
        now_s = _boot_s()
        if now_s >= self._holds_until_s:
            self._still_allowed()
            self._holds_until_s = now_s + _ASK_EVERY_S


def _boot_s() -> float:
    """Return seconds since the start of the machine; time in which it slept counts."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def inputs_of(paths: list[Path]) -> list[Path]:
    """Return the files to search: files as given, folders by the pictures and clips in them.

    Raises PictureError when a folder holds none.
    """
    files: list[Path] = []
    for path in paths:
        if not path.is_dir():
            files.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES | CLIPS)
        if not inside:
            msg = f"{path} holds no pictures and no clips."
            raise PictureError(msg)
        files += inside
    return files

"""`Observer`: a frame goes in, comparisons happen, and nothing of the faces stays (R13, R14)."""

from dataclasses import dataclass

from device.capture.frame import Frame
from device.settings import VisionSettings
from device.vision.detector import LANDMARKS, SCORE
from device.vision.eye import Eye
from device.vision.inference import Floats
from device.vision.motion import MotionGate
from device.vision.quality import Pose, faults_of_pose, pose_of, shot_score
from device.vision.shots import ShotBudget
from device.vision.sighting import Compare, Sighting
from device.vision.tracker import Track, Tracker


@dataclass(frozen=True, slots=True)
class Observation:
    """What a frame held, as numbers. faces: appearances in this frame. compared: shots of it."""

    faces: int
    compared: int
    new_tracks: int


@dataclass(frozen=True, slots=True)
class _Shot:
    track: Track
    row: Floats
    landmarks: Floats
    pose: Pose
    score: float


class Observer:
    """Watches a stream of frames and hands each face worth it to a comparison.

    The comparison runs while the frame lives; when `observe` returns, every crop and template of
    the frame has been wiped, whatever happened.
    """

    def __init__(self, eye: Eye, vision: VisionSettings) -> None:
        self._eye = eye
        self._gate = MotionGate(vision.motion_fraction) if vision.motion_gate else None
        self._tracker = Tracker()
        self._budget = ShotBudget(vision.shots_per_track)
        self._faces_per_frame = vision.faces_per_frame
        self._pending: set[int] = set()
        self._ended: list[int] = []
        self.faces_in_frame = 0
        """How many faces the newest frame showed; known also when its processing failed."""
        self.compared = 0
        """How many of them were tried to be compared; likewise."""
        self._begun = 0

    @property
    def new_tracks(self) -> int:
        """How many tracks began in the newest frame; likewise."""
        return self._tracker.begun - self._begun

    def observe(self, frame: Frame, compare: Compare) -> Observation:
        """Look for faces in a frame and compare the ones worth it."""
        self.faces_in_frame = self.compared = 0
        self._begun = self._tracker.begun
        moved = self._gate is None or self._gate.moved(frame.lores)
        if not moved and not self._tracker.live:
            return Observation(faces=0, compared=0, new_tracks=0)
        detections = self._eye.detector.detect(frame.lores, frame.main.width)
        self.faces_in_frame = len(detections)
        pairs = self._tracker.update(detections, frame.seconds)
        self._ended += self._tracker.ended
        self._pending.difference_update(self._tracker.ended)
        shots = self._worth_it(pairs, detections, frame.seconds)
        for shot in shots:
            self.compared += 1
            self._compare(frame, shot, detections[:, :4], compare)
        return Observation(
            faces=len(detections),
            compared=len(shots),
            new_tracks=self.new_tracks,
        )

    def ended(self) -> list[int]:
        """Return the tracks that ended since this was last asked, whether or not a frame failed."""
        ended, self._ended = self._ended, []
        return ended

    def forget(self) -> None:
        """End all tracks and wipe the background: the camera stopped, or comparing is forbidden."""
        self._tracker.clear()
        self._pending.clear()
        if self._gate is not None:
            self._gate.forget()

    def _worth_it(
        self, pairs: list[tuple[Track, int]], detections: Floats, now_s: float
    ) -> list[_Shot]:
        """Choose this frame's shots: tracks that wait for confirmation first, then the best."""
        shots = []
        for track, index in pairs:
            row = detections[index]
            landmarks = row[LANDMARKS].reshape(5, 2)
            pose = pose_of(landmarks)
            if faults_of_pose(pose, self._eye.limits):
                continue
            score = shot_score(pose, float(row[SCORE]))
            pending = track.number in self._pending
            if self._budget.allows(track, score, now_s, pending=pending):
                shots.append(_Shot(track, row, landmarks, pose, score))
        shots.sort(key=lambda shot: (shot.track.number not in self._pending, -shot.score))
        return shots[: self._faces_per_frame]

    def _compare(self, frame: Frame, shot: _Shot, boxes: Floats, compare: Compare) -> None:
        self._budget.spend(shot.track, shot.score, frame.seconds)
        probe, _ = self._eye.probe(frame.main, shot.landmarks)
        if probe is None:
            return
        try:
            number = shot.track.number
            sighting = Sighting(
                number,
                probe,
                shot.row[:4],
                pose=shot.pose,
                quality=shot.score,
                main=frame.main,
                others=boxes,
            )
            if compare(sighting):
                self._pending.add(number)
            else:
                self._pending.discard(number)
        finally:
            probe.wipe()

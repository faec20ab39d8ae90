"""`Observer`: a frame goes in, comparisons happen, and nothing of the faces stays (R13, R14)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from device.capture.frame import Frame
from device.settings import VisionSettings
from device.vision.detector import LANDMARKS, SCORE
from device.vision.effort import full_effort
from device.vision.eye import Eye
from device.vision.inference import Floats
from device.vision.motion import MotionGate
from device.vision.pace import Outlook, detections_per_s, due
from device.vision.quality import faults_of_pose, pose_of, shot_score
from device.vision.shots import Shot, ShotBudget, in_turn
from device.vision.sighting import Compare, Sighting
from device.vision.tracker import Track, Tracker


@dataclass(frozen=True, slots=True)
class Observation:
    """What a frame held, as numbers. faces: appearances in this frame. compared: shots of it."""

    faces: int
    compared: int
    new_tracks: int


class Observer:
    """Watches a stream of frames and hands each face worth it to a comparison.

    The comparison runs while the frame lives; when `observe` returns, every crop and template of
    the frame has been wiped, whatever happened.
    """

    def __init__(
        self, eye: Eye, vision: VisionSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """clock: in seconds, for the time that a frame may take."""
        self._eye = eye
        self._clock = clock
        self._gate = MotionGate(vision.motion_fraction) if vision.motion_gate else None
        self._tracker = Tracker()
        self._budget = ShotBudget(vision.shots_per_track)
        self._full = full_effort(vision)
        self.effort = self._full
        """How hard to work; may be set between two frames."""
        self._frame_budget_s = vision.frame_budget_ms / 1000
        self._moved = False
        self._detected_s = float("-inf")
        self._pending: set[int] = set()
        self._ended: list[int] = []
        self.faces_in_frame = 0
        """How many faces the newest frame showed, if it was searched; known also when it failed."""
        self.compared = 0
        """How many of them were tried to be compared; likewise."""
        self._begun = 0

    @property
    def new_tracks(self) -> int:
        """How many tracks began in the newest frame; likewise."""
        return self._tracker.begun - self._begun

    def observe(self, frame: Frame, compare: Compare) -> Observation:
        """Look for faces in a frame if it is due, and compare the ones worth it."""
        self.faces_in_frame = self.compared = 0
        self._begun = self._tracker.begun
        self._moved |= self._gate is None or self._gate.moved(frame.lores)
        self._end(self._tracker.expire(frame.seconds))
        if self._is_due(frame.seconds):
            self._search(frame, compare)
        return Observation(self.faces_in_frame, self.compared, self.new_tracks)

    def ended(self) -> list[int]:
        """Return the tracks that ended since this was last asked, whether or not a frame failed."""
        ended, self._ended = self._ended, []
        return ended

    def forget(self) -> None:
        """End all tracks and wipe the background: the camera stopped, or comparing is forbidden."""
        self._tracker.clear()
        self._pending.clear()
        self._moved = False
        self._detected_s = float("-inf")
        if self._gate is not None:
            self._gate.forget()

    def _end(self, numbers: list[int]) -> None:
        self._ended += numbers
        self._pending.difference_update(numbers)

    def _is_due(self, now_s: float) -> bool:
        tracks = self._tracker.live
        if not tracks and not self._moved:
            # Most frames of an empty street: what the rule would say of them, without asking it.
            return False
        outlook = Outlook(
            moved=self._moved,
            followed=bool(tracks),
            hopeful=any(t.quick or self._budget.hopeful(t, now_s) for t in tracks),
            waiting=bool(self._pending) or any(isfinite(t.waits_since_s) for t in tracks),
        )
        return due(now_s - self._detected_s, detections_per_s(outlook, self.effort, self._full))

    def _search(self, frame: Frame, compare: Compare) -> None:
        began_s = self._clock()
        # Noted before anything can fail: one that always fails is not tried more often.
        self._detected_s = frame.seconds
        small = self._eye.small_detector if self.effort.small_detector else None
        detector = small or self._eye.detector
        detections = detector.detect(frame.lores, frame.main.width)
        self._moved = False
        self.faces_in_frame = len(detections)
        pairs = self._tracker.update(detections, frame.seconds)
        shots = self._worth_it(pairs, detections, frame.seconds)
        turns = in_turn(shots, self._pending, frame.seconds)
        for shot in turns[: self.effort.faces_per_frame]:
            if self.compared and 0 < self._frame_budget_s <= self._clock() - began_s:
                break
            self.compared += 1
            self._compare(frame, shot, detections[:, :4], compare)
        for shot in turns[self.compared :]:
            shot.track.waits_since_s = min(shot.track.waits_since_s, frame.seconds)

    def _worth_it(
        self, pairs: list[tuple[Track, int]], detections: Floats, now_s: float
    ) -> list[Shot]:
        shots = []
        for track, index in pairs:
            row = detections[index]
            landmarks = row[LANDMARKS].reshape(5, 2)
            pose = pose_of(landmarks)
            track.score = 0.0
            waits_since_s, track.waits_since_s = track.waits_since_s, float("inf")
            if faults_of_pose(pose, self._eye.limits):
                continue
            track.score = shot_score(pose, float(row[SCORE]))
            pending = track.number in self._pending
            if self._budget.allows(track, track.score, now_s, pending=pending):
                track.waits_since_s = waits_since_s
                shots.append(Shot(track, row, landmarks, pose, track.score))
        return shots

    def _compare(self, frame: Frame, shot: Shot, boxes: Floats, compare: Compare) -> None:
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

import cv2
import numpy as np
import pytest

from device.vision.geometry import ARCFACE_112
from device.vision.quality import (
    Appearance,
    Pose,
    QualityLimits,
    appearance_of,
    faults_of_appearance,
    faults_of_pose,
    pose_of,
    shot_score,
)

LIMITS = QualityLimits(interocular_px=20, yaw=0.3, roll_degrees=30, sharpness=0.1)


def _chequered(period=8, low=60, high=190):
    rows, columns = np.mgrid[0:112, 0:112]
    grey = np.where((rows // period + columns // period) % 2, high, low).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def test_the_frontal_template_is_frontal():
    pose = pose_of(ARCFACE_112)
    assert pose.interocular_px == pytest.approx(35.2, abs=0.1)
    assert abs(pose.yaw) < 0.02
    assert abs(pose.pitch) < 0.02
    assert abs(pose.roll_degrees) < 1
    assert faults_of_pose(pose, LIMITS) == []


def test_roll_is_measured_in_degrees():
    angle = np.radians(40)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pose = pose_of((ARCFACE_112 @ turn.T).astype(np.float32))
    assert pose.roll_degrees == pytest.approx(40, abs=0.5)
    assert faults_of_pose(pose, LIMITS) == ["tilted: 40 degrees, at most 30"]


@pytest.mark.parametrize("direction", [-1, 1])
def test_a_nose_beside_the_middle_means_a_turned_head(direction):
    points = ARCFACE_112.copy()
    points[2, 0] += direction * 20
    pose = pose_of(points)
    assert np.sign(pose.yaw) == direction
    assert any(fault.startswith("turned aside: yaw 0.") for fault in faults_of_pose(pose, LIMITS))


def test_a_profile_with_close_eyes_does_not_pass_as_frontal():
    points = ARCFACE_112.copy()
    points[:2, 0] = 56 + (points[:2, 0] - 56) * 0.2
    points[2, 0] += 18
    assert faults_of_pose(pose_of(points), LIMITS)


def test_a_small_face_is_told_by_how_much():
    pose = Pose(interocular_px=12, yaw=0, pitch=0, roll_degrees=0)
    (fault,) = faults_of_pose(pose, LIMITS)
    assert fault == "too small: 12 pixels between the eyes, at least 20 are needed"


def test_blur_lowers_sharpness_below_the_limit():
    sharp = _chequered()
    blurred = cv2.GaussianBlur(sharp, (0, 0), 6)
    assert appearance_of(blurred).sharpness < appearance_of(sharp).sharpness / 4
    assert faults_of_appearance(appearance_of(sharp), LIMITS) == []
    faults = faults_of_appearance(appearance_of(blurred), LIMITS)
    assert any(fault.startswith("blurred: sharpness") for fault in faults)


def test_sharpness_does_not_depend_on_contrast():
    strong, weak = appearance_of(_chequered(8, 40, 220)), appearance_of(_chequered(8, 100, 160))
    assert strong.sharpness == pytest.approx(weak.sharpness, rel=0.05)


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (Appearance(1, 10, 30), "too dark"),
        (Appearance(1, 250, 30), "too bright"),
        (Appearance(1, 120, 2), "too flat"),
    ],
)
def test_exposure_faults_have_names_and_figures(seen, word):
    (fault,) = faults_of_appearance(seen, LIMITS)
    assert fault.startswith(word)
    assert any(character.isdigit() for character in fault)


def test_larger_frontal_and_certain_faces_rank_higher():
    def score(px=40, yaw=0.0, detection=0.9):
        return shot_score(Pose(px, yaw, 0, 0), detection)

    assert score() > score(px=20)
    assert score() > score(yaw=0.2)
    assert score() > score(detection=0.7)
    assert score(px=80) == score(px=40)
    assert 0 <= score(yaw=2.0) <= score() <= 1


def test_a_raised_face_needs_half_the_contrast():
    flat = Appearance(sharpness=0.3, brightness=100, contrast=6)
    assert faults_of_appearance(flat, LIMITS)
    assert not faults_of_appearance(flat, LIMITS, raised=True)
    flatter = Appearance(sharpness=0.3, brightness=100, contrast=4)
    assert "at least 5" in faults_of_appearance(flatter, LIMITS, raised=True)[0]

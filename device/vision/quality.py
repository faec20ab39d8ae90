"""How good a face is for comparison: size, pose, sharpness, exposure; and why it is not.

The measures follow the spirit of ISO/IEC 29794-5 (inter-eye distance, pose, sharpness, exposure),
not its letter. Each is a number that a technician can act on.
"""

from dataclasses import dataclass

import numpy as np

from device.capture.frame import Pixels
from device.opencv import cv2
from device.vision.inference import Floats

_RIGHT_EYE, _LEFT_EYE, _NOSE, _RIGHT_MOUTH, _LEFT_MOUTH = range(5)
# In the frontal template the nose lies this far down the way from the eyes to the mouth.
_FRONTAL_NOSE = 0.49


@dataclass(frozen=True, slots=True)
class Pose:
    """What five landmarks tell about size and direction.

    interocular_px: distance between the eyes in pixels of the main picture.
    yaw: nose's offset from between the eyes, along the eye line, over the eye distance; 0 frontal.
    pitch: nose's place between eyes and mouth, less that of a frontal face; 0 frontal.
    roll_degrees: tilt of the eye line; 0 upright.
    """

    interocular_px: float
    yaw: float
    pitch: float
    roll_degrees: float


def pose_of(landmarks: Floats) -> Pose:
    """Measure (5, 2) float32 landmarks: right eye, left eye, nose, right and left mouth corner."""
    right, left = landmarks[_RIGHT_EYE], landmarks[_LEFT_EYE]
    nose = landmarks[_NOSE]
    eyes = (right + left) / 2
    mouth = (landmarks[_RIGHT_MOUTH] + landmarks[_LEFT_MOUTH]) / 2
    across = left - right
    distance = max(1e-3, float(np.hypot(*across)))
    along = across / distance
    down = np.array([-along[1], along[0]], np.float32)
    height = max(1e-3, float((mouth - eyes) @ down))
    return Pose(
        interocular_px=distance,
        # A turned head brings the eyes closer together; the face's height does not change, so
        # the larger of the two measures keeps a profile from passing as frontal.
        yaw=float((nose - eyes) @ along) / max(distance, height),
        pitch=float((nose - eyes) @ down) / height - _FRONTAL_NOSE,
        roll_degrees=float(np.degrees(np.arctan2(across[1], across[0]))),
    )


@dataclass(frozen=True, slots=True)
class Appearance:
    """What the aligned crop tells.

    sharpness: mean gradient of the inner face over its contrast; higher is sharper.
    brightness: mean luma, 0 to 255. contrast: standard deviation of luma, 0 to 128.
    """

    sharpness: float
    brightness: float
    contrast: float


def appearance_of(pixels: Pixels) -> Appearance:
    """Measure an aligned crop, (side, side, 3) uint8 BGR."""
    side = pixels.shape[0]
    inner = slice(side * 3 // 16, side * 15 // 16)
    gray = np.asarray(cv2.cvtColor(pixels[inner, inner], cv2.COLOR_BGR2GRAY), np.uint8)
    edges = np.empty(gray.shape, np.float32)
    try:
        cv2.Laplacian(gray, cv2.CV_32F, dst=edges)
        # Not `std`, which makes eight bytes of every pixel.
        brightness, contrast = (each.item() for each in cv2.meanStdDev(gray))
        sharpness = float(np.abs(edges, out=edges).mean()) / max(contrast, 4.0)
        return Appearance(sharpness, brightness, contrast)
    finally:
        gray.fill(0)
        edges.fill(0)


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """What a face must reach to be compared. Units as in `Pose` and `Appearance`."""

    interocular_px: float
    yaw: float
    roll_degrees: float
    sharpness: float
    pitch: float = 0.35
    brightness: tuple[float, float] = (25.0, 235.0)
    contrast: float = 10.0


def faults_of_pose(pose: Pose, limits: QualityLimits) -> list[str]:
    """Return what is wrong with size and direction, each with the measured figure."""
    faults = []
    if pose.interocular_px < limits.interocular_px:
        faults.append(
            f"too small: {pose.interocular_px:.0f} pixels between the eyes, "
            f"at least {limits.interocular_px:.0f} are needed"
        )
    if abs(pose.yaw) > limits.yaw:
        faults.append(f"turned aside: yaw {abs(pose.yaw):.2f}, at most {limits.yaw:.2f}")
    if abs(pose.pitch) > limits.pitch:
        faults.append(f"turned up or down: pitch {abs(pose.pitch):.2f}, at most {limits.pitch:.2f}")
    if abs(pose.roll_degrees) > limits.roll_degrees:
        faults.append(
            f"tilted: {abs(pose.roll_degrees):.0f} degrees, at most {limits.roll_degrees:.0f}"
        )
    return faults


def faults_of_appearance(
    seen: Appearance, limits: QualityLimits, *, raised: bool = False
) -> list[str]:
    """Return what is wrong with sharpness and exposure, each with the measured figure.

    raised: the face's shadows were raised, which takes contrast from it: half is enough then.
    """
    faults = []
    darkest, brightest = limits.brightness
    contrast = limits.contrast / 2 if raised else limits.contrast
    if seen.brightness < darkest:
        faults.append(f"too dark: brightness {seen.brightness:.0f}, at least {darkest:.0f}")
    if seen.brightness > brightest:
        faults.append(f"too bright: brightness {seen.brightness:.0f}, at most {brightest:.0f}")
    if seen.contrast < contrast:
        faults.append(f"too flat: contrast {seen.contrast:.0f}, at least {contrast:.0f}")
    if seen.sharpness < limits.sharpness:
        faults.append(f"blurred: sharpness {seen.sharpness:.2f}, at least {limits.sharpness:.2f}")
    return faults


def shot_score(pose: Pose, detection_score: float) -> float:
    """Rank shots of one track before any pixel is cut; in [0, 1], higher is better.

    Size counts up to the 40 pixels between the eyes that the embedders' crops have themselves.
    """
    size = min(1.0, pose.interocular_px / 40)
    frontal = max(0.0, 1 - 1.5 * abs(pose.yaw)) * max(0.0, 1 - abs(pose.pitch))
    return size * frontal * detection_score

"""New people out of several: faces that lie on the same five points are mixed, part by part."""

import numpy as np

from device.opencv import cv2
from tools.lab.train.sources import SIDE, Pixels, Sources
from tools.lab.train.warp import Field, smooth_field

_COUNTS = (0.12, 0.38, 0.30, 0.20)
"""How often one, two, three or four faces are mixed."""


def person(rng: np.random.Generator, sources: Sources, rendered_share: float) -> Pixels:
    """Return the face of somebody new, (160, 160, 3) uint8 BGR."""
    count = 1 + int(rng.choice(len(_COUNTS), p=_COUNTS))
    faces = [_bent(rng, sources.draw(rng, rendered_share)) for _ in range(count)]
    if count == 1:
        return faces[0].astype(np.uint8)
    faces = [faces[0], *(_toned(rng, face, faces[0]) for face in faces[1:])]
    if rng.random() < 0.25:  # noqa: PLR2004 - a quarter: skin and form of one, lines of another
        faces[0] = _lines_of(rng, faces[1], faces[0])
    weights = _weights(rng, count)
    mixed = sum(weight * face for weight, face in zip(weights, faces, strict=True))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def _bent(rng: np.random.Generator, face: Pixels) -> Field:
    """Return the face as floats, bent a little, so that parts of it move against each other."""
    if rng.random() < 0.4:  # noqa: PLR2004 - some stay as they are
        return face.astype(np.float32)
    field = smooth_field(rng, SIDE, int(rng.integers(4, 9)), 2) * np.float32(rng.uniform(0.5, 4))
    x, y = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))
    bent = cv2.remap(
        face, x + field[..., 0], y + field[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
    )
    return bent.astype(np.float32)


def _toned(rng: np.random.Generator, face: Field, like: Field) -> Field:
    """Return a face with the mean and the contrast of another: seams would be no part of a face."""
    inner = slice(48, 128), slice(40, 120)
    mean, spread = _moments(face[inner])
    goal, goal_spread = _moments(like[inner])
    part = np.float32(rng.uniform(0.5, 1))
    gain = ((goal_spread + 8) / (spread + 8)) ** part
    return (face - mean) * gain + mean + (goal - mean) * part


def _moments(part: Field) -> tuple[Field, Field]:
    """Return mean and standard deviation of each channel, (3,) float32."""
    mean, spread = cv2.meanStdDev(part)
    return np.float32(mean).ravel(), np.float32(spread).ravel()


def _lines_of(rng: np.random.Generator, fine: Field, coarse: Field) -> Field:
    """Return the fine structure of one face on the coarse structure of another."""
    sigma = float(rng.uniform(2, 7))
    lines = fine - cv2.GaussianBlur(fine, (0, 0), sigma)
    return cv2.GaussianBlur(coarse, (0, 0), sigma) + lines


def _weights(rng: np.random.Generator, count: int) -> list[Field]:
    """Return maps (160, 160, 1) that sum to one: flat ones, or changing from part to part."""
    if rng.random() < 0.35:  # noqa: PLR2004 - an even morph
        shares = rng.dirichlet(np.full(count, 1.5)).astype(np.float32)
        return [np.full((1, 1, 1), share, np.float32) for share in shares]
    field = smooth_field(rng, SIDE, int(rng.integers(3, 7)), count) * np.float32(rng.uniform(1, 5))
    field = np.exp(field - field.max(axis=2, keepdims=True))
    field /= field.sum(axis=2, keepdims=True)
    return [field[..., index : index + 1] for index in range(count)]

"""What the student's mistakes cost."""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from tools.lab.train.detector_targets import BOX, PLACED, POINTS, SCORED, WEIGHT

_DOUBT: Final = 0.05
_BOX_WEIGHT: Final = 2.0
_SIZE_WEIGHT: Final = 0.5
_POINTS_WEIGHT: Final = 10.0


def losses(answers: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Return the parts of the loss by name; their sum is what is minimised.

    answers: (n, cells, 16) of the network; wanted: (n, cells, 17) of `detector_targets`.
    """
    score, weight = wanted[..., SCORED], wanted[..., WEIGHT]
    faces = wanted[..., PLACED].sum().clamp(min=1.0)
    face, thing = answers[..., 0], answers[..., 1]
    # Objectness looks everywhere; class looks again, only where something may be.
    unsure = weight * ((thing.detach().sigmoid() > _DOUBT) | (score > _DOUBT))
    return {
        "objectness": _focal(thing, score, weight) / faces,
        "class": _focal(face, score, unsure) / faces,
        **_places(answers, wanted),
    }


def _focal(logits: Tensor, score: Tensor, weight: Tensor) -> Tensor:
    """Quality focal loss: Li et al., "Generalized Focal Loss", NeurIPS 2020, equation 4."""
    gap = (logits.sigmoid() - score).detach().square()
    entropy = functional.binary_cross_entropy_with_logits(logits, score, reduction="none")
    return (weight * gap * entropy).sum()


def _places(answers: Tensor, wanted: Tensor) -> dict[str, Tensor]:
    """Return the cost of boxes and points, at the cells that answer for a face."""
    where = wanted[..., PLACED] > 0
    found, right = answers[where], wanted[where]
    weight = right[:, PLACED]
    total = weight.sum().clamp(min=1.0)
    box, true_box = found[:, 2:6], right[:, BOX]
    # In units of the face: an error of a pixel matters more in a small one.
    size = true_box[:, 2:].mean(dim=1, keepdim=True).exp()
    error = (found[:, 6:16] - right[:, POINTS]) / size
    points = functional.smooth_l1_loss(error, torch.zeros_like(error), beta=0.02, reduction="none")
    sizes = functional.smooth_l1_loss(box[:, 2:], true_box[:, 2:], beta=0.1, reduction="none")
    return {
        "box": _BOX_WEIGHT * (weight * (1 - _giou(box, true_box))).sum() / total,
        "size": _SIZE_WEIGHT * (weight * sizes.mean(dim=1)).sum() / total,
        "points": _POINTS_WEIGHT * (weight * points.mean(dim=1)).sum() / total,
    }


def _giou(one: Tensor, other: Tensor) -> Tensor:
    """Generalised intersection over union of boxes as centre and logarithmic size, (n, 4).

    Rezatofighi et al., "Generalized Intersection over Union", CVPR 2019.
    """
    one_half, other_half = one[:, 2:].clamp(-4, 6).exp() / 2, other[:, 2:].exp() / 2
    low = torch.maximum(one[:, :2] - one_half, other[:, :2] - other_half)
    high = torch.minimum(one[:, :2] + one_half, other[:, :2] + other_half)
    shared = (high - low).clamp(min=0).prod(dim=1)
    union = 4 * one_half.prod(dim=1) + 4 * other_half.prod(dim=1) - shared
    outer_low = torch.minimum(one[:, :2] - one_half, other[:, :2] - other_half)
    outer_high = torch.maximum(one[:, :2] + one_half, other[:, :2] + other_half)
    hull = (outer_high - outer_low).prod(dim=1).clamp(min=1e-6)
    return shared / union.clamp(min=1e-6) - (hull - union) / hull

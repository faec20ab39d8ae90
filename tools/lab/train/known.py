"""Rendered people are learnt by who they are: no teacher tells them apart as well as their maker.

A view of somebody must be nearer to the running mean of his own views than to all others', by a
margin: the loss of Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition",
CVPR 2018, over means in place of learnt weights, since each person comes by too rarely to learn
them.
"""

import torch
from torch import Tensor
from torch.nn import functional

_SCALE = 32.0
_MARGIN = 0.25
_NEW = 0.3
"""Share of the latest views in the mean."""


class KnownPeople:
    """means: (number, length), of unit length; nought for those who have not been met yet."""

    def __init__(self, number: int, length: int) -> None:
        self.means = torch.zeros(number, length)

    def loss(self, mine: Tensor, people: Tensor) -> Tensor:
        """Return the loss, nought without anybody.

        mine: (m, length), of unit length. people: (m,), their numbers.
        """
        if not len(mine):
            return mine.sum()
        cosines = mine @ self.means.T
        margin = functional.one_hot(people, len(self.means)) * _MARGIN
        return functional.cross_entropy(_SCALE * (cosines - margin), people)

    @torch.no_grad()
    def meet(self, mine: Tensor, people: Tensor) -> None:
        """Let views into the means."""
        who, place = people.unique(return_inverse=True)
        seen = torch.zeros(len(who), mine.shape[1]).index_add_(0, place, mine)
        before = self.means[who]
        # Whoever has not been met has no mean to go on from.
        part = torch.where(before.any(1, keepdim=True), _NEW, 1.0)
        after = torch.lerp(before, functional.normalize(seen), part)
        self.means[who] = functional.normalize(after)

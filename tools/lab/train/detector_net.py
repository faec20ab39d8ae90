"""The student detector: plain convolutions, ReLU6, a pyramid of three strides, one head each.

Only what the Edge TPU and XNNPACK's int8 kernels run: convolutions, depthwise convolutions,
additions, nearest-neighbour enlargement, logistic.
"""

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

CHANNELS: Final = (16, 24, 48, 64, 96)
"""Channels at strides 2, 4, 8, 16, 32."""
MEAN: Final = 128.0
"""A pixel of this value is 0 to the network: a padding with zeros is grey, in int8 as well."""
NECK: Final = 48
OUTPUTS: Final = 16
"""Class, objectness, 4 of the box, 10 of the landmarks."""
_RARE: Final = -4.0
"""Where the scores start: faces are rare among cells."""


class Dense(nn.Module):
    """A convolution with batch normalisation and ReLU6; of stride 2 padded right and below."""

    def __init__(self, inputs: int, outputs: int, side: int = 3, stride: int = 1) -> None:
        super().__init__()
        # TensorFlow's "same" padding: nothing on the left of an even input at stride 2.
        self.same = stride == 2  # noqa: PLR2004
        padding = 0 if self.same else side // 2
        self.conv = nn.Conv2d(inputs, outputs, side, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        if self.same:
            x = functional.pad(x, (0, 1, 0, 1))
        return functional.relu6(self.norm(self.conv(x)))


class Separable(nn.Module):
    """A depthwise and a pointwise convolution; with a bypass when it keeps the channels."""

    def __init__(self, inputs: int, outputs: int, *, bypass: bool = True) -> None:
        super().__init__()
        self.bypass = bypass and inputs == outputs
        self.depth = nn.Conv2d(inputs, inputs, 3, 1, 1, groups=inputs, bias=False)
        self.depth_norm = nn.BatchNorm2d(inputs)
        self.point = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, inputs, h, w) to (n, outputs, h, w)."""
        y = functional.relu6(self.depth_norm(self.depth(x)))
        y = functional.relu6(self.point_norm(self.point(y)))
        return x + y if self.bypass else y


class Student(nn.Module):
    """The whole network; input BGR 0-255."""

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d, e = CHANNELS
        self.stem = nn.Sequential(Dense(3, a, stride=2), Dense(a, b, stride=2))
        self.fine = nn.Sequential(Dense(b, c, stride=2), Separable(c, c), Separable(c, c))
        self.middle = nn.Sequential(Dense(c, d, stride=2), Separable(d, d), Separable(d, d))
        self.coarse = nn.Sequential(
            Dense(d, e, stride=2), Separable(e, e), Separable(e, e), Separable(e, e)
        )
        self.laterals = nn.ModuleList(Dense(width, NECK, 1) for width in (c, d, e))
        self.heads = nn.ModuleList(
            nn.Sequential(Separable(NECK, NECK), nn.Conv2d(NECK, OUTPUTS, 1)) for _ in range(3)
        )
        for head in self.heads:
            last = head[-1]
            nn.init.normal_(last.weight, std=0.01)
            nn.init.zeros_(last.bias)
            last.bias.data[:2] = _RARE

    def forward(self, x: Tensor) -> Tensor:
        """Map pictures (n, 3, h, w), BGR 0-255, to (n, cells, 16); the scores are logits."""
        x = (x - MEAN) * (1 / MEAN)
        fine = self.fine(self.stem(x))
        middle = self.middle(fine)
        coarse = self.laterals[2](self.coarse(middle))
        middle = self.laterals[1](middle) + functional.interpolate(coarse, scale_factor=2.0)
        fine = self.laterals[0](fine) + functional.interpolate(middle, scale_factor=2.0)
        levels = zip(self.heads, (fine, middle, coarse), strict=True)
        return torch.cat(
            [head(level).flatten(2).transpose(1, 2).float() for head, level in levels], dim=1
        )

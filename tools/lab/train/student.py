"""The embedder's network: plain 3 x 3 convolutions with short cuts, ReLU6, no exotic layer.

Dense convolutions are what 8-bit kernels, the Edge TPU and a training on a few cores do best.
Pixels come in as 0-255 and are only divided, never shifted: the border that a convolution pads with
is then black for the network in training and for the 8-bit one alike.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

INPUT_SIDE = 112
TEMPLATE_LENGTH = 256


@dataclass(frozen=True)
class Layout:
    """Channels of the stem and of three stages, blocks of each stage, channels before the end."""

    stem: int = 24
    channels: tuple[int, int, int] = (48, 96, 160)
    blocks: tuple[int, int, int] = (2, 3, 1)
    head: int = 256


class Unit(nn.Sequential):
    """Convolution, normalisation, and ReLU6 unless the sum of a block follows."""

    def __init__(  # noqa: PLR0913 - the arguments of a convolution
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        *,
        relu: bool,
    ) -> None:
        padding = kernel // 2 if kernel < INPUT_SIDE // 16 else 0
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        super().__init__(*layers, *([nn.ReLU6()] if relu else []))


class Block(nn.Module):
    """Two convolutions beside a short cut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Unit(channels, channels, 3, relu=True)
        self.second = Unit(channels, channels, 3, relu=False)
        self.relu = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return self.relu(x + self.second(self.first(x)))  # type: ignore[no-any-return]


class Student(nn.Module):
    """(n, 3, 112, 112) BGR 0-255 in, (n, 256) of any length and the maps of the stages out."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.stem = Unit(3, layout.stem, 3, 2, relu=True)
        widths = (layout.stem, *layout.channels)
        self.stages = nn.ModuleList(
            nn.Sequential(
                Unit(before, after, 3, 2, relu=True), *(Block(after) for _ in range(blocks))
            )
            for before, after, blocks in zip(widths, widths[1:], layout.blocks, strict=False)
        )
        self.widen = Unit(layout.channels[-1], layout.head, 1, relu=True)
        self.gather = Unit(layout.head, layout.head, 7, 1, layout.head, relu=False)
        self.template = nn.Conv2d(layout.head, TEMPLATE_LENGTH, 1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Sequence[Tensor]]:
        """Return templates (n, 256) and the maps (n, c, 28 | 14 | 7, ...) of the stages."""
        x = self.stem(faces / 255)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return self.template(self.gather(self.widen(x))).flatten(1), maps

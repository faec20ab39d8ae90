"""Published architectures with drawn weights: what they cost does not depend on what they know.

MobileFaceNet: Chen, Liu, Gao, Han: "MobileFaceNets: Efficient CNNs for Accurate Real-Time Face
Verification on Mobile Devices", 2018, table 1 (221 million multiply-accumulates). MobileNetV2:
Sandler and others: "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018, table 2 (300
million). Neither can recognise anything here.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from device.vision.inference import Floats
from tools.field.values import source
from tools.lab.convert.graph import Builder, Graph, Node

MOBILEFACENET_SIDE, MOBILENET_V2_SIDE = 112, 224
_PRELU_SLOPE = 0.25
_OF_A_PIXEL = 1 / 128
_STILL: tuple[int, int, int, int] = (0, 0, 0, 0)
_AROUND: tuple[int, int, int, int] = (1, 1, 1, 1)

# Expansion, channels, repeats, stride of the first: the papers' t, c, n, s.
_MOBILEFACENET = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
_MOBILENET_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@dataclass(frozen=True, slots=True)
class Drawn:
    """An architecture: its graph, and weights for it by the names that the graph gives them."""

    graph: Graph
    weights: dict[str, Floats]


@dataclass(slots=True)
class _Drawing:
    """A network in the making; the last tensor, `last`, has `channels`."""

    activation: Literal["relu6", "prelu"]
    rng: np.random.Generator
    builder: Builder = field(default_factory=Builder)
    weights: dict[str, Floats] = field(default_factory=dict)
    last: str = ""
    channels: int = 3

    def picture(self, side: int) -> None:
        self.last = self.builder.add(Node("picture", "input", shape=(1, side, side, 3)))

    def conv(self, out: int, kernel: int, stride: int = 1, *, active: bool = True) -> None:
        """Append an ordinary convolution; a kernel of three keeps the size, any other does not."""
        shape = (out, kernel, kernel, self.channels)
        self._convolution("conv", shape, stride, active=active)
        self.channels = out

    def depthwise(self, kernel: int, stride: int = 1, *, active: bool = True) -> None:
        """Append a convolution of each channel by itself."""
        self._convolution("depthwise", (1, kernel, kernel, self.channels), stride, active=active)

    def bottleneck(self, expansion: int, out: int, stride: int) -> None:
        """Append an inverted residual: wide, by channel, narrow, and past it all where it fits."""
        begun, before = self.last, self.channels
        if expansion > 1:
            self.conv(before * expansion, 1)
        self.depthwise(3, stride)
        self.conv(out, 1, active=False)
        if stride == 1 and before == out:
            self.last = self._add("add", (begun, self.last))

    def stack(self, table: tuple[tuple[int, int, int, int], ...]) -> None:
        for expansion, out, repeats, stride in table:
            for number in range(repeats):
                self.bottleneck(expansion, out, stride if number == 0 else 1)

    def finish(self) -> Drawn:
        output = self.builder.add(Node("output", "reshape", (self.last,), shape=(1, -1)))
        return Drawn(Graph(tuple(self.builder.nodes), (output,)), self.weights)

    def mean(self, side: int) -> None:
        name = f"mean{len(self.builder.nodes)}"
        self.last = self.builder.add(Node(name, "mean", (self.last,), kernel=(side, side)))

    def _convolution(
        self,
        op: Literal["conv", "depthwise"],
        shape: tuple[int, int, int, int],
        stride: int,
        *,
        active: bool,
    ) -> None:
        name = f"{op}{len(self.builder.nodes)}"
        fan_in = shape[1] * shape[2] * (shape[3] if op == "conv" else 1)
        # He's spread keeps what comes out as large as what went in, and that is pixels at first.
        spread = np.sqrt(2 / fan_in) * (1 if self.weights else _OF_A_PIXEL)
        drawn = self.rng.normal(0, spread, shape)
        self.weights[name] = drawn.astype(np.float32)
        node = Node(
            name,
            op,
            (self.last,),
            weights=source(name),
            stride=(stride, stride),
            padding=_AROUND if shape[1] == 3 else _STILL,  # noqa: PLR2004 - see `conv`
            activation="relu6" if active and self.activation == "relu6" else "",
        )
        self.last = self.builder.add(node)
        if active and self.activation == "prelu":
            self._prelu(shape[0] if op == "conv" else shape[3])

    def _prelu(self, channels: int) -> None:
        name = f"prelu{len(self.builder.nodes)}"
        self.weights[name] = np.full(channels, _PRELU_SLOPE, np.float32)
        node = Node(name, "prelu", (self.last,), weights=source(name))
        self.last = self.builder.add(node)

    def _add(self, op: Literal["add"], inputs: tuple[str, str]) -> str:
        return self.builder.add(Node(f"{op}{len(self.builder.nodes)}", op, inputs))


def mobilefacenet(seed: int = 1) -> Drawn:
    """Draw MobileFaceNet: 112 x 112 pixels to 128 numbers, PReLU."""
    made = _Drawing("prelu", np.random.default_rng(seed))
    made.picture(MOBILEFACENET_SIDE)
    made.conv(64, 3, 2)
    made.depthwise(3)
    made.stack(_MOBILEFACENET)
    made.conv(512, 1)
    made.depthwise(7, active=False)
    made.conv(128, 1, active=False)
    return made.finish()


def mobilenet_v2(seed: int = 1) -> Drawn:
    """Draw MobileNetV2 of width 1: 224 x 224 pixels to 1,000 numbers, ReLU6."""
    made = _Drawing("relu6", np.random.default_rng(seed))
    made.picture(MOBILENET_V2_SIDE)
    made.conv(32, 3, 2)
    made.stack(_MOBILENET_V2)
    made.conv(1280, 1)
    made.mean(7)
    made.conv(1000, 1, active=False)
    return made.finish()

"""MiniFASNetV2's graph; its checkpoint holds weights only.

Source of the architecture: https://github.com/minivision-ai/Silent-Face-Anti-Spoofing,
src/model_lib/MiniFASNet.py (Apache-2.0): convolutions with batch normalisation and PReLU in the
manner of MobileFaceNet, pruned to uneven widths. The output is three logits.
"""

from tools.field.values import Value, source
from tools.lab.convert.graph import Builder, Graph, Node
from tools.lab.convert.passes import normalised

_EPSILON = 1e-5
SIDE = 80
_REPEATED = {"conv_3": 4, "conv_4": 6, "conv_5": 2}
_STAGES = ("conv_23", "conv_3", "conv_34", "conv_4", "conv_45", "conv_5")


def graph() -> Graph:
    """Return the network for 80x80 BGR pixels of 0-255; sources have the checkpoint's names."""
    builder = Builder([Node("picture", "input", shape=(1, SIDE, SIDE, 3))])
    last = _block(builder, "picture", "conv1", stride=2, slope=True)
    last = _block(builder, last, "conv2_dw", depthwise=True, slope=True)
    for stage in _STAGES:
        if stage not in _REPEATED:
            last = _bottleneck(builder, last, stage, stride=2)
            continue
        for index in range(_REPEATED[stage]):
            block = f"{stage}.model.{index}"
            made = _bottleneck(builder, last, block, stride=1)
            last = builder.add(Node(f"{block}.sum", "add", (last, made)))
    last = _block(builder, last, "conv_6_sep", padding=0, slope=True)
    last = _block(builder, last, "conv_6_dw", depthwise=True, padding=0)
    weights = source("module.linear.weight").reshape(0, 1, 1, -1)
    linear = Node("linear", "conv", (last,), weights=weights)
    last = builder.add(normalised(linear, _normalisation("module.bn"), _EPSILON))
    weights = source("module.prob.weight").reshape(0, 1, 1, -1)
    last = builder.add(Node("prob", "conv", (last,), weights=weights))
    builder.add(Node("logits", "reshape", (last,), shape=(1, -1)))
    return Graph(tuple(builder.nodes), ("logits",))


def _bottleneck(builder: Builder, last: str, name: str, *, stride: int) -> str:
    """Widen, filter each channel, narrow."""
    last = _block(builder, last, f"{name}.conv", padding=0, slope=True)
    last = _block(builder, last, f"{name}.conv_dw", depthwise=True, stride=stride, slope=True)
    return _block(builder, last, f"{name}.project", padding=0)


def _block(  # noqa: PLR0913 - as many as the original has
    builder: Builder,
    last: str,
    name: str,
    *,
    depthwise: bool = False,
    stride: int = 1,
    padding: int = 1,
    slope: bool = False,
) -> str:
    """Add a convolution with its normalisation, and its PReLU where it has one."""
    weights = source(f"module.{name}.conv.weight")
    node = Node(
        name,
        "depthwise" if depthwise else "conv",
        (last,),
        weights=weights.transpose(*((1, 2, 3, 0) if depthwise else (0, 2, 3, 1))),
        stride=(stride, stride),
        padding=(padding, padding, padding, padding),
    )
    last = builder.add(normalised(node, _normalisation(f"module.{name}.bn"), _EPSILON))
    if not slope:
        return last
    slopes = source(f"module.{name}.prelu.weight")
    return builder.add(Node(f"{name}.prelu", "prelu", (last,), weights=slopes))


def _normalisation(name: str) -> tuple[Value, Value, Value, Value]:
    parts = ("weight", "bias", "running_mean", "running_var")
    gain, shift, mean, variance = (source(f"{name}.{part}") for part in parts)
    return gain, shift, mean, variance

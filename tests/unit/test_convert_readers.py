"""Published graphs: what our graph of them computes is what their own definitions say."""

import numpy as np
import pytest

from device.errors import ModelError
from tests.field import wire
from tools.field.upstream import read_tensors
from tools.lab.convert import minifasnet, onnx_graph, openvino_graph, tensorflow_graph
from tools.lab.convert.build import build
from tools.lab.convert.calibrate import Runner

RNG = np.random.default_rng(9)
PICTURE = RNG.integers(0, 256, (8, 8, 3), np.uint8)


def run(graph, tensors):
    return Runner(build(graph, tensors).as_float()).run(PICTURE)


def convolved(pixels, weights, bias=0.0, *, stride=1, pad=0, groups=1):  # noqa: PLR0913
    """A convolution as PyTorch and ONNX define it; pixels: (channels, height, width)."""
    padded = np.pad(pixels, ((0, 0), (pad, pad), (pad, pad)))
    out, _, kh, kw = weights.shape
    rows = range(0, padded.shape[1] - kh + 1, stride)
    columns = range(0, padded.shape[2] - kw + 1, stride)
    made = np.empty((out, len(rows), len(columns)))
    for i, y in enumerate(rows):
        for j, x in enumerate(columns):
            window = padded[:, y : y + kh, x : x + kw]
            if groups == 1:
                made[:, i, j] = np.einsum("chw,ochw->o", window, weights)
            else:
                made[:, i, j] = np.einsum("chw,chw->c", window, weights[:, 0])
    return made + np.reshape(bias, (-1, 1, 1))


def channels_first(picture):
    return picture.astype(float).transpose(2, 0, 1)


def test_an_onnx_detector():
    tensors = {
        "w": RNG.normal(0, 0.1, (4, 3, 3, 3)).astype(np.float32),
        "b": RNG.normal(size=4).astype(np.float32),
        "d": RNG.normal(0, 0.4, (4, 1, 3, 3)).astype(np.float32),
        "shape": np.array([1, -1, 4], np.int64),
    }
    same = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}
    halved = {"kernel_shape": [2, 2], "pads": [0, 0, 0, 0], "strides": [2, 2]}
    nodes = [
        wire.onnx_node("Conv", ["input", "w", "b"], "1", group=1, **same),
        wire.onnx_node("Relu", ["1"], "2"),
        wire.onnx_node("MaxPool", ["2"], "3", **halved),
        wire.onnx_node("Resize", ["3", "shape", "shape"], "4"),
        wire.onnx_node("Conv", ["4", "d"], "5", group=4, **same),
        wire.onnx_node("Add", ["5", "2"], "6"),
        wire.onnx_node("Sigmoid", ["6"], "7"),
        wire.onnx_node("Transpose", ["7"], "8", perm=[0, 2, 3, 1]),
        wire.onnx_node("Reshape", ["8", "shape"], "score"),
    ]
    data = wire.onnx(tensors, nodes, ["input", *tensors], ["score"])
    found = run(onnx_graph.read(data, 8, 8), read_tensors("onnx", data, "a.onnx"))
    first = np.maximum(convolved(channels_first(PICTURE), tensors["w"], tensors["b"], pad=1), 0)
    pooled = first.reshape(4, 4, 2, 4, 2).max(axis=(2, 4)).repeat(2, 1).repeat(2, 2)
    total = convolved(pooled, tensors["d"], pad=1, groups=4) + first
    wanted = 1 / (1 + np.exp(-total.transpose(1, 2, 0).reshape(-1, 4)))
    np.testing.assert_allclose(found["score"][0], wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("LSTM", {}),
        ("Transpose", {"perm": [0, 1, 3, 2]}),
        ("MaxPool", {"pads": [1, 1, 1, 1], "kernel_shape": [3, 3], "strides": [2, 2]}),
        ("Reshape", {}),
    ],
)
def test_what_of_onnx_it_does_not_know_is_named(op, attributes):
    data = wire.onnx({}, [wire.onnx_node(op, ["input"], "out", **attributes)], ["input"], ["out"])
    with pytest.raises(ModelError, match=f"does not know this {op} of ONNX"):
        onnx_graph.read(data, 8, 8)


def test_an_onnx_convolution_of_some_groups_is_refused():
    tensors = {"w": np.ones((4, 1, 1, 1), np.float32)}
    node = wire.onnx_node("Conv", ["input", "w"], "out", group=2, pads=[0, 0, 0, 0], strides=[1, 1])
    with pytest.raises(ModelError, match="2 groups"):
        onnx_graph.read(wire.onnx(tensors, [node], ["input", "w"], ["out"]), 8, 8)


XML = """<net><layers>
<layer id="0" type="Parameter"><data shape="1,3,8,8" element_type="f32"/></layer>
<layer id="1" type="Const"><data element_type="f16" shape="1, 3, 1, 1" offset="0" size="6"/></layer>
<layer id="2" type="Convert"/>
<layer id="3" type="Multiply"/>
<layer id="4" type="Const"><data element_type="f16" shape="1, 3, 1, 1" offset="6" size="6"/></layer>
<layer id="5" type="Add"/>
<layer id="6" type="Const">
<data element_type="f16" shape="4, 3, 3, 3" offset="12" size="216"/></layer>
<layer id="7" type="Convolution"><data strides="2, 2" pads_begin="1, 1" pads_end="1, 1"/></layer>
<layer id="8" type="Const"><data element_type="f16" shape="1" offset="228" size="2"/></layer>
<layer id="9" type="PReLU"/>
<layer id="10" type="Const">
<data element_type="f16" shape="4, 1, 1, 3, 3" offset="230" size="72"/></layer>
<layer id="11" type="GroupConvolution">
<data strides="1, 1" pads_begin="1, 1" pads_end="1, 1"/></layer>
<layer id="12" type="AvgPool"><data kernel="4, 4"/></layer>
<layer id="13" type="Sigmoid"/>
<layer id="14" type="Multiply"/>
<layer id="15" type="AvgPool"><data kernel="4, 4"/></layer>
<layer id="16" type="Result"/>
</layers><edges>
<edge from-layer="1" to-layer="2" to-port="0"/>
<edge from-layer="0" to-layer="3" to-port="0"/><edge from-layer="2" to-layer="3" to-port="1"/>
<edge from-layer="3" to-layer="5" to-port="0"/><edge from-layer="4" to-layer="5" to-port="1"/>
<edge from-layer="5" to-layer="7" to-port="0"/><edge from-layer="6" to-layer="7" to-port="1"/>
<edge from-layer="7" to-layer="9" to-port="0"/><edge from-layer="8" to-layer="9" to-port="1"/>
<edge from-layer="9" to-layer="11" to-port="0"/><edge from-layer="10" to-layer="11" to-port="1"/>
<edge from-layer="11" to-layer="12" to-port="0"/>
<edge from-layer="12" to-layer="13" to-port="0"/>
<edge from-layer="11" to-layer="14" to-port="0"/><edge from-layer="13" to-layer="14" to-port="1"/>
<edge from-layer="14" to-layer="15" to-port="0"/>
<edge from-layer="15" to-layer="16" to-port="0"/>
</edges></net>"""


def test_an_openvino_embedder():
    parts = {
        "scale": np.array([0.01, 0.02, 0.03]),
        "offset": np.array([-1, -2, 0.5]),
        "w": RNG.normal(0, 0.4, (4, 3, 3, 3)),
        "slope": np.array([-0.3]),
        "d": RNG.normal(0, 0.4, (4, 1, 3, 3)),
    }
    parts = {name: one.astype(np.float16) for name, one in parts.items()}
    data = b"".join(one.tobytes() for one in parts.values())
    graph = openvino_graph.read(XML.encode())
    found = run(graph, read_tensors("openvino-bin", data, "a.bin"))["template"][0]
    parts = {name: one.astype(float) for name, one in parts.items()}
    pixels = PICTURE.astype(float) * parts["scale"] + parts["offset"]
    first = convolved(pixels.transpose(2, 0, 1), parts["w"], stride=2, pad=1)
    bent = np.where(first > 0, first, first * parts["slope"])
    made = convolved(bent, parts["d"], pad=1, groups=4)
    mean = made.mean(axis=(1, 2))
    np.testing.assert_allclose(found, mean / (1 + np.exp(-mean)), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("Sigmoid", "Swish"), "knows no Swish of OpenVINO"),
        (("4, 1, 1, 3, 3", "2, 2, 1, 3, 3"), "of some groups"),
        (('kernel="4, 4"', 'kernel="2, 2"'), "not the whole 4x4"),
        (("</net>", ""), "damaged"),
    ],
)
def test_what_of_openvino_it_does_not_know_is_named(change, why):
    with pytest.raises(ModelError, match=why):
        build(
            openvino_graph.read(XML.replace(*change).encode()),
            read_tensors("openvino-bin", bytes(400), ""),
        )


def tensorflow_step(name, op, inputs, **attributes):
    return wire.tensorflow_node(name, op, inputs, **attributes)


def test_a_tensorflow_quality_network():
    arrays = {
        "w": RNG.normal(0, 0.4, (3, 3, 3, 4)),
        "gain": RNG.uniform(0.5, 2, 4),
        "shift": RNG.normal(size=4),
        "mean": RNG.normal(size=4),
        "variance": RNG.uniform(0.5, 2, 4),
        "d": RNG.normal(0, 0.4, (3, 3, 4, 1)),
        "l": RNG.normal(0, 0.4, (4, 1)),
        "m": RNG.normal(size=1),
    }
    arrays = {name: one.astype(np.float32) for name, one in arrays.items()}
    strides = [wire.message((1, wire.message(*[(3, one) for one in (1, n, n, 1)]))) for n in (1, 2)]
    same = wire.message((2, b"SAME"))
    window = wire.message((1, wire.message((3, 1), (3, 4), (3, 4), (3, 1))))
    norm = ["conv", "gain", "shift", "mean/read", "variance"]
    steps = [
        wire.tensorflow_node("input", "Placeholder"),
        *[wire.tensorflow_constant(name, one) for name, one in arrays.items()],
        wire.tensorflow_node("mean/read", "Identity", ["mean"]),
        wire.tensorflow_node("conv", "Conv2D", ["input", "w"], strides=strides[1], padding=same),
        wire.tensorflow_node("bn", "FusedBatchNorm", norm, epsilon=wire.message((4, 0.001))),
        wire.tensorflow_node("relu", "Relu", ["bn"]),
        wire.tensorflow_node(
            "dw", "DepthwiseConv2dNative", ["relu", "d"], strides=strides[0], padding=same
        ),
        wire.tensorflow_node("sum", "Add", ["dw", "relu"]),
        wire.tensorflow_node("pool", "AvgPool", ["sum"], ksize=window),
        wire.tensorflow_node("flat", "Reshape", ["pool", "w"]),
        wire.tensorflow_node("dense", "MatMul", ["flat", "l"]),
        wire.tensorflow_node("bias", "BiasAdd", ["dense", "m"]),
        wire.tensorflow_node("score", "Sigmoid", ["bias"]),
    ]
    data = wire.message(*steps)
    graph = tensorflow_graph.read(data, 8, 8, mean=128, scale=1 / 128)
    (found,) = run(graph, read_tensors("tensorflow-graphdef", data, "a.pb")).values()
    pixels = (channels_first(PICTURE) - 128) / 128
    # "SAME" with stride 2 on even sides adds its zeros at the bottom and right only.
    padded = np.pad(pixels, ((0, 0), (0, 1), (0, 1)))
    conv = convolved(padded, arrays["w"].transpose(3, 2, 0, 1), stride=2)
    wide = {name: one.reshape(-1, 1, 1) for name, one in arrays.items() if one.ndim == 1}
    norm = (conv - wide["mean"]) / np.sqrt(wide["variance"] + 0.001) * wide["gain"] + wide["shift"]
    relu = np.maximum(norm, 0)
    deep = convolved(relu, arrays["d"].transpose(2, 3, 0, 1), pad=1, groups=4) + relu
    logit = deep.mean(axis=(1, 2)) @ arrays["l"][:, 0] + arrays["m"][0]
    np.testing.assert_allclose(found, [[1 / (1 + np.exp(-logit))]], rtol=1e-4)


def test_what_of_tensorflow_it_does_not_know_is_named():
    steps = [
        wire.tensorflow_node("input", "Placeholder"),
        wire.tensorflow_node("out", "Softplus", ["input"]),
    ]
    with pytest.raises(ModelError, match="does not know this Softplus of TensorFlow"):
        tensorflow_graph.read(wire.message(*steps), 8, 8, mean=0, scale=1.0)


def test_minifasnet_takes_every_weight_of_its_checkpoint():
    """Its sources, one by one, are the names that the published checkpoint has."""
    graph = minifasnet.graph()
    names: set[str] = set()

    def collect(value):
        names.update({value.name} if value.op == "source" else ())
        for one in value.inputs:
            collect(one)

    for node in graph.nodes:
        for value in (node.weights, node.bias):
            if value is not None:
                collect(value)
    assert len(names) == 334 - 50  # All but each normalisation's count of batches.
    assert len([node for node in graph.nodes if node.op == "prelu"]) == 33
    assert graph.nodes[-1].name == graph.outputs[0] == "logits"

"""Networks as ncnn's files: whole without ncnn, and where it is, computing what others compute."""

import importlib

import numpy as np
import pytest

from device.errors import ModelError
from device.opencv import cv2
from tests.simulators.peers import UPSTREAM, library, networks
from tools.field.upstream import read_tensors
from tools.field.values import source
from tools.lab.bench.peers import anchor, published
from tools.lab.bench.peers.ncnn_network import NcnnNetwork
from tools.lab.bench.peers.ncnn_writer import write
from tools.lab.convert import onnx_graph, openvino_graph
from tools.lab.convert.build import build
from tools.lab.convert.calibrate import Runner
from tools.lab.convert.graph import Graph, Node

RNG = np.random.default_rng(5)


def small_graph():
    """A graph with every kind of layer that is written, and its numbers."""
    weights = {
        "w": RNG.normal(0, 0.2, (4, 3, 3, 3)),
        "d": RNG.normal(0, 0.4, (1, 3, 3, 4)),
        "squeeze": RNG.normal(0, 0.4, (4, 1, 1, 4)),
        "slopes": RNG.uniform(0.1, 0.4, 4),
        "scale": RNG.uniform(0.01, 0.02, 3),
        "offset": RNG.normal(size=3),
        "wide": RNG.normal(0, 0.4, (2, 1, 1, 8)),
    }
    nodes = (
        Node("picture", "input", shape=(1, 8, 12, 3)),
        Node("scaled", "affine", ("picture",), weights=source("scale"), bias=source("offset")),
        Node("conv", "conv", ("scaled",), weights=source("w"), padding=(1, 1, 1, 1)),
        Node("bent", "prelu", ("conv",), weights=source("slopes")),
        Node("small", "maxpool", ("bent",), kernel=(2, 2), stride=(2, 2)),
        Node("deep", "depthwise", ("small",), weights=source("d"), padding=(1, 1, 1, 1)),
        Node("cut", "relu", ("deep",), activation="relu6"),
        Node("large", "double", ("cut",)),
        Node("both", "add", ("large", "bent")),
        Node("mean", "mean", ("both",)),
        Node("excited", "conv", ("mean",), weights=source("squeeze")),
        Node("gate", "sigmoid", ("excited",)),
        Node("gated", "multiply", ("both", "gate")),
        Node("joined", "concat", ("gated", "both")),
        Node("two", "conv", ("joined",), weights=source("wide")),
        Node("rows", "reshape", ("two",), shape=(1, -1, 2)),
        Node("vector", "reshape", ("mean",), shape=(1, -1)),
    )
    return Graph(nodes, ("rows", "vector")), {k: v.astype(np.float32) for k, v in weights.items()}


def layers(param):
    """Read a .param as ncnn does: (kind, name, inputs, outputs, {number: text})."""
    magic, counts, *lines = param.splitlines()
    assert magic == "7767517"
    found = []
    for line in lines:
        kind, name, taken, given, *rest = line.split()
        taken, given = int(taken), int(given)
        inputs, outputs = rest[:taken], rest[taken : taken + given]
        found.append(
            (kind, name, inputs, outputs, dict(p.split("=") for p in rest[taken + given :]))
        )
    assert counts == f"{len(found)} {sum(len(outputs) for _, _, _, outputs, _ in found)}"
    return found


def test_every_tensor_of_a_param_is_made_once_before_it_is_taken_once():
    model = write(*small_graph())
    made, taken = set(), []
    for _, _, inputs, outputs, _ in layers(model.param):
        assert set(inputs) <= made
        assert made.isdisjoint(outputs)
        made.update(outputs)
        taken += inputs
    assert len(taken) == len(set(taken))
    assert made - set(taken) == set(model.outputs)
    assert model.input in made


def test_the_weights_are_as_long_as_the_layers_say():
    model = write(*small_graph())
    expected = 0
    for kind, _, _, _, given in layers(model.param):
        if kind in {"Convolution", "ConvolutionDepthWise"}:
            expected += 1 + int(given["6"]) + int(given["0"])
        elif kind == "InnerProduct":
            expected += 1 + int(given["2"]) + int(given["0"])
        elif kind in {"PReLU", "Scale"}:
            expected += int(given["0"]) * (1 + int(given.get("1", 0)))
    assert len(model.weights) == 4 * expected


def test_convolutions_are_turned_to_channels_first():
    weights = np.arange(2 * 3 * 5 * 4, dtype=np.float32).reshape(2, 3, 5, 4)
    node = Node("c", "conv", ("p",), weights=source("w"), stride=(2, 1), padding=(1, 0, 3, 2))
    graph = Graph((Node("p", "input", shape=(1, 9, 9, 4)), node), ("c",))
    model = write(graph, {"w": weights})
    *_, (kind, _, _, _, given) = layers(model.param)
    stored = np.frombuffer(model.weights, "<f4")
    assert kind == "Convolution"
    # Width before height: 1 and 11 the kernel, 3 and 13 the stride; left, top, right, bottom.
    assert [given[key] for key in ("0", "1", "11", "3", "13")] == ["2", "5", "3", "1", "2"]
    assert [given[key] for key in ("4", "14", "15", "16")] == ["3", "1", "2", "0"]
    np.testing.assert_array_equal(stored[1:-2].reshape(2, 4, 3, 5), weights.transpose(0, 3, 1, 2))
    assert stored[0] == 0
    assert not stored[-2:].any()


@pytest.mark.parametrize(
    "node",
    [
        Node("x", "softmax", ("picture",)),
        Node("x", "reshape", ("picture",), shape=(1, 2, 2, -1)),
        Node("x", "maxpool", ("picture",), kernel=(2, 2), stride=(2, 2), padding=(1, 1, 1, 1)),
    ],
)
def test_what_has_no_form_in_ncnn_is_named(node):
    graph = Graph((Node("picture", "input", shape=(1, 4, 4, 3)), node), ("x",))
    with pytest.raises(ModelError, match=r'"x" .* has no form in ncnn'):
        write(graph, {})


@library("ncnn")
def test_ncnn_computes_the_same_as_litert():
    graph, weights = small_graph()
    picture = RNG.integers(0, 256, (8, 12, 3), np.uint8)
    wanted = Runner(build(graph, weights).as_float()).run(picture)
    rows, vector = NcnnNetwork(write(graph, weights), (8, 12)).run(picture)
    np.testing.assert_allclose(rows, wanted["rows"], atol=2e-2, rtol=1e-2)
    np.testing.assert_allclose(vector, wanted["vector"], atol=2e-2, rtol=1e-2)


def cosine(one, other):
    one, other = one.ravel().astype(float), other.ravel().astype(float)
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def smooth(height, width):
    return anchor._picture(height, width)


@networks
@library("ncnn")
def test_yunet_in_ncnn_says_what_opencv_says():
    picture = anchor.smooth(384, 640)
    data = (UPSTREAM / published.YUNET).read_bytes()
    names = onnx_graph.read(data, 384, 640).outputs
    network = cv2.dnn.readNetFromONNX(str(UPSTREAM / published.YUNET))
    network.setInput(cv2.dnn.blobFromImage(picture))
    found = NcnnNetwork(published.yunet_for_ncnn(UPSTREAM), (384, 640)).run(picture)
    for ours, theirs in zip(found, network.forward(list(names)), strict=True):
        assert cosine(ours, theirs) > 0.999


@networks
@library("ncnn")
@library("openvino")
def test_the_embedder_in_ncnn_says_what_openvino_says():
    openvino = importlib.import_module("openvino")
    face = anchor.smooth(128, 128)
    core = openvino.Core()
    model = core.read_model(str(UPSTREAM / f"{published.OMZ}.xml"))
    exact = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    (theirs,) = exact(face.transpose(2, 0, 1)[None].astype(np.float32)).values()
    (ours,) = NcnnNetwork(published.omz_for_ncnn(UPSTREAM), (128, 128)).run(face)
    assert cosine(ours, theirs) > 0.999


@networks
def test_published_networks_have_a_form_in_ncnn():
    for model, wanted in (
        (published.yunet_for_ncnn(UPSTREAM), 12),
        (published.omz_for_ncnn(UPSTREAM), 1),
    ):
        assert len(model.outputs) == wanted
        assert {kind for kind, *_ in layers(model.param)} <= {
            "Input",
            "Split",
            "Convolution",
            "ConvolutionDepthWise",
            "InnerProduct",
            "PReLU",
            "ReLU",
            "Sigmoid",
            "BinaryOp",
            "Pooling",
            "Interp",
            "Permute",
            "Reshape",
            "Scale",
        }


@networks
def test_the_published_embedder_is_read_from_both_files():
    xml = (UPSTREAM / f"{published.OMZ}.xml").read_bytes()
    data = (UPSTREAM / f"{published.OMZ}.bin").read_bytes()
    direct = write(openvino_graph.read(xml), read_tensors("openvino-bin", data, "omz"))
    assert published.omz_for_ncnn(UPSTREAM) == direct
    assert set(published.hashes(UPSTREAM)) == {published.YUNET, f"{published.OMZ}.bin"}

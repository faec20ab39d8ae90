"""Graphs to files: what the interpreter computes is what the graph says, in float and in 8 bits."""

import json

import numpy as np
import pytest

from device.errors import ModelError
from tools.field.values import source
from tools.lab.convert import student
from tools.lab.convert.build import build
from tools.lab.convert.calibrate import Runner, observe
from tools.lab.convert.correct import correct
from tools.lab.convert.equalise import equalise
from tools.lab.convert.graph import SAME, Graph, Node
from tools.lab.convert.passes import fold_input, normalised
from tools.lab.convert.quantise import from_range, weight_scales
from tools.lab.convert.slopes import split_slopes
from tools.lab.edgetpu_check import problems_of

RNG = np.random.default_rng(5)
PICTURES = [RNG.integers(0, 256, (12, 10, 3), np.uint8) for _ in range(12)]
ARRAYS = {
    "w": RNG.normal(0, 0.3, (6, 3, 3, 3)),
    "b": RNG.normal(0, 1, 6),
    "d": RNG.normal(0, 0.5, (1, 3, 3, 6)),
    "e": RNG.normal(0, 1, 6),
    "p": RNG.normal(0, 0.4, (8, 1, 1, 6)),
    "up": np.abs(RNG.normal(0.4, 0.3, 6)) + 0.01,
    "down": -np.abs(RNG.normal(0.4, 0.3, 6)) - 0.01,
    "both": RNG.uniform(-0.9, 0.9, 6),
}
INPUT = Node("picture", "input", shape=(1, 12, 10, 3))
CONV = Node("conv", "conv", ("picture",), weights=source("w"), bias=source("b"), padding=SAME)


def graph(*nodes, first=INPUT, **options):
    return Graph((first, *nodes), (nodes[-1].name,), **options)


def output(data, picture):
    (found,) = Runner(data).run(picture).values()
    return found


def convolved(pixels, weights, bias, stride=1, padding=(0, 0, 0, 0)):
    """The convolution as its definition says. pixels: (h, w, in), weights: (out, h, w, in)."""
    top, bottom, left, right = padding
    padded = np.pad(pixels.astype(float), ((top, bottom), (left, right), (0, 0)))
    _, kh, kw, _ = weights.shape
    rows = range(0, padded.shape[0] - kh + 1, stride)
    columns = range(0, padded.shape[1] - kw + 1, stride)
    windows = [[padded[y : y + kh, x : x + kw] for x in columns] for y in rows]
    return np.einsum("yxhwi,ohwi->yxo", np.array(windows), weights) + bias


@pytest.mark.parametrize(
    ("stride", "padding"),
    [
        (1, (1, 1, 1, 1)),
        (2, (1, 1, 1, 1)),
        (2, (0, 1, 0, 1)),
        (1, (0, 0, 0, 0)),
        (2, (0, 0, 0, 0)),
        (1, (2, 0, 1, 3)),
    ],
)
def test_a_convolution_has_exactly_the_padding_that_it_says(stride, padding):
    node = Node(
        "conv",
        "conv",
        ("picture",),
        weights=source("w"),
        bias=source("b"),
        stride=(stride, stride),
        padding=padding,
    )
    built = build(graph(node), ARRAYS)
    wanted = convolved(PICTURES[0], ARRAYS["w"], ARRAYS["b"], stride, padding)
    np.testing.assert_allclose(output(built.as_float(), PICTURES[0])[0], wanted, rtol=1e-3)


def test_the_input_is_what_the_graph_takes_of_the_pixels():
    nodes = Node("twice", "add", ("picture", "picture"))
    built = build(graph(nodes, mean=128, scale=1 / 128), {})
    wanted = 2 * (PICTURES[0].astype(float) - 128) / 128
    np.testing.assert_allclose(output(built.as_float(), PICTURES[0])[0], wanted, atol=1e-6)
    in_bytes = output(built.as_int8(built.observe(PICTURES)), PICTURES[0])[0]
    np.testing.assert_allclose(in_bytes, wanted, atol=4 / 255)


def test_every_other_operation_does_what_it_says():
    nodes = (
        Node("pool", "maxpool", ("picture",), kernel=(2, 2), stride=(2, 2)),
        Node("double", "double", ("pool",)),
        Node("less", "subtract", ("picture", "double")),
        Node("relu", "relu", ("less",), activation="relu6"),
        Node("mean", "mean", ("relu",), kernel=(12, 10)),
        Node("soft", "softmax", ("mean",)),
        Node("gate", "sigmoid", ("mean",)),
        Node("times", "multiply", ("relu", "gate")),
        Node("join", "concat", ("times", "relu")),
        Node("flat", "reshape", ("join",), shape=(1, -1, 6)),
    )
    whole = Graph((INPUT, *nodes), tuple(node.name for node in nodes))
    found = Runner(build(whole, {}).as_float()).run(PICTURES[0])
    pixels = PICTURES[0].astype(float)
    pool = pixels.reshape(6, 2, 5, 2, 3).max(axis=(1, 3))
    less = pixels - pool.repeat(2, 0).repeat(2, 1)
    relu = np.clip(less, 0, 6)
    mean = relu.mean(axis=(0, 1))
    gate = 1 / (1 + np.exp(-mean))
    wanted = {
        "pool": pool,
        "less": less,
        "relu": relu,
        "mean": mean,
        "soft": np.exp(mean) / np.exp(mean).sum(),
        "gate": gate,
        "flat": np.concatenate([relu * gate, relu], axis=2).reshape(-1, 6),
    }
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name].reshape(values.shape), values, rtol=1e-4, atol=1e-5)


def test_a_relu_is_fused_unless_what_is_before_it_is_used_elsewhere():
    nodes = (CONV, Node("relu", "relu", ("conv",), activation="relu"))
    assert [node.op for node in build(graph(*nodes), ARRAYS).graph.nodes] == ["input", "conv"]
    both = (*nodes, Node("sum", "add", ("conv", "relu")))
    found = [node.op for node in build(graph(*both), ARRAYS).graph.nodes]
    assert found == ["input", "conv", "relu", "add"]


def deep():
    """A small network with everything that 8 bits must survive."""
    return Graph(
        (
            INPUT,
            CONV,
            Node("prelu", "prelu", ("conv",), weights=source("up")),
            Node(
                "wise",
                "depthwise",
                ("prelu",),
                weights=source("d"),
                bias=source("e"),
                stride=(2, 2),
                padding=(1, 1, 1, 1),
            ),
            Node("bent", "prelu", ("wise",), weights=source("both")),
            Node("narrow", "conv", ("bent",), weights=source("p")),
            Node("vector", "mean", ("narrow",)),
            Node("flat", "reshape", ("vector",), shape=(1, -1)),
        ),
        ("flat",),
        mean=128,
        scale=1 / 64,
    )


def test_a_file_written_twice_is_the_same():
    first, second = (build(deep(), ARRAYS) for _ in range(2))
    assert first.as_float() == second.as_float()
    split = build(split_slopes(first.graph, first.values), ARRAYS)
    seen = split.observe(PICTURES)
    assert split.as_int8(seen) == split.as_int8(split.observe(PICTURES))


@pytest.mark.parametrize("slopes", ["up", "down", "both"])
def test_a_prelu_is_two_convolutions_whatever_its_signs(slopes):
    nodes = (CONV, Node("prelu", "prelu", ("conv",), weights=source(slopes)))
    built = build(graph(*nodes), ARRAYS)
    split = build(split_slopes(built.graph, built.values), ARRAYS)
    before = convolved(PICTURES[1], ARRAYS["w"], ARRAYS["b"], padding=(1, 1, 1, 1))
    wanted = np.where(before > 0, before, before * ARRAYS[slopes])
    for data in (built.as_float(), split.as_float()):
        np.testing.assert_allclose(output(data, PICTURES[1])[0], wanted, rtol=1e-3, atol=1e-2)
    assert not any(node.op == "prelu" for node in split.graph.nodes)


def test_slopes_of_both_signs_over_one_are_refused():
    nodes = (CONV, Node("prelu", "prelu", ("conv",), weights=source("both")))
    arrays = ARRAYS | {"both": np.array([-1.0, 2.0, 0, 0, 0, 0])}
    built = build(graph(*nodes), arrays)
    with pytest.raises(ModelError, match="both signs"):
        split_slopes(built.graph, built.values)


def test_a_prelu_of_anything_but_a_convolution_is_refused():
    nodes = (CONV, Node("sum", "add", ("conv", "conv")), Node("p", "prelu", ("sum",)))
    nodes = (*nodes[:2], Node("p", "prelu", ("sum",), weights=source("up")))
    built = build(graph(*nodes), ARRAYS)
    with pytest.raises(ModelError, match="no PReLU of a convolution"):
        split_slopes(built.graph, built.values)


def test_equalisation_changes_ranges_and_nothing_else():
    arrays = ARRAYS | {"w": ARRAYS["w"] * np.array([1, 40, 1, 1, 0.02, 1]).reshape(-1, 1, 1, 1)}
    arrays |= {"b": np.zeros(6), "e": np.zeros(6)}
    built = build(deep(), arrays)
    seen = built.observe(PICTURES)
    equal, factors = equalise(built.graph, seen)
    after = build(equal, arrays, factors)
    for picture in PICTURES[:3]:
        np.testing.assert_allclose(
            output(after.as_float(), picture), output(built.as_float(), picture), rtol=1e-3
        )
    assert set(factors) == {"conv/s", "wise/s"}

    def spread(statistics):
        largest = np.maximum(np.abs(statistics.lows), np.abs(statistics.highs))
        return largest.max() / largest.min()

    assert spread(seen["prelu"]) > 100
    assert spread(after.observe(PICTURES)["prelu"]) < 50


def test_eight_bits_are_near_the_floats_and_equalisation_and_correction_bring_them_nearer():
    arrays = ARRAYS | {"w": ARRAYS["w"] * np.array([1, 9, 1, 1, 0.1, 1]).reshape(-1, 1, 1, 1)}
    built = build(deep(), arrays)
    wanted = np.stack([output(built.as_float(), one) for one in PICTURES])

    def error(data):
        return float(np.abs(np.stack([output(data, one) for one in PICTURES]) - wanted).mean())

    plain = build(split_slopes(built.graph, built.values), arrays)
    equal, factors = equalise(built.graph, built.observe(PICTURES))
    better = build(split_slopes(equal, built.values), arrays, factors)
    seen = better.observe(PICTURES)
    best, _ = correct(better, arrays, factors, seen)
    errors = [
        error(plain.as_int8(plain.observe(PICTURES))),
        error(better.as_int8(seen)),
        error(best.as_int8(seen)),
    ]
    assert errors[0] < 0.1 * np.abs(wanted).mean()
    assert errors[0] > errors[1] > errors[2]
    assert problems_of(best.as_int8(seen)) == []


def test_the_inputs_scaling_goes_into_the_first_convolution():
    affine = Node("norm", "affine", ("picture",), weights=source("s"), bias=source("o"))
    nodes = (
        affine,
        Node("c", "conv", ("norm",), weights=source("w"), bias=source("b"), padding=(1, 1, 1, 1)),
    )
    arrays = ARRAYS | {"s": np.array([0.01, 0.02, 0.03]), "o": np.array([-0.7, -1.4, -2.1])}
    built = build(graph(*nodes), arrays)
    folded = build(fold_input(graph(*nodes), 70), arrays)
    # All three channels are 0 at the pixel 70, so that the edge is exact here too.
    np.testing.assert_allclose(
        output(folded.as_float(), PICTURES[0]), output(built.as_float(), PICTURES[0]), atol=1e-4
    )
    assert [node.op for node in folded.graph.nodes] == ["input", "conv"]
    with pytest.raises(ModelError, match="nothing that the first convolution can do"):
        fold_input(graph(CONV, Node("sum", "add", ("conv", "conv"))), 70)


def test_a_batch_normalisation_is_part_of_the_convolution():
    arrays = ARRAYS | {
        "gain": RNG.uniform(0.5, 2, 6),
        "shift": RNG.normal(size=6),
        "mean": RNG.normal(size=6),
        "variance": RNG.uniform(0.5, 2, 6),
    }
    parts = tuple(source(name) for name in ("gain", "shift", "mean", "variance"))
    built = build(graph(normalised(CONV, parts, 1e-3)), arrays)
    before = convolved(PICTURES[2], ARRAYS["w"], ARRAYS["b"], padding=(1, 1, 1, 1))
    wanted = (before - arrays["mean"]) / np.sqrt(arrays["variance"] + 1e-3)
    wanted = wanted * arrays["gain"] + arrays["shift"]
    np.testing.assert_allclose(output(built.as_float(), PICTURES[2])[0], wanted, rtol=2e-3)


@pytest.mark.parametrize(
    ("ranges", "scale", "zero"),
    [
        ([(0.0, 255.0)], 1.0, -128),
        ([(-2.0, 2.08)], 4.08 / 255, -3),
        ([(0.0, 1.0), (-3.0, 0.5)], 4 / 255, 63),
        ([(5.0, 10.0)], 10 / 255, -128),
        ([(0.0, 0.0)], 1.0, -128),
    ],
)
def test_a_scale_covers_the_range_and_zero_is_exact(ranges, scale, zero):
    found = from_range(ranges)
    assert found.scales[0] == pytest.approx(scale)
    assert found.zero_points[0] == zero


def test_weight_scales_are_per_channel_and_never_zero():
    weights = np.zeros((3, 1, 1, 2))
    weights[0] = 1.27
    weights[1] = -2.54
    scales = weight_scales(weights, np.zeros(3), 0, 0.5)
    np.testing.assert_allclose(scales, [0.01, 0.02, 0.015], rtol=1e-6)
    # A bias that would not fit into 32 bits widens its channel's scale.
    scales = weight_scales(weights, np.array([0, 1e9, 0]), 0, 0.5)
    assert 1e9 / (0.5 * scales[1]) < 2**31


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        ((CONV, Node("c", "conv", ("conv",), weights=source("w"))), '"c" .* 6 channels come'),
        ((Node("sum", "add", ("picture", "none")),), '"sum" .*none'),
        ((Node("r", "reshape", ("picture",), shape=(1, 7)),), '"r" '),
        ((Node("m", "mean", ("picture",), kernel=(3, 3)),), '"m" .*not the whole'),
    ],
)
def test_nodes_that_do_not_fit_are_named(nodes, why):
    with pytest.raises(ModelError, match=why):
        build(graph(*nodes), ARRAYS)


def test_without_pictures_nothing_is_calibrated():
    built = build(graph(CONV), ARRAYS)
    with pytest.raises(ModelError, match="no pictures"):
        observe(built.as_float(), [])


STUDENT = {
    "input": {"name": "image", "shape": [12, 10], "mean": 127, "scale": 0.01},
    "nodes": [
        {
            "op": "conv",
            "name": "c",
            "input": "image",
            "weights": "w",
            "bias": "b",
            "stride": 2,
            "padding": [0, 1, 0, 1],
            "activation": "relu6",
        },
        {"op": "depthwise", "name": "g", "input": "c", "weights": "d"},
        {"op": "linear", "name": "v", "input": "g", "weights": "l", "bias": "m"},
        {"op": "reshape", "name": "out", "input": "v", "shape": [5]},
    ],
    "outputs": ["out"],
}
TRAINED = {
    "w": RNG.normal(0, 0.3, (6, 3, 3, 3)).astype(np.float32),
    "b": RNG.normal(0, 0.5, 6).astype(np.float32),
    "d": RNG.normal(0, 0.5, (6, 1, 6, 5)).astype(np.float32),
    "l": RNG.normal(0, 0.5, (5, 6)).astype(np.float32),
    "m": RNG.normal(0, 0.5, 5).astype(np.float32),
}


def student_says(picture):
    """The network of STUDENT, computed in PyTorch's order of axes."""
    pixels = (picture.astype(float) - 127) * 0.01
    weights = TRAINED["w"].transpose(0, 2, 3, 1)
    first = np.clip(convolved(pixels, weights, TRAINED["b"], 2, (0, 1, 0, 1)), 0, 6)
    pooled = np.einsum("hwc,chw->c", first, TRAINED["d"][:, 0])
    return TRAINED["l"] @ pooled + TRAINED["m"]


def test_a_student_is_written_in_both_forms(tmp_path):
    np.savez(tmp_path / "graph.npz", graph=json.dumps(STUDENT), **TRAINED)
    np.savez(tmp_path / "calibration.npz", pictures=np.stack(PICTURES))
    files = [str(tmp_path / name) for name in ("graph.npz", "calibration.npz", "out.tflite")]
    assert student.main([*files, "--float", str(tmp_path / "float.tflite")]) == 0
    data = (tmp_path / "out.tflite").read_bytes()
    assert problems_of(data) == []
    for picture in PICTURES[:3]:
        wanted = student_says(picture)
        exact = output((tmp_path / "float.tflite").read_bytes(), picture)[0]
        np.testing.assert_allclose(exact, wanted, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(output(data, picture)[0], wanted, atol=0.3)


@pytest.mark.parametrize("text", ["", "{}", '{"input": 3}', json.dumps({**STUDENT, "nodes": 1})])
def test_a_student_that_cannot_be_read_is_one_sentence(text):
    with pytest.raises(ModelError, match="The graph cannot be read"):
        student.read(text, TRAINED)


def test_files_that_are_no_arrays_are_one_sentence(tmp_path, capsys):
    (tmp_path / "graph.npz").write_bytes(b"PK\3\4 something")
    files = [str(tmp_path / name) for name in ("graph.npz", "none.npz", "out.tflite")]
    assert student.main(files) == 5
    assert "is no .npz file of plain arrays" in capsys.readouterr().err
    assert not (tmp_path / "out.tflite").exists()

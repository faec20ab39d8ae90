"""The Edge TPU's list against files that have one thing wrong, and against bytes that are none."""

import argparse

import numpy as np
import pytest

from device.errors import ModelError, StorageError
from tools.lab import edgetpu_check, tflite
from tools.lab.convert.build import build
from tools.lab.convert.flatbuffer import Scalar, Vector, serialise
from tools.lab.convert.graph import Graph, Node
from tools.lab.edgetpu_check import problems_of
from tools.lab.edgetpu_rules import RULES
from tools.lab.tflite_operators import OPERATORS

KINDS = {"float32": 0, "int32": 2, "uint8": 3, "int64": 4, "int8": 9}


def tensor(  # noqa: PLR0913, PLR0917 - a tensor has as many properties
    name, shape, dtype="int8", buffer=0, scales=(0.5,), signature=None
):
    """A tensor's table; scales: empty for one that is not quantised."""
    table = {
        0: Vector(np.array(shape, np.int32)),
        1: Scalar("b", KINDS[dtype]),
        2: Scalar("I", buffer),
        3: name,
    }
    if scales:
        zeros = np.zeros(len(scales), np.int64)
        table[4] = {2: Vector(np.array(scales, np.float32)), 3: Vector(zeros, 8)}
    if signature:
        table[7] = Vector(np.array(signature, np.int32))
    return table


def constant(values):
    """A buffer's table."""
    return {0: Vector(np.frombuffer(np.asarray(values).tobytes(), np.uint8), 16)}


def model(operator, tensors, inputs, *, options=None, buffers=(), subgraphs=1):  # noqa: PLR0913
    """The file of one operator; tensors: 0 is its output, 1 the model's input."""
    code = {0: Scalar("b", min(operator, 127)), 3: Scalar("i", operator)}
    table = {
        1: Vector(np.array(inputs, np.int32)),
        2: Vector(np.array([0], np.int32)),
    }
    if options is not None:
        table |= {3: Scalar("B", 1), 4: options}
    subgraph = {
        0: tensors,
        1: Vector(np.array([1], np.int32)),
        2: Vector(np.array([0], np.int32)),
        3: [table],
    }
    root = {0: Scalar("I", 3), 1: [code], 2: [subgraph] * subgraphs, 4: [{}, *buffers]}
    return serialise(root, b"TFL3")


def add(**changes):
    """A file of one sum, of which one tensor may be changed."""
    shape = changes.pop("shape", (1, 4, 4, 8))
    both = [tensor("sum", shape), tensor("a", shape, **changes)]
    return model(OPERATORS.index("ADD"), both, (1, 1))


def convolution(out=4, dilation=(1, 1), *, constant_weights=True):
    tensors = [
        tensor("made", (1, 4, 4, out)),
        tensor("given", (1, 4, 4, 3)),
        tensor("weights", (out, 1, 1, 3), buffer=int(constant_weights), scales=(0.1,) * out),
        tensor("bias", (out,), "int32", buffer=2, scales=(0.05,) * out),
    ]
    options = {4: Scalar("i", dilation[0]), 5: Scalar("i", dilation[1])}
    buffers = [constant(np.ones(out * 3, np.int8)), constant(np.ones(out, np.int32))]
    return model(OPERATORS.index("CONV_2D"), tensors, (1, 2, 3), options=options, buffers=buffers)


def test_a_quantised_convolution_is_on_the_list():
    assert problems_of(convolution()) == []


def test_what_our_writer_makes_of_eight_bits_is_on_the_list_and_of_floats_is_not():
    nodes = (
        Node("picture", "input", shape=(1, 8, 8, 3)),
        Node("double", "double", ("picture",)),
        Node("mean", "mean", ("double",)),
        Node("flat", "reshape", ("mean",), shape=(1, -1)),
    )
    built = build(Graph(nodes, ("flat",)), {})
    pictures = [np.full((8, 8, 3), value, np.uint8) for value in (0, 90, 255)]
    assert problems_of(built.as_int8(built.observe(pictures))) == []
    (first, *_) = problems_of(built.as_float())
    assert (
        first == '0 RESIZE_NEAREST_NEIGHBOR has "picture", which is float32, not an 8-bit integer'
    )


def test_an_operation_that_is_not_on_the_list_is_named():
    tensors = [tensor("out", (1, 4, 4, 8)), tensor("in", (1, 4, 4, 4))]
    assert "TILE" not in RULES
    assert problems_of(model(OPERATORS.index("TILE"), tensors, (1,))) == [
        "0 TILE is no operation of the Edge TPU"
    ]
    assert problems_of(model(4000, tensors, (1,))) == [
        "0 operator 4000 is no operation of the Edge TPU"
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"dtype": "float32", "scales": ()}, 'has "a", which is float32, not an 8-bit integer'),
        ({"scales": ()}, 'has "a", which is not quantised'),
        ({"signature": (1, -1, 4, 8)}, 'has "a", which has a size that is not constant'),
        (
            {"shape": (2, 4, 4, 8)},
            'has "a", which is [2, 4, 4, 8]: only the three inner sides may be larger than 1',
        ),
    ],
)
def test_a_tensor_that_it_does_not_take_is_named(changes, why):
    assert problems_of(add()) == []
    assert problems_of(add(**changes)) == [f"0 ADD {why}"]


def test_a_convolution_needs_constant_weights_and_even_dilation():
    assert problems_of(convolution(out=1, constant_weights=False)) == [
        "0 CONV_2D has parameters that are not constant"
    ]
    assert problems_of(convolution(dilation=(1, 2))) == [
        "0 CONV_2D dilates differently across and down"
    ]
    assert problems_of(convolution(dilation=(2, 2))) == []


@pytest.mark.parametrize(("shape", "problems"), [((1, 1, 8), 0), ((4, 1, 8), 1), ((4, 4, 1), 1)])
def test_slopes_must_be_one_per_channel(shape, problems):
    tensors = [
        tensor("out", (1, 4, 4, 8)),
        tensor("in", (1, 4, 4, 8)),
        tensor("slopes", shape, buffer=1),
    ]
    buffers = [constant(np.ones(int(np.prod(shape)), np.int8))]
    found = problems_of(model(OPERATORS.index("PRELU"), tensors, (1, 2), buffers=buffers))
    assert len(found) == problems
    assert all("one per channel is supported" in one for one in found)


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ([1, 2], None),
        ([-1], "reduces a depth that is no multiple of 4"),
        ([0], "reduces the batch dimension"),
    ],
)
def test_means_are_over_height_and_width(axes, why):
    tensors = [
        tensor("out", (1, 1, 1, 6)),
        tensor("in", (1, 4, 4, 6)),
        tensor("axes", (len(axes),), "int32", buffer=1, scales=()),
    ]
    buffers = [constant(np.array(axes, np.int32))]
    found = problems_of(model(OPERATORS.index("MEAN"), tensors, (1, 2), buffers=buffers))
    assert found == ([f"0 MEAN {why}"] if why else [])


@pytest.mark.parametrize(("scales", "problems"), [(1, 0), (8, 1)])
def test_a_dense_layer_has_one_scale(scales, problems):
    tensors = [
        tensor("out", (1, 8)),
        tensor("in", (1, 4)),
        tensor("weights", (8, 4), buffer=1, scales=(0.1,) * scales),
        tensor("bias", (8,), "int32", buffer=2, scales=(0.05,) * scales),
    ]
    buffers = [constant(np.ones(32, np.int8)), constant(np.ones(8, np.int32))]
    operator = OPERATORS.index("FULLY_CONNECTED")
    assert len(problems_of(model(operator, tensors, (1, 2, 3), buffers=buffers))) == problems


@pytest.mark.parametrize(
    ("name", "field"), [("AVERAGE_POOL_2D", 5), ("MAX_POOL_2D", 5), ("CONCATENATION", 1)]
)
def test_a_fused_activation_is_not_taken_everywhere(name, field):
    tensors = [tensor("out", (1, 2, 2, 8)), tensor("in", (1, 4, 4, 8))]
    plain, fused = ({field: Scalar("b", activation)} for activation in (0, 1))
    assert problems_of(model(OPERATORS.index(name), tensors, (1,), options=plain)) == []
    assert problems_of(model(OPERATORS.index(name), tensors, (1,), options=fused)) == [
        f"0 {name} has a fused activation function"
    ]


@pytest.mark.parametrize(("inputs", "values", "problems"), [((1, 2), 0, 0), ((1, 2), 5, 1)])
def test_a_constant_is_concatenated_only_as_zeros(inputs, values, problems):
    tensors = [
        tensor("out", (1, 4, 4, 16)),
        tensor("in", (1, 4, 4, 8)),
        tensor("constant", (1, 4, 4, 8), buffer=1),
    ]
    buffers = [constant(np.full(128, values, np.int8))]
    found = problems_of(model(OPERATORS.index("CONCATENATION"), tensors, inputs, buffers=buffers))
    assert len(found) == problems


@pytest.mark.parametrize(("elements", "problems"), [(16_000, 0), (16_001, 1)])
def test_softmax_has_a_largest_size(elements, problems):
    tensors = [tensor("out", (1, elements)), tensor("in", (1, elements))]
    assert len(problems_of(model(OPERATORS.index("SOFTMAX"), tensors, (1,)))) == problems


def test_several_subgraphs_are_one_problem():
    tensors = [tensor("sum", (1, 4)), tensor("a", (1, 4))]
    data = model(OPERATORS.index("ADD"), tensors, (1, 1), subgraphs=2)
    assert problems_of(data) == ["the model has 2 subgraphs, one is supported"]


def test_an_operator_without_its_inputs_is_damaged():
    tensors = [tensor("out", (1, 4)), tensor("in", (1, 4))]
    found = problems_of(model(OPERATORS.index("PRELU"), tensors, (1,)))
    assert found == ["0 PRELU is damaged"]


@pytest.mark.parametrize("data", [b"", b"x", b"PK\3\4" * 40, b"\0" * 400, b"\xff" * 400])
def test_bytes_that_are_no_model_are_one_sentence(data):
    with pytest.raises(ModelError, match=r"^notes\.txt is no TensorFlow Lite model"):
        problems_of(data, "notes.txt")


def test_a_cut_file_never_ends_in_anything_but_that_sentence():
    data = convolution()
    for length in range(len(data)):
        with pytest.raises(ModelError):
            tflite.read(data[:length])


def test_a_file_with_any_byte_changed_is_read_or_refused():
    data = bytearray(convolution())
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(3000):
        place, value = int(rng.integers(len(data))), int(rng.integers(256))
        before, data[place] = data[place], value
        try:
            problems_of(bytes(data))
        except ModelError:
            refused += 1
        data[place] = before
    assert 0 < refused < 3000


def test_the_command_names_file_and_operation_and_fails(tmp_path, capsys):
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.tflite"
    good.write_bytes(convolution())
    bad.write_bytes(convolution(dilation=(1, 2)))
    assert edgetpu_check.run(argparse.Namespace(files=[good])) == 0
    assert edgetpu_check.run(argparse.Namespace(files=[good, bad])) == 1
    said = capsys.readouterr().out
    assert f"{good}: all for the Edge TPU" in said
    assert f"{bad}: 1 not for the Edge TPU:\n  0 CONV_2D dilates differently" in said


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        edgetpu_check.run(argparse.Namespace(files=[tmp_path / "none.tflite"]))

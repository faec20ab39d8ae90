"""Readers of published files: right for whole files, one sentence for anything else."""

import os
import pickle

import numpy as np
import pytest

from device.errors import ModelError
from tests.field import wire
from tools.field.upstream import READERS, read_tensors
from tools.field.upstream.openvino import name_of


def read(kind, data):
    return read_tensors(kind, data, "published.file")


def refused(kind, data):
    with pytest.raises(ModelError, match=r"^published\.file is damaged, or no ") as error:
        read(kind, data)
    return str(error.value)


@pytest.fixture(params=["onnx", "tensorflow-graphdef", "torch-checkpoint"])
def published(request):
    """Format, file and tensors of a small file."""
    tensors = wire.some()
    if request.param == "onnx":
        return request.param, wire.onnx(tensors), tensors
    if request.param == "torch-checkpoint":
        return request.param, wire.checkpoint(tensors), tensors
    tensors["count"] = tensors["count"].astype(np.int32)
    fields = [wire.tensorflow_constant(name, one) for name, one in tensors.items()]
    return request.param, wire.message(*fields), tensors


def test_all_tensors_come_with_name_shape_type_and_content(published):
    kind, data, tensors = published
    found = read(kind, data)
    assert list(found) == list(tensors)
    for name, values in tensors.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_a_cut_file_never_gives_a_wrong_tensor(published):
    kind, data, tensors = published
    for length in range(len(data)):
        try:
            found = read(kind, data[:length])
        except ModelError:
            continue
        # A graph may end early without a sign of it; what came is whole all the same.
        assert len(found) < len(tensors)
        for name, values in found.items():
            np.testing.assert_array_equal(values, tensors[name])


def test_a_file_with_any_byte_changed_is_read_or_refused(published):
    kind, data, _ = published
    changed = bytearray(data)
    rng = np.random.default_rng(2)
    outcomes = set()
    for _ in range(1500):
        place = int(rng.integers(len(data)))
        before, changed[place] = changed[place], int(rng.integers(256))
        try:
            dict(read(kind, bytes(changed)))
            outcomes.add("read")
        except ModelError:
            outcomes.add("refused")
        changed[place] = before
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("kind", ["onnx", "tensorflow-graphdef", "torch-checkpoint"])
@pytest.mark.parametrize(
    "data", [b"", b"\0", b"<html></html>", b"\xff" * 100, b"PK\3\4" + b"\0" * 60]
)
def test_other_bytes_are_one_sentence(kind, data):
    assert kind in refused(kind, data)


def test_numbers_may_be_packed_or_alone_in_onnx():
    floats = np.array([1.5, -2.0], np.float32)
    packed = wire.message((1, 2), (2, 1), (8, "a"), (4, floats.tobytes()))
    alone = wire.message((1, 2), (2, 1), (8, "b"), (4, 1.5), (4, -2.0))
    whole = wire.message((1, 2), (2, 7), (8, "c"), (7, wire.varint(3) + wire.varint(-3)))
    graph = wire.message((5, packed), (5, alone), (5, whole))
    found = read("onnx", wire.message((7, graph)))
    np.testing.assert_array_equal(found["a"], floats)
    np.testing.assert_array_equal(found["b"], floats)
    np.testing.assert_array_equal(found["c"], [3, -3])


def test_one_number_stands_for_a_whole_tensor_in_tensorflow():
    values = np.full((2, 3), 0.25, np.float32)
    field = wire.tensorflow_constant("bias", values, content=((5, 0.25),))
    np.testing.assert_array_equal(read("tensorflow-graphdef", wire.message(field))["bias"], values)


def test_one_number_for_a_tensor_that_fills_the_memory_is_refused():
    huge = np.broadcast_to(np.float32(1), (1 << 20, 1 << 20))
    field = wire.tensorflow_constant("bias", huge, content=((5, 1.0),))
    refused("tensorflow-graphdef", wire.message(field))


def test_a_tensor_without_its_last_number_is_refused():
    short = wire.message((1, 3), (2, 1), (8, "a"), (9, b"\0" * 8))
    refused("onnx", wire.message((7, wire.message((5, short)))))


def test_openvino_tensors_are_where_their_names_say():
    numbers = np.arange(12, dtype=np.float16)
    found = read("openvino-bin", b"\0\0" + numbers.tobytes())
    np.testing.assert_array_equal(found[name_of("f16", 2, [3, 4])], numbers.reshape(3, 4))
    np.testing.assert_array_equal(found[name_of("f16", 4, [])], numbers[1])
    with pytest.raises(ValueError, match="buffer"):
        found[name_of("f16", 4, [12])]


def test_a_checkpoint_cannot_call_anything(tmp_path):
    """A file that would run a command, were it unpickled as any pickle is."""
    witness = tmp_path / "witness"
    evil = pickle.dumps(wire.Call(os.system, (f"touch {witness}",)), 2)
    pickle.loads(evil)
    assert witness.exists()
    witness.unlink()
    whole = wire.checkpoint(wire.some())
    state = wire.pickled({"little_endian": True})
    at = whole.index(state) + len(state)
    refused("torch-checkpoint", evil)
    refused("torch-checkpoint", whole[:at] + evil + whole[at:])
    assert not witness.exists()


@pytest.mark.parametrize(
    "function", [("builtins", "eval"), ("torch", "load"), ("torch._utils", "_rebuild_parameter")]
)
def test_a_checkpoint_may_name_no_other_function(function):
    refused("torch-checkpoint", wire.checkpoint(wire.some(), rebuild=function))


def test_a_format_without_a_reader_is_named():
    with pytest.raises(ModelError, match="No reader for caffe; there are: onnx"):
        read("caffe", b"")
    assert set(READERS) == {"onnx", "openvino-bin", "tensorflow-graphdef", "torch-checkpoint"}

"""The choice of the interpreter, with modules that behave as the real ones were seen to."""

import os
import sys
import types

import numpy as np
import pytest

from device.errors import ModelError
from device.vision import inference
from device.vision.inference import open_network
from device.vision.output import Output


class Interpreter:
    """The part of tflite_runtime.interpreter.Interpreter that is used."""

    def __init__(self, model_path=None, num_threads=None, experimental_delegates=None):
        self.delegates = experimental_delegates
        self.tensors = {0: np.zeros((1, 4, 4, 3), np.uint8), 1: np.zeros((1, 3), np.int8)}

    def allocate_tensors(self):
        pass

    def get_input_details(self):
        return [{"index": 0, "shape": np.array([1, 4, 4, 3]), "dtype": np.uint8}]

    def get_output_details(self):
        return [{"index": 1, "shape": np.array([1, 3]), "quantization": (0.5, -10)}]

    def tensor(self, index):
        return lambda: self.tensors[index]

    def invoke(self):
        self.tensors[1][:] = self.tensors[0].max()


@pytest.fixture
def installed(monkeypatch):
    """Install stand-ins for the runtimes: `installed("ai_edge_litert", Interpreter=…)`."""
    for name in ("tflite_runtime", "ai_edge_litert"):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", None)
    monkeypatch.setattr(inference.metadata, "version", lambda _: "9.9")

    def install(name, **members):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        module = types.ModuleType(f"{name}.interpreter")
        vars(module).update(members)
        monkeypatch.setitem(sys.modules, f"{name}.interpreter", module)

    return install


def _fails_with_numpy_2(*_args, **_kwargs):
    raise ImportError("A module that was compiled using NumPy 1.x cannot be run in NumPy 2")


def test_a_runtime_that_imports_but_cannot_open_is_passed_over(installed, tmp_path):
    installed("tflite_runtime", Interpreter=_fails_with_numpy_2)
    installed("ai_edge_litert", Interpreter=Interpreter)
    assert open_network(tmp_path / "m.tflite", 1).runtime.name == "ai-edge-litert"


def test_when_none_can_open_each_reason_is_said(installed, tmp_path):
    installed("tflite_runtime", Interpreter=_fails_with_numpy_2)
    with pytest.raises(ModelError, match=r"m\.tflite: tflite-runtime with NumPy .* NumPy 2"):
        open_network(tmp_path / "m.tflite", 1)


def test_without_any_runtime_it_says_what_to_do(installed, tmp_path):
    with pytest.raises(ModelError, match="make venv"):
        open_network(tmp_path / "m.tflite", 1)


def test_a_missing_edge_tpu_falls_back_visibly(installed, tmp_path):
    def no_library(_name):
        raise ValueError("Failed to load delegate from libedgetpu.so.1")

    installed("ai_edge_litert", Interpreter=Interpreter, load_delegate=no_library)
    runtime = open_network(tmp_path / "m.tflite", 2, tmp_path / "m_edgetpu.tflite").runtime
    assert runtime.delegate == "CPU"
    assert "no Edge TPU" in str(runtime)
    assert "2 threads" in str(runtime)


def test_the_edge_tpu_is_used_when_it_is_there(installed, tmp_path):
    installed("ai_edge_litert", Interpreter=Interpreter, load_delegate=lambda name: name)
    network = open_network(tmp_path / "m.tflite", 1, tmp_path / "m_edgetpu.tflite")
    assert network.runtime.delegate == "Edge TPU"
    assert network._interpreter.delegates == ["libedgetpu.so.1"]


def test_outputs_are_dequantised_and_the_tensors_wiped(installed, tmp_path):
    installed("ai_edge_litert", Interpreter=Interpreter)
    network = open_network(tmp_path / "m.tflite", 1)
    (output,) = network.run(np.full((4, 4, 3), 40, np.uint8))
    assert output.dtype == np.float32
    assert output.tolist() == [[25.0, 25.0, 25.0]]
    assert not network._interpreter.tensors[0].any()
    assert not network._interpreter.tensors[1].any()


def test_the_input_is_wiped_when_the_network_fails(installed, tmp_path):
    class Broken(Interpreter):
        broken = False

        def invoke(self):
            if self.broken:
                raise RuntimeError("fault injected")
            super().invoke()

    installed("ai_edge_litert", Interpreter=Broken)
    network = open_network(tmp_path / "m.tflite", 1)
    network._interpreter.broken = True
    with pytest.raises(RuntimeError, match="injected"):
        network.run(np.full((4, 4, 3), 40, np.uint8))
    assert not network._interpreter.tensors[0].any()


def test_the_real_runtime_opens_the_real_models(models):
    for entry in models.entries:
        network = models.open(entry, 1, edge_tpu=True)
        outputs = network.run(np.full(network.input_shape[1:], 128, np.uint8))
        assert all(np.isfinite(output).all() for output in outputs)


def test_native_notices_are_kept_off_standard_error(models, capfd):
    models.open(models.entries[0], 1, edge_tpu=False)
    assert "INFO" not in capfd.readouterr().err


def test_other_native_messages_come_through(capfd):
    with inference.quiet_native_notices():
        os.write(2, b"INFO: noise\nERROR: the model is broken\n")
    assert capfd.readouterr().err == "ERROR: the model is broken\n"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16])
@pytest.mark.parametrize("scale", [1 / 256, 0.00392, 0.5])
@pytest.mark.parametrize("value", [-np.inf, -0.3, 0.0, 0.49, 0.5, 0.9961, 1e6])
def test_what_reaches_a_value_is_told_without_making_numbers_of_all(dtype, scale, value):
    limits = np.iinfo(dtype)
    stored = np.arange(limits.min, limits.max + 1).astype(dtype).reshape(1, -1, 1)
    output = Output(stored, (scale, limits.min + 3))
    assert np.array_equal(output.reaches(value), output.all()[0, :, 0] >= value)


def test_of_an_output_only_the_rows_that_are_asked_for_become_numbers():
    stored = np.arange(-60, 60, dtype=np.int8).reshape(1, 30, 4)
    output = Output(stored, (0.25, -7))
    which = np.array([3, 17, 29])
    rows = output.rows(which)
    assert rows.dtype == np.float32
    assert rows.tobytes() == output.all()[0][which].tobytes()
    assert Output(np.float32([[[0.5], [2.0]]])).rows(np.array([1])).tolist() == [[2.0]]


def test_after_the_block_nothing_of_the_outputs_is_held(installed, tmp_path):
    installed("ai_edge_litert", Interpreter=Interpreter)
    network = open_network(tmp_path / "m.tflite", 1)
    with network.outputs(np.full((4, 4, 3), 40, np.uint8)) as outputs:
        assert outputs[0].stored is network._interpreter.tensors[1]
    assert outputs[0].stored.size == 0
    with (
        pytest.raises(KeyError),
        network.outputs(np.full((4, 4, 3), 40, np.uint8)) as outputs,
    ):
        raise KeyError
    assert outputs[0].stored.size == 0
    assert not network._interpreter.tensors[0].any()
    assert not network._interpreter.tensors[1].any()


def test_a_network_that_did_nothing_has_nothing_to_wipe(installed, tmp_path):
    installed("ai_edge_litert", Interpreter=Interpreter)
    network = open_network(tmp_path / "m.tflite", 1)
    network.wipe()
    assert network.wipe() is False
    assert network.wiped
    network.run(np.full((4, 4, 3), 40, np.uint8))
    assert not network.wiped
    assert network.wipe() is True
    assert network.wiped

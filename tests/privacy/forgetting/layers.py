"""What a network computes between its input and its output: the outputs of its inner layers.

The interpreter shows only the ends, and with all tensors preserved it computes with other kernels
whose values differ in the last bit. So the model's file is told that every layer is an output: then
the very kernels of the appliance write them where they can be read.
"""

import struct
import zlib
from importlib import import_module

import numpy as np

from device.vision.notices import quiet_native_notices
from tools.lab.tflite import _root, read

_RUNTIMES = ("tflite_runtime.interpreter", "ai_edge_litert.interpreter")
_SUBGRAPHS, _OUTPUTS = 2, 2
"""Numbers of the fields of Model and of SubGraph (schema.fbs)."""
_INDEX = 4
_WORD = 8
_FEWEST = 64
_OF_A_FACE, _OF_A_FRAME, _OF_A_SECOND_LOOK = 6_000, 25_000, 4_000
"""About how many words of all layers become needles; a layer has thousands in one piece."""
_CLOSEST = 1024
_LONG, _LONGER = 64, 4096
"""Shortest stretch that counts, of an embedder's layers and a detector's: small numbers repeat
themselves, the more so where nobody is, or beside a black margin."""
_SAYING = 16384
"""Bytes of a detector's layer that is large enough for that."""


class Inside:
    """What a network's layers and outputs tell of an image.

    What they are for a black one is left out: a picture has black margins, and so has every other.
    """

    def __init__(self, network, path, *, of_a_face):
        self.of_a_face = of_a_face
        self._layers = Layers(path)
        black = np.zeros(network.input_shape[1:], np.uint8)
        self._black = [layer.tobytes() for layer in self._layers(black)]
        self._words = sum(len(layer) for layer in self._black) // _WORD
        self._black_outputs = [output.tobytes() for output in network.run(black)]

    def keep(self, recorder, image, outputs):
        """Keep what an image becomes. outputs: float32, of the product's own interpreter."""
        name = "embedder" if self.of_a_face else "second look" if recorder.face else "detector"
        budget = _OF_A_SECOND_LOOK if name == "second look" else _OF_A_FRAME
        thin = self._words // (_OF_A_FACE if self.of_a_face else budget)
        layers = self._layers(image)
        pairs = list(enumerate(zip(layers, self._black, strict=True)))
        # From the end: what is only another shape of the output is called the output.
        for number, (layer, black) in reversed(pairs):
            last = self.of_a_face and number == len(layers) - 1
            kind = f"{name} output" if last else f"{name} layer {number}"
            self._keep(recorder, f"{kind}, {layer.dtype}", layer, black, thin)
        for output, black in zip(outputs, self._black_outputs, strict=True):
            self._keep(recorder, f"{name} output, float32", output, black, 16)

    def _keep(self, recorder, kind, array, black, thin):
        least = _LONG if self.of_a_face else _LONGER
        if array.size < _FEWEST or (array.nbytes < _SAYING and not self.of_a_face):
            return
        every = max(1, min(thin, array.nbytes // _CLOSEST))
        told = _but_for(array, black)
        recorder.keep(kind, told, every=every, least=least, first=False)


def _but_for(array, black):
    """Return an array's bytes, with a filling where a word is the same for a black image.

    The filling has too few different bytes to be a needle, and is another one for other content, so
    that no find is prolonged by it.
    """
    raw = array.tobytes()
    content = np.frombuffer(raw, np.uint8).copy()
    whole = len(content) // _WORD * _WORD
    words = content[:whole].view(np.uint64)
    words[words == np.frombuffer(black[:whole], np.uint64)] = zlib.crc32(raw) * 0x1_0000_0001
    return content.tobytes()


class Layers:
    """A second interpreter on a model's file, for the parent's side of the proof."""

    def __init__(self, path):
        content = path.read_bytes()
        inner = _inner(content)
        self._interpreter = _opened(_with_outputs(content, inner))
        (self._input,) = self._interpreter.get_input_details()
        self._places = [each["index"] for each in self._interpreter.get_output_details()]

    def __call__(self, image):
        """Return each layer's output for an image (h, w, 3) uint8."""
        self._interpreter.tensor(self._input["index"])()[0] = image
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(place) for place in self._places]


def _inner(content):
    """Return the tensors that operators compute from the input, by their numbers."""
    model = read(content)
    found = [number for operator in model.operators for number in operator.outputs]
    return [number for number in dict.fromkeys(found) if number >= 0]


def _with_outputs(content, tensors):
    """Return a model's file whose first subgraph has these outputs and no others.

    The new list stands behind the file's end: FlatBuffers point forward, however far.
    """
    changed = bytearray(content)
    place = _root(content).tables(_SUBGRAPHS)[0]._place(_OUTPUTS)
    changed += bytes(-len(changed) % _INDEX)
    struct.pack_into("<I", changed, place, len(changed) - place)
    changed += struct.pack(f"<I{len(tensors)}i", len(tensors), *tensors)
    return bytes(changed)


def _opened(content):
    reasons = []
    for name in _RUNTIMES:
        try:
            module = import_module(name)
            with quiet_native_notices():
                interpreter = module.Interpreter(model_content=content, num_threads=1)
                interpreter.allocate_tensors()
        except Exception as error:  # noqa: BLE001 - each runtime fails in its own way
            reasons.append(f"{name}: {error}")
        else:
            return interpreter
    raise RuntimeError("No interpreter opens the model: " + "; ".join(reasons))

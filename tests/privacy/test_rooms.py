"""Frames, pictures, samples, probes and sightings stay in their rooms, and cannot get out of them.

Which file may name them, keep one, or turn pixels into bytes is a table here, with a reason each;
what is not in it fails. The source is read as a tree, so also a name in a string, an attribute of a
module, or an import at run time is found. Every check is shown a text that breaks its rule.
"""

import ast
import copy
import copyreg
import dataclasses
import json
import logging
import multiprocessing.reduction
import pprint
import traceback

import msgspec
import numpy as np
import pytest

from device.capture.frame import Ephemeral, Frame, Picture
from device.matching import Gallery
from device.vision.sample import Probe, Sample
from device.vision.sighting import Sighting
from tests.conftest import ROOT
from tests.privacy.test_ephemeral import _all as examples

NAMES = {kind.__name__ for kind in (Frame, Picture, Sample, Probe, Sighting)}
MODULES = {"device.capture.frame", "device.vision.sample", "device.vision.sighting"}
OUTSIDE = ("protocol", "alerts", "audit", "policy", "bundles")
"""Rooms that what leaves passes through: they never name a face, nor the rooms that see one."""

FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for folder in ("device", "tools")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
DEVICE = {file: text for file, text in FILES.items() if file.startswith("device/")}

ROOMS = {
    "device/capture/": "makes frames, and gives their pixels back",
    "device/vision/": "sees faces; every crop and template is wiped before a call returns",
    "device/matching/comparison.py": "compares a probe with the list while it lives",
    "device/recognition.py": "hands a frame to vision and a sighting to the comparison",
    "device/appliance.py": "takes a frame, releases it; a sighting's portrait goes into an alert",
    "device/search.py": "compares stills and clips, and wipes each before the next",
    "tools/desk/enrolment.py": "cuts out whoever is enrolled by an order",
    "tools/lab/": "rendered people and published collections; never on a device",
}
"""Where they may be named: a file, or a folder that ends with a stroke; and what for."""


# --- Who names them -------------------------------------------------------------------------------


def references(text):
    """Return every reference to an ephemeral class, or to a module that defines one, in a source.

    Names, attributes, imports; and strings that hold a name as an annotation or an import would.
    """
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            whole = "*" in names and str(node.module).startswith(
                ("device.capture", "device.vision")
            )
            found |= names & NAMES | ({f"{node.module}.*"} if whole else set())
            found |= {f"{node.module}.{name}" for name in names} & MODULES
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & MODULES
        elif isinstance(node, ast.Name):
            found |= {node.id} & NAMES
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & {*NAMES, "__subclasses__"}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= _in_words(node.value)
    return found


_ANNOTATION = (ast.Name, ast.Attribute, ast.Subscript, ast.BinOp, ast.BitOr, ast.Constant)
_ANNOTATION += (ast.Tuple, ast.List, ast.Load, ast.Expression)


def _in_words(text):
    """Return the names in a string that reads like an annotation or a module."""
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return set()  # a sentence
    parts = list(ast.walk(tree))
    if not all(isinstance(part, _ANNOTATION) for part in parts):
        return set()
    named = {part.id for part in parts if isinstance(part, ast.Name)}
    named |= {part.attr for part in parts if isinstance(part, ast.Attribute)}
    return named & NAMES | {text.strip()} & MODULES


def allowed(file):
    return any(file == room or (room.endswith("/") and file.startswith(room)) for room in ROOMS)


@pytest.mark.parametrize("file", [file for file in FILES if not allowed(file)])
def test_outside_its_rooms_nobody_names_them(file):
    assert references(FILES[file]) == set()


def test_every_room_of_the_table_is_used():
    users = {file for file, text in FILES.items() if references(text)}
    for room in ROOMS:
        assert any(file.startswith(room) for file in users), room
    assert not any(room.startswith(f"device/{one}") for room in ROOMS for one in OUTSIDE)


@pytest.mark.parametrize(
    "text",
    [
        "from device.capture.frame import Frame",
        "from device.capture import Frame as Still",
        "import device.vision.sample",
        "import device.vision.sample as harmless",
        "from device.vision import sample",
        "from device.vision import *",
        "def f(probe: 'Probe | None') -> None: ...",
        "def f(them) -> 'list[device.vision.sample.Sample]': ...",
        "kind = device.vision.sighting.Sighting",
        "importlib.import_module('device.vision.sample')",
        "__import__('device.capture.frame')",
        "getattr(vision, 'Probe')",
        "Ephemeral.__subclasses__()",
        "cast('Picture', thing)",
    ],
)
def test_a_reference_is_found_however_it_is_written(text):
    assert references(text)


@pytest.mark.parametrize("text", ["'''A Frame is wiped.'''", "log.info('Probe lost')", "Framed()"])
def test_a_sentence_is_no_reference(text):
    assert not references(text)


def rooms_imported(text):
    """Return the modules of the rooms that see faces which a source imports, at any moment."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)
    seeing = ("device.vision", "device.capture", "device.matching", "device.recognition")
    return {name for name in found if name.startswith(seeing)}


@pytest.mark.parametrize("room", OUTSIDE)
def test_what_leaves_is_made_in_rooms_that_import_no_room_of_faces(room):
    files = {file for file in DEVICE if file.startswith(f"device/{room}/")}
    assert files
    for file in files:
        # Alerts are drafted from a confirmed candidate: an id, a score, no template.
        seen = rooms_imported(DEVICE[file]) - {"device.matching.confirmation.Confirmed"}
        assert seen == set(), file


@pytest.mark.parametrize(
    "text", ["import device.vision", "from device import vision", "import_module('device.capture')"]
)
def test_an_import_of_a_room_of_faces_is_found(text):
    assert rooms_imported(text)


# --- Who keeps one --------------------------------------------------------------------------------

KEPT = {
    "device/vision/sample.py: Sample.pixels": "the aligner's buffer, wiped after each face",
    "device/vision/sample.py: Probe.template": "wiped by the observer when the comparison returns",
    "device/vision/sighting.py: Sighting.probe": "a sighting lives as long as the comparison",
    "device/vision/sighting.py: Sighting._main": "likewise; the frame is released after it",
}
"""What an object outside device/capture/ may keep of a frame or a face, and why it does not last.

Buffers that are written into (the aligner's, the detector's, the background's) are not kept frames:
whether they are wiped is asked of each after every frame (`Eye.wiped`), and searched in memory.
"""

WORDS = NAMES | {
    "frame",
    "picture",
    "sample",
    "probe",
    "sighting",
    "pixels",
    "region",
    "crop",
    "template",
    "main",
    "lores",
    "portrait",
    "landmarks",
}
MAKERS = {"align", "of_bgr", "region_bgr", "luma", "embed", "features", "next", "read_still"}
KEEPERS = {"append", "add", "put", "put_nowait", "insert", "extend", "appendleft", "setdefault"}
HARMLESS = {"len", "id", "bool", "isinstance", "float", "int", "str"}


def kept(text):
    """Return which attributes of `self`, or names of a module, are given a frame or a face."""
    found = set()
    tree = ast.parse(text)
    for owner in [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]:
        for place, value in _stores(owner):
            if _holds(value):
                name = owner.name + "." if isinstance(owner, ast.ClassDef) else ""
                found.add(name + place)
    return found


def _stores(owner):
    """Yield (place, value) for all that a class keeps on `self`, or a module as its own."""
    if isinstance(owner, ast.Module):
        for node in owner.body:
            if isinstance(node, ast.Assign) and not isinstance(node.value, ast.Constant):
                yield ast.unparse(node.targets[0]), node.value
        functions = [node for node in owner.body if isinstance(node, ast.FunctionDef)]
        for function in functions:
            names = {n for g in ast.walk(function) if isinstance(g, ast.Global) for n in g.names}
            yield from _given(function, lambda place, names=names: place in names)
            yield from _put(function, lambda place: place.isupper() or place.startswith("_"))
        return
    for node in ast.walk(owner):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _given(node, lambda place: place.startswith("self."))
            yield from _put(node, lambda place: place.startswith("self."))


def _given(function, ours):
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign)):
            targets, value = [node.target], node.value
        else:
            continue
        parts = [part for target in targets for part in getattr(target, "elts", [target])]
        for part in parts:
            place = part.value if isinstance(part, ast.Subscript) else part
            if value is not None and ours(ast.unparse(place)):
                yield ast.unparse(place).removeprefix("self."), value


def _put(function, ours):
    """Yield what is handed to a list, a set or a queue that outlives the call."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            place = ast.unparse(node.func.value)
            if node.func.attr in KEEPERS and ours(place):
                yield from ((place.removeprefix("self."), value) for value in node.args)


def _holds(value):
    """Return whether an expression hands on a frame or a face itself, not a fact about it."""
    parts = ast.iter_child_nodes(value)
    if isinstance(value, ast.Name):
        return value.id in WORDS
    if isinstance(value, ast.Attribute):
        return value.attr in WORDS  # of a frame its pictures, not its number
    if isinstance(value, ast.Call):
        name = ast.unparse(value.func).split(".")[-1]
        if name in MAKERS | NAMES:
            return True
        parts = [] if name in HARMLESS else _arguments(value)
    elif isinstance(value, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
        parts = [value.elt, *(part.iter for part in value.generators)]
    elif isinstance(value, (ast.BinOp, ast.Compare, ast.BoolOp)) or _is_type(value):
        parts = []
    return any(_holds(part) for part in parts if isinstance(part, ast.expr))


def _is_type(value):
    return isinstance(value, ast.Subscript) and ast.unparse(value.value) == "Callable"


def _arguments(call):
    owner = [call.func.value] if isinstance(call.func, ast.Attribute) else []
    return [*call.args, *(keyword.value for keyword in call.keywords), *owner]


def test_nothing_keeps_a_frame_or_a_face():
    found = {
        f"{file}: {place}"
        for file, text in DEVICE.items()
        if not file.startswith("device/capture/")
        for place in kept(text)
    }
    assert found == set(KEPT)


@pytest.mark.parametrize(
    "line",
    [
        "self.last = frame",
        "self._seen, self._n = probe, 1",
        "self._last: Picture = frame.main",
        "self._crops.append(sample)",
        "self._crops.append(sample.pixels.copy())",
        "self._queue.put((frame.number, frame.main))",
        "self._by_track[track] = probe.template",
        "self._by_track.setdefault(track, []).append(1); self._all.add(sighting)",
        "self._again = lambda: frame.main",
        "self._last = self._aligner.align(main, points)",
        "self._last = [one for one in [probe]]",
    ],
)
def test_what_keeps_a_frame_or_a_face_is_found(line):
    assert kept(f"class C:\n    def f(self, frame, probe, sample, sighting, main):\n        {line}")


@pytest.mark.parametrize(
    "text",
    [
        "_ALL = []\ndef f(probe):\n    _ALL.append(probe)",
        "_last = None\ndef f(frame):\n    global _last\n    _last = frame",
        "LAST = Picture.of_bgr(zeros)",
    ],
)
def test_what_a_module_keeps_is_found(text):
    assert kept(text)


@pytest.mark.parametrize("line", ["self.n = frame.number", "self.n = len(probe.template)"])
def test_a_fact_about_a_frame_is_no_frame(line):
    assert not kept(f"class C:\n    def f(self, frame, probe):\n        {line}")


# --- What they are --------------------------------------------------------------------------------


def _below(kind):
    return {kind}.union(*map(_below, kind.__subclasses__())) - {Ephemeral}


def test_all_of_them_are_ephemeral_and_have_no_place_for_more():
    kinds = {kind for kind in _below(Ephemeral) if kind.__module__.startswith("device.")}
    assert {Frame, Picture, Sample, Probe, Sighting, Gallery} <= kinds
    for kind in kinds:
        assert "__slots__" in vars(kind), kind
        assert "__dict__" not in dir(kind), kind
        # What Ephemeral forbids is not allowed again below it.
        for method in ("__reduce__", "__reduce_ex__", "__getstate__", "__repr__", "__str__"):
            assert method not in vars(kind), (kind, method)
        assert not dataclasses.is_dataclass(kind)
        assert kind not in copyreg.dispatch_table


def _with_locals(thing):
    try:
        raise ValueError(thing)  # noqa: TRY301
    except ValueError as error:
        shown = traceback.TracebackException.from_exception(error, capture_locals=True)
        return "".join(shown.format())


TEXTS = {
    "format": format,
    "format with a width": lambda thing: f"{thing!s:>4}",
    "str.format": "{0} {0!r} {0!a}".format,
    "f-string with its name": lambda thing: f"{thing=}",
    "per cent": lambda thing: "%s %r %a" % (thing, thing, thing),  # noqa: UP031
    "logging": lambda thing: logging.LogRecord(
        "x", 10, "x", 1, "%s %r", (thing, thing), None
    ).getMessage(),
    "a list": lambda thing: repr([thing, (thing,), {"x": thing}]),
    "an exception": lambda thing: repr(ValueError(thing)) + str(ValueError(thing)),
    "pprint": lambda thing: pprint.pformat({"x": [thing]}),
    "a traceback with local names": _with_locals,
}


@pytest.mark.parametrize("thing", examples(), ids=lambda thing: type(thing).__name__)
class TestNothingIsWrittenDown:
    @pytest.mark.parametrize("way", TEXTS)
    def test_no_content_in_any_text(self, thing, way):
        text = TEXTS[way](thing)
        bare = text.replace(f"<{type(thing).__name__}>", "")
        assert bare != text
        assert "array" not in bare
        assert "0.25" not in bare
        assert "201" not in bare.replace("line 201", "")

    @pytest.mark.parametrize(
        "turn",
        [
            bytes,
            memoryview,
            vars,
            dataclasses.asdict,
            msgspec.to_builtins,
            multiprocessing.reduction.ForkingPickler.dumps,
            lambda thing: json.dumps(thing, default=vars),
            lambda thing: object.__reduce_ex__(thing, 2),
            lambda thing: copyreg.__reduce_ex__(thing, 0),
            lambda thing: thing.__getstate__(),
            lambda thing: copy.deepcopy([thing]),
            lambda thing: np.asarray(thing, dtype=np.uint8),
        ],
    )
    def test_it_turns_into_nothing_else(self, thing, turn):
        with pytest.raises((TypeError, AttributeError)):
            turn(thing)


def test_content_in_a_text_is_found():
    careless = dataclasses.make_dataclass("Careless", ["pixels"])(np.full(3, 201, np.uint8))
    assert "201" in TEXTS["a list"](careless)
    assert dataclasses.asdict(careless)


# --- Pixels do not become files -------------------------------------------------------------------

WRITERS = {
    "VideoWriter",
    "FileStorage",
    "imwrite",
    "imwritemulti",
    "imsave",
    "imshow",
    "memmap",
    "open_memmap",
    "savetxt",
    "savez",
    "savez_compressed",
    "tofile",
    "tostring",
    "SharedMemory",
    "SharedMemoryManager",
    "pickle",
    "marshal",
    "shelve",
    "joblib",
    "sendfile",
    "ffmpeg",
    "FfmpegOutput",
    "start_recording",
    "start_encoder",
    "capture_file",
    "set_trace",
    "faulthandler",
}
OF_ARRAYS = {"save", "dump", "dumps", "tobytes", "imencode"}
BYTES = {
    ("device/vision/sighting.py", "cv2.imencode"): "the portrait of an alert, in memory",
    ("device/vision/sighting.py", "encoded.tobytes"): "likewise: it goes into the sealed alert",
    ("device/protocol/cose.py", "cbor2.dumps"): "a message of its own types",
    ("device/protocol/hpke.py", "cbor2.dumps"): "a header of numbers and keys",
    (
        "device/vision/inference.py",
        "self._interpreter.tensor(one['index'])().tobytes",
    ): "what a model answers to drawn noise, before the first frame",
}
"""Who turns what into bytes; a file is then written in few places only (test_static.py)."""


def writers(text):
    """Return what in a source could write pixels to a file, also where a string names it."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Name):
            found |= {node.id} & WRITERS
        elif isinstance(node, ast.Attribute):
            found |= {node.attr} & WRITERS
            found |= {ast.unparse(node)} if node.attr in OF_ARRAYS else set()
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names = {alias.name for alias in node.names} | {getattr(node, "module", None) or ""}
            found |= {name.split(".")[0] for name in names} & (WRITERS | OF_ARRAYS)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= {node.value} & (WRITERS | OF_ARRAYS)
    return found


def test_no_module_of_the_appliance_writes_pixels():
    found = {(file, name) for file, text in DEVICE.items() for name in writers(text)}
    assert found == set(BYTES)


@pytest.mark.parametrize(
    "text",
    [
        "cv2.imwrite('x.png', crop)",
        "from cv2 import imwrite",
        "getattr(cv2, 'imwrite')('x.png', crop)",
        "np.save(path, template)",
        "template.tofile(file)",
        "file.write(crop.tobytes())",
        "np.memmap(path, mode='w+')",
        "np.lib.format.open_memmap(path)",
        "Image.fromarray(crop).save(path)",
        "template.dump(path)",
        "import pickle",
        "from multiprocessing.shared_memory import SharedMemory",
        "subprocess.run(['ffmpeg'])",
        "cv2.FileStorage('x.yml', 1)",
    ],
)
def test_what_writes_pixels_is_found(text):
    assert writers(text)

"""The conversions of published models: which file, which graph, which pictures, which changes."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from device.errors import ModelError
from tools.field.recipe import Published, Recipe
from tools.field.upstream import read_tensors
from tools.field.values import Doubles, Tensors
from tools.lab.convert import minifasnet, onnx_graph, openvino_graph, tensorflow_graph
from tools.lab.convert.build import Built, build
from tools.lab.convert.calibrate import Statistics
from tools.lab.convert.correct import correct
from tools.lab.convert.equalise import equalise
from tools.lab.convert.graph import Graph
from tools.lab.convert.passes import fold_input
from tools.lab.convert.pictures import Faces, Picture, aligned, scenes, surroundings, worse
from tools.lab.convert.recipes import check_recipe, make_recipe
from tools.lab.convert.slopes import split_slopes

EMBEDDER_SIDE, QUALITY_SIDE = 128, 96
_OMZ_MEAN = 71
"""The pixel that pads the embedder's input: its own zeros mean 64, 68 and 82 in B, G and R."""
_SCENES, _FACES = 120, 300
_SCENE = (480, 640)
"""Height and width of the scenes that detectors of all sizes are calibrated on."""


@dataclass(frozen=True, slots=True)
class Conversion:
    """One model.

    read: the graph, of the content of the published file and the folder it is in. to_calibrate: the
    same at the pictures' size, where that is another. pictures: to calibrate on, (height, width, 3)
    BGR; None for a model of float32. corrected: whether biases are (`correct`): a detector's boxes
    and points come out worse for it. share: of the pictures whose values the scales hold
    (`quantise`).
    """

    name: str
    published: Published
    read: Callable[[bytes, Path], Graph]
    to_calibrate: Callable[[bytes, Path], Graph] | None = None
    pictures: Callable[[Faces], list[Picture]] | None = None
    corrected: bool = True
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion made: the file, and the recipe that makes it again."""

    model: bytes
    recipe: Recipe


def convert(
    conversion: Conversion, folder: Path, faces: Faces, progress: Callable[[], None]
) -> Converted:
    """Convert one model; folder: the published files. Raises ModelError."""
    published = conversion.published
    data = read_published(published, folder)
    sources = read_tensors(published.format, data, published.file)
    graph = conversion.read(data, folder)
    if conversion.pictures is None:
        built, factors = build(graph, sources), dict[str, Doubles]()
        model = built.as_float()
    else:
        at_size = conversion.to_calibrate(data, folder) if conversion.to_calibrate else graph
        pictures = conversion.pictures(faces)
        seen = _prepared(at_size, sources).observe(pictures, progress)
        built, factors = _equalised(graph, sources, seen)
        seen = _equalised(at_size, sources, seen)[0].observe(pictures, progress)
        if conversion.corrected:
            built, factors = correct(built, sources, factors, seen)
        model = built.as_int8(seen, conversion.share)
    recipe = make_recipe(model, built.graph, factors, published)
    check_recipe(recipe, data, model)
    return Converted(model, recipe)


def _prepared(graph: Graph, sources: Tensors) -> Built:
    """Return a graph ready to run, with what is done to the input in the first convolution."""
    if graph.nodes[1].op == "affine":
        graph = fold_input(graph, _OMZ_MEAN)
    return build(graph, sources)


def _equalised(
    graph: Graph, sources: Tensors, seen: Mapping[str, Statistics]
) -> tuple[Built, dict[str, Doubles]]:
    """Return the graph equalised and without PReLUs, and the factors; seen: of `_prepared`."""
    prepared = _prepared(graph, sources)
    equal, factors = equalise(prepared.graph, seen)
    return build(split_slopes(equal, prepared.values), sources, factors), factors


def reference_of(conversion: Conversion, folder: Path) -> Built:
    """Return the float graph as it was published. Raises ModelError."""
    published = conversion.published
    data = read_published(published, folder)
    sources = read_tensors(published.format, data, published.file)
    return build(conversion.read(data, folder), sources)


def read_published(published: Published, folder: Path) -> bytes:
    """Return a published file's content. Raises ModelError unless it has the right hash."""
    found = sorted(folder.rglob(published.file))
    if not found:
        raise ModelError(f"{folder} does not hold {published.file} (--from).")
    data = found[0].read_bytes()
    if hashlib.sha256(data).hexdigest() != published.sha256:
        raise ModelError(f"{found[0]} is not the file that was published: its SHA-256 is another.")
    return data


def _yunet(height: int, width: int) -> Conversion:
    return Conversion(
        f"yunet-s-{width}x{height}",
        Published(
            "face_detection_yunet_2023mar.onnx",
            "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
            "onnx",
        ),
        read=lambda data, _: onnx_graph.read(data, height, width),
        to_calibrate=lambda data, _: onnx_graph.read(data, *_SCENE),
        pictures=lambda faces: list(scenes(faces.some(_FACES), _SCENES, *_SCENE)),
        corrected=False,
    )


def _lightqnet(width: str, sha256: str) -> Conversion:
    side = QUALITY_SIDE
    return Conversion(
        f"lightqnet-{width}",
        Published(f"lightqnet-dm{width}.pb", sha256, "tensorflow-graphdef"),
        read=lambda data, _: tensorflow_graph.read(data, side, side, mean=128, scale=1 / 128),
        pictures=lambda faces: _good_and_bad(faces, side),
    )


def _good_and_bad(faces: Faces, side: int) -> list[Picture]:
    crops = faces.some(_FACES)
    return aligned(crops, side) + aligned(worse(crops[::2]), side)


def _omz(data: bytes, folder: Path) -> Graph:
    """Read the .xml, which knows where in the .bin the weights lie."""
    del data
    xml = "face-reidentification-retail-0095.xml"
    sha256 = "ce53d2c9c08c0bd1c1660fb8a5b6d0e3e4ec19eb92f1036d2d83a85e83082dce"
    return openvino_graph.read(read_published(Published(xml, sha256, "openvino-xml"), folder))


_OMZ = Published(
    "face-reidentification-retail-0095.bin",
    "241229ca3d206321868d46ce74a3c0b06c49cea58db7dc70b2e842ff287545d1",
    "openvino-bin",
)
_MINIFASNET = Published(
    "2.7_80x80_MiniFASNetV2.pth",
    "a5eb02e1843f19b5386b953cc4c9f011c3f985d0ee2bb9819eea9a142099bec0",
    "torch-checkpoint",
)


def _around(faces: Faces) -> list[Picture]:
    crops = faces.some(_FACES // 2)
    return surroundings(crops, minifasnet.SIDE) + surroundings(worse(crops[::2]), minifasnet.SIDE)


CONVERSIONS = (
    _yunet(256, 320),
    _yunet(480, 640),
    _yunet(736, 1280),
    Conversion(
        "omz-0095",
        _OMZ,
        read=_omz,
        # Without what a bad camera sees, the ranges of such pictures are cut: cosine 0.97 there.
        pictures=lambda faces: _good_and_bad(faces, EMBEDDER_SIDE),
        share=0.98,
    ),
    Conversion("omz-0095-float", _OMZ, read=_omz),
    _lightqnet("025", "731eade9066ca76c78c9a989dd5d5c73d9dd2dfc3084bdb5fdfb6ad87cac6c10"),
    _lightqnet("050", "cf7d045e9c6b7eb99a599d1af9447cab6c23d4d97a2be4738d8279def859c4ac"),
    Conversion("minifasnet-v2", _MINIFASNET, read=lambda *_: minifasnet.graph()),
    Conversion(
        "minifasnet-v2-int8",
        _MINIFASNET,
        read=lambda *_: minifasnet.graph(),
        pictures=_around,
    ),
)
"""All of them, in the order of the catalogue."""

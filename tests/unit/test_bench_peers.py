"""The benchmark's peers: the loop, what programs cost, and each library where it is."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

from device.opencv import cv2
from device.vision.detector import COLUMNS, LANDMARKS, SCORE
from tests.simulators.peers import UPSTREAM, library, networks
from tools.field.values import source
from tools.lab.bench.contestant import AbsentError, Setup, View, load
from tools.lab.bench.macs import mmac_of
from tools.lab.bench.peers import anchor, architectures, ncnn_peer, published
from tools.lab.bench.peers.box_anchors import STRIDES
from tools.lab.bench.peers.loop import EveryFrame, Fitted, Parts, Templates, embedder
from tools.lab.bench.peers.ncnn_writer import write
from tools.lab.convert.build import build
from tools.lab.convert.calibrate import Runner
from tools.lab.convert.graph import Graph, Node
from tools.lab.people.person import Person
from tools.lab.people.rendered import render
from tools.lab.people.view import View as Pose

PEOPLE = range(2_000_001, 2_000_004)
RNG = np.random.default_rng(5)


# Architectures


@pytest.mark.parametrize(
    ("drawn", "mmac", "million", "output"),
    [
        (architectures.mobilefacenet, 221, 0.99, 128),
        (architectures.mobilenet_v2, 300, 3.4, 1000),
    ],
)
def test_an_architecture_is_as_large_as_its_paper_says(drawn, mmac, million, output, tmp_path):
    made = drawn()
    built = build(made.graph, made.weights)
    file = tmp_path / "drawn.tflite"
    file.write_bytes(built.as_float())
    assert mmac_of(file) == pytest.approx(mmac, rel=0.05)
    assert sum(one.size for one in made.weights.values()) == pytest.approx(million * 1e6, rel=0.05)
    assert built.shapes["output"] == (1, output)


def test_drawn_weights_keep_numbers_usual():
    made = architectures.mobilefacenet()
    side = architectures.MOBILEFACENET_SIDE
    found = Runner(build(made.graph, made.weights).as_float()).run(anchor.smooth(side, side))[
        "output"
    ]
    # Neither all but nothing, which some processors are slow with, nor beyond 16 bits.
    assert 1e-3 < np.abs(found).max() < 6e4


def test_drawn_weights_are_the_same_each_time():
    one, other = architectures.mobilenet_v2(3), architectures.mobilenet_v2(3)
    assert all((one.weights[name] == other.weights[name]).all() for name in one.weights)


# The loop


def test_a_picture_is_fitted_and_what_is_found_comes_back_in_the_other_stream():
    seen = []

    def detect(canvas):
        seen.append(canvas.copy())
        row = np.zeros((1, COLUMNS), np.float32)
        row[0, :4], row[0, SCORE] = (10, 20, 30, 40), 0.8
        row[0, LANDMARKS] = 5
        return row

    fitted = Fitted((384, 640), detect)
    fitted(np.full((640, 640, 3), 255, np.uint8), 640)
    (row,) = fitted(np.full((360, 640, 3), 9, np.uint8), 1280)
    np.testing.assert_allclose(row[:4], [20, 40, 60, 80])
    np.testing.assert_allclose(row[LANDMARKS], 10)
    assert row[SCORE] == np.float32(0.8)
    assert (seen[1][:360] == 9).all()
    # Nothing is left of the picture before.
    assert not seen[1][360:].any()
    assert not seen[0][:, 384:].any()


def test_the_nearest_reference_is_the_most_alike():
    templates = Templates()
    assert templates.nearest(np.eye(3, dtype=np.float32)[0]) == []
    for number, name in enumerate(("a", "b")):
        templates.add(name, np.eye(3, dtype=np.float32)[number])
    assert templates.nearest(np.array([0.6, 0.8, 0], np.float32)) == [("b", pytest.approx(0.8))]


class Averages:
    """A network that says how bright each of three colours is."""

    size = (16, 16)

    def run(self, image):
        return [image.reshape(1, -1, 3).mean(axis=1)]


def test_a_loop_embeds_every_face_of_every_frame(tmp_path):
    face = np.zeros((2, COLUMNS), np.float32)
    eyes = [[40, 40], [60, 40], [50, 52], [42, 64], [58, 64]]
    face[0, LANDMARKS] = np.ravel(eyes)
    # All in one place: no face can be cut out of it.
    face[1, LANDMARKS] = 7
    parts = Parts(lambda picture, width: face, embedder(Averages(), "arcface"), {"x": "1"})
    loop = EveryFrame("loop", parts)
    for name, colour in (("blue", (250, 5, 5)), ("red", (5, 5, 250))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((100, 100, 3), colour, np.uint8))
    assert loop.enrol(sorted(tmp_path.glob("*.png"))) == ["blue", "red"]
    main = np.full((100, 100, 3), (20, 20, 240), np.uint8)
    result = loop.frame(View(main, main, main, main), 0.0)
    assert (result.faces, result.embedded) == (2, 1)
    ((name, score),) = result.best
    assert name == "red"
    assert score > 0.9


# Each library, where it is


def test_nothing_of_the_peers_is_in_what_passerby_needs():
    def names(file):
        return set(re.findall(r"^([a-z0-9.-]+)==", Path(file).read_text("utf-8"), re.MULTILINE))

    peers = names("requirements/peers.txt")
    assert {"dlib-bin", "ncnn", "openvino"} <= peers
    for lock in ("lock", "device", "desk", "tflite", "reference"):
        assert names(f"requirements/{lock}.txt").isdisjoint(peers)


@pytest.mark.parametrize("package", ["dlib-bin", "face-recognition-models", "ncnn", "openvino"])
def test_every_peer_is_locked_with_hashes(package):
    lock = Path("requirements/peers.txt").read_text("utf-8")
    _, _, block = lock.partition(f"{package}==")
    assert re.search(r"--hash=sha256:[0-9a-f]{64}", block.splitlines()[1])


def test_without_its_files_a_contestant_says_so_in_one_sentence(tmp_path):
    for name, wanted in {
        "ncnn": published.YUNET if importlib.util.find_spec("ncnn") else "",
        "ncnn-mobilefacenet": "mobilefacenet.param",
        "openvino": published.YUNET,
    }.items():
        with pytest.raises(AbsentError) as absent:
            load(name, Setup(tmp_path))
        assert str(absent.value).count(". ") == 0
        assert wanted in str(absent.value) or "make venv-peers" in str(absent.value)


@pytest.mark.skipif(
    importlib.util.find_spec("face_recognition") is not None, reason="face_recognition is here"
)
def test_without_its_library_a_contestant_says_so():
    with pytest.raises(AbsentError, match="make venv-peers"):
        load("dlib", Setup())


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    for seed in PEOPLE:
        image = render(Person.from_seed(seed), Pose.frontal(seed), 400).image
        cv2.imwrite(str(folder / f"ref-{seed}.png"), image)
    return sorted(folder.glob("*.png"))


def moment(seed):
    """One person in the street: both streams."""
    pose = Pose.random(np.random.default_rng([seed, 1]))
    main = np.full((720, 1280, 3), 110, np.uint8)
    main[200:480, 300:580] = render(Person.from_seed(seed), pose, 280).image
    lores = cv2.resize(main, (640, 360), interpolation=cv2.INTER_AREA)
    return View(main, lores, main, lores)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("dlib", marks=library("face_recognition")),
        pytest.param("ncnn", marks=[library("ncnn"), networks]),
        pytest.param("openvino", marks=[library("openvino"), networks]),
        pytest.param("openvino-float32", marks=[library("openvino"), networks]),
    ],
)
@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")
def test_a_peer_finds_people_and_knows_them_again(name, stills):
    contestant = load(name, Setup(UPSTREAM))
    assert contestant.enrol(stills) == [still.stem for still in stills]
    contestant.begin()
    for seed in PEOPLE:
        result = contestant.frame(moment(seed), 0.0)
        assert (result.faces, result.embedded) == (1, 1)
        ((nearest, _),) = result.best
        assert nearest == f"ref-{seed}"
    text = " ".join(f"{key} {value}" for key, value in contestant.versions().items())
    assert "1 thread" in text
    assert re.search(r"\b[0-9a-f]{16}\b", text)


@library("ncnn")
def test_what_mobilefacenet_costs():
    figures = anchor.mobilefacenet_ms(2)
    assert len(figures) == 2
    assert min(figures) > 0


def test_anchors_that_cannot_be_had_are_named(tmp_path, monkeypatch):
    said = []
    kept = {name: anchor._PROGRAMS[name] for name in (anchor.YUNET_SMALL, anchor.MOBILENET_FLOAT)}
    monkeypatch.setattr(anchor, "_PROGRAMS", kept)
    found = anchor.anchors(1, tmp_path, said.append)
    assert list(found) == [anchor.MOBILENET_FLOAT]
    (sentence,) = said
    assert sentence.startswith("YuNet 160x120, OpenCV is left out:")
    assert published.YUNET in sentence


# MobileFaceNet and a detector with anchors, whose published weights are in no package


@library("ncnn")
@pytest.mark.parametrize("name", ["SCRFD", "RetinaFace"])
def test_mobilefacenet_runs_when_its_files_are_there(name, tmp_path):
    """The same names and shapes as the published files, with drawn weights."""
    write_published(tmp_path, name)
    contestant = ncnn_peer.mobilefacenet(Setup(tmp_path))
    assert name in contestant.name
    view = moment(PEOPLE[0])
    result = contestant.frame(view, 0.0)
    # Drawn weights find anything or nothing; every one of them is a whole row.
    assert result.embedded <= result.faces
    assert set(contestant.versions()) == {"ncnn", "mobilefacenet", name}


def write_published(folder, name):
    drawn = architectures.mobilefacenet()
    save(folder / "mobilefacenet", write(drawn.graph, drawn.weights), "data", ["fc1"])
    file, picture, outputs, widths = {
        "SCRFD": (
            "scrfd_500m_kps-opt2",
            "input.1",
            [f"{kind}_{s}" for s in STRIDES for kind in ("score", "bbox", "kps")],
            (2, 8, 20),
        ),
        "RetinaFace": (
            "mnet.25-opt",
            "data",
            [
                f"face_rpn_{kind}_stride{s}"
                for s in STRIDES
                for kind in ("cls_prob_reshape", "bbox_pred", "landmark_pred")
            ],
            (4, 8, 20),
        ),
    }[name]
    nodes, weights = [Node("picture", "input", shape=(1, 384, 640, 3))], {}
    for stride in STRIDES:
        for width in widths:
            made = f"{stride}/{width}"
            weights[made] = RNG.normal(0, 1e-3, (width, 1, 1, 3)).astype(np.float32)
            nodes.append(
                Node(made, "conv", ("picture",), weights=source(made), stride=(stride, stride))
            )
    graph = Graph(tuple(nodes), tuple(node.name for node in nodes[1:]))
    save(folder / file, write(graph, weights), picture, outputs)


def save(path, model, picture, outputs):
    """Write a model with the published names of its input and outputs."""
    param = model.param
    for old, new in zip((model.input, *model.outputs), (picture, *outputs), strict=True):
        param = re.sub(rf"\b{old}\b", new, param)
    Path(f"{path}.param").write_text(param, "ascii")
    Path(f"{path}.bin").write_bytes(model.weights)

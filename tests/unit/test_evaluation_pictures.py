"""Detection and pairs: files beside the manifest, and what is counted of them."""

from pathlib import Path

import numpy as np
import pytest

from device.errors import PictureError
from tools.lab.evaluate.attack import attack_figures
from tools.lab.evaluate.detection import Annotated, boxes_in, per_picture, recall_of
from tools.lab.evaluate.figures import NotEvaluated, Rate
from tools.lab.evaluate.looks import Face, Look
from tools.lab.evaluate.verification import Pair, pair_figures, pairs_in
from tools.lab.manifest import Item


def face(*box, score=0.9, attack=None):
    return Face(tuple(float(v) for v in box), score, b"", b"", b"", "", attack)


def annotated(path, *box, source="me"):
    return Annotated(Path(path), np.array(box, np.float32), source)


def test_a_box_is_found_when_half_of_it_agrees():
    boxes = [annotated("a", 0, 0, 100, 100), annotated("a", 200, 0, 100, 100)]
    looks = {Path("a"): Look([face(0, 0, 100, 60), face(200, 0, 100, 40)])}
    figure, _ = recall_of(boxes, looks)
    assert (figure.events, figure.trials, figure.subjects) == (1, 2, 1)


def test_one_found_face_is_one_annotated_face():
    boxes = [annotated("a", 0, 0, 100, 100), annotated("a", 5, 0, 100, 100)]
    figure, _ = recall_of(boxes, {Path("a"): Look([face(2, 0, 100, 100)])})
    assert figure.events == 1


def test_recall_is_told_by_who_annotated():
    boxes = [annotated("a", 0, 0, 9, 9), annotated("b", 0, 0, 9, 9, source="you")]
    looks = {Path("a"): Look([face(0, 0, 9, 9)]), Path("b"): Look([])}
    _, by_source = recall_of(boxes, looks)
    assert [(n.name, n.figure.value) for n in by_source] == [("me", 1.0), ("you", 0.0)]


def test_without_boxes_recall_is_not_evaluated():
    assert isinstance(recall_of([], {})[0], NotEvaluated)
    assert isinstance(recall_of([annotated("elsewhere", 0, 0, 9, 9)], {})[0], NotEvaluated)


def test_false_detections_are_counted_per_picture():
    mean, low, high = per_picture([0, 0, 3, 1])
    assert mean == 1.0
    assert low < 1 < high
    assert per_picture([]) is None


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("file,x,y,w\n", "lacks the columns h"),
        ("file,x,y,w,h\na.jpg,1,2,3\n", "line 2: a box is four numbers"),
        ("file,x,y,w,h\na.jpg,1,2,3,wide\n", "four numbers"),
        ("file,x,y,w,h\na.jpg,1,2,0,4\n", "above nought"),
        ("file,x,y,w,h\na.jpg,1,2,inf,4\n", "above nought"),
    ],
)
def test_damaged_boxes_are_a_sentence(tmp_path, content, what):
    (tmp_path / "boxes.csv").write_text(content)
    with pytest.raises(PictureError, match=what):
        boxes_in(tmp_path / "boxes.csv")


def write_pairs(folder, *lines, head="file_a,file_b,same"):
    for name in ("a.jpg", "b.jpg"):
        (folder / name).touch()
    (folder / "pairs.csv").write_text("\n".join([head, *lines]) + "\n")
    return pairs_in(folder / "pairs.csv")


def test_pairs_are_read_with_their_files(tmp_path):
    first, second = write_pairs(tmp_path, "a.jpg,b.jpg,1", "b.jpg,a.jpg,0")
    assert first == Pair(tmp_path / "a.jpg", tmp_path / "b.jpg", same=True)
    assert not second.same


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("a.jpg,b.jpg,maybe", "same must be 1 or 0"),
        ("a.jpg,c.jpg,1", "is not there"),
        ("a.jpg", "same must be"),
    ],
)
def test_damaged_pairs_are_a_sentence(tmp_path, line, what):
    with pytest.raises(PictureError, match=what):
        write_pairs(tmp_path, line)


def test_pairs_without_a_column_are_a_sentence(tmp_path):
    with pytest.raises(PictureError, match="lacks the columns same"):
        write_pairs(tmp_path, head="file_a,file_b")


def pairs(same, different):
    made = [Pair(Path("x"), Path("y"), same=True)] * same
    return made + [Pair(Path("x"), Path("y"), same=False)] * different


def owners(count):
    return np.array([f"p{n}" for n in range(count)])


def test_pairs_that_part_are_all_right():
    scores = np.array([0.8] * 50 + [0.2] * 50)
    figures = pair_figures(pairs(50, 50), scores, owners(100))
    assert figures.accuracy.value == figures.accuracy_one_threshold.value == 1.0
    assert 0.2 < figures.one_threshold < 0.8


def test_a_pair_that_cannot_be_compared_is_wrong_whatever_it_is():
    scores = np.array([0.8] * 49 + [-np.inf] + [0.2] * 49 + [-np.inf])
    figures = pair_figures(pairs(50, 50), scores, owners(100))
    assert figures.not_compared == 2
    assert figures.accuracy.events == 98


def test_a_fold_is_decided_by_the_others():
    # All of one person's pairs score unlike everybody's: their fold cannot fit itself to them.
    scores = np.array([0.8] * 40 + [0.2] * 40 + [0.1] * 10)
    made = [*pairs(40, 40), *pairs(10, 0)]
    names = np.concatenate([owners(80), np.repeat("odd", 10)])
    assert pair_figures(made, scores, names).accuracy.events == 80


def test_chance_is_half():
    generator = np.random.default_rng(8)
    figures = pair_figures(pairs(500, 500), generator.random(1000), owners(1000))
    assert figures.accuracy.low < 0.5 < figures.accuracy.high + 0.03


def spoof(name, subset="print"):
    return Item(Path(name), (name,), "", "spoof", subset, "", notes="simulated")


def probe(name):
    return Item(Path(name), (name,), "", "probe", "", "")


def attacked(verdict, detector="mini-0.5"):
    spoofs, probes = [spoof(f"s{n}") for n in range(20)], [probe(f"p{n}") for n in range(40)]
    looks = {
        item.path: Look([face(0, 0, 9, 9, attack=None if verdict is None else number >= 5)])
        for items in (spoofs, probes)
        for number, item in enumerate(items)
    }
    looks[Path("s19")] = Look([])
    raised = {item.path: [True, False] for item in spoofs}
    return attack_figures(detector, spoofs, probes, looks, raised)


def test_attacks_that_pass_and_people_who_do_not_are_counted():
    figures = attacked(True)
    (kind,) = figures.types
    # 19 attacks show a face, and five of them pass; of 40 people all but five are refused.
    assert (kind.name, kind.made_up, kind.pictures, kind.no_face) == ("print", True, 20, 1)
    assert (kind.apcer.events, kind.apcer.trials) == (5, 19)
    assert (figures.bpcer.events, figures.bpcer.trials) == (35, 40)
    assert isinstance(figures.bpcer_made_up, NotEvaluated)
    assert [figure.value for figure in kind.raises] == [1.0, 0.0]


def test_without_attack_detection_it_is_no_pad():
    figures = attacked(None, detector="no PAD")
    assert figures.bpcer == figures.types[0].apcer == NotEvaluated("no PAD")
    assert isinstance(figures.types[0].raises[0], Rate)

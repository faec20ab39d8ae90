from contextlib import contextmanager

import numpy as np
import pytest

from device.capture.frame import Picture
from device.vision.detector import STRIDES, Detector
from device.vision.output import Output
from tools.lab.train.detector_targets import (
    BOX,
    POINTS,
    SCORED,
    WEIGHT,
    Label,
    Labels,
    encode,
    label,
    mirrored,
)
from tools.lab.train.scenes import PlacedFace, Scene
from tools.lab.train.scenes_paste import TEMPLATE

HEIGHT, WIDTH = 256, 320
CELLS = [(HEIGHT // s) * (WIDTH // s) for s in STRIDES]


class Answering:
    """A network that gives the wanted answers whatever it sees."""

    input_shape = (1, HEIGHT, WIDTH, 3)

    def __init__(self, wanted):
        self.wanted = wanted

    def run(self, image):
        outputs = []
        for level in np.split(self.wanted, np.cumsum(CELLS)[:-1]):
            score = level[None, :, SCORED : SCORED + 1]
            outputs += [score, score, level[None, :, BOX], level[None, :, POINTS]]
        return outputs

    @contextmanager
    def outputs(self, image):
        yield [Output(each) for each in self.run(image)]


def face(x, y, width, clarity=1.0):
    height = width * 1.3
    points = (TEMPLATE - 80) * np.float32(width / 76) + np.float32([x + width / 2, y + height / 2])
    box = np.array([x, y, width, height], np.float32)
    return PlacedFace(box, points.astype(np.float32), clarity, plain=True)


def scene(*faces, doubtful=()):
    boxes = np.array(doubtful, np.float32).reshape(-1, 4)
    return Scene(np.zeros((HEIGHT, WIDTH, 3), np.uint8), list(faces), boxes)


def row(placed, score):
    return np.concatenate([placed.box, placed.landmarks.ravel(), [score]])[None].astype(np.float32)


NONE = np.empty((0, 15), np.float32)


@pytest.mark.parametrize("width", [11, 18, 27, 33, 60, 85, 140, 190])
@pytest.mark.parametrize(("x", "y"), [(3.0, 5.0), (60.3, 33.9), (101.7, 70.2)])
def test_the_devices_decoder_reads_back_what_was_encoded(width, x, y):
    known = face(x, y, width)
    wanted = encode(label(scene(known), row(known, 0.9)), HEIGHT, WIDTH)
    detector = Detector(Answering(wanted), 0.8)
    (found,) = detector.detect(Picture.of_bgr(np.zeros((HEIGHT, WIDTH, 3), np.uint8)), WIDTH)
    assert found[:4] == pytest.approx(known.box, abs=0.01)
    assert found[4:14].reshape(5, 2) == pytest.approx(known.landmarks, abs=0.01)


def test_small_and_large_faces_are_the_business_of_different_strides():
    small = np.split(
        encode(label(scene(face(50, 50, 14)), NONE), HEIGHT, WIDTH), np.cumsum(CELLS)[:-1]
    )
    large = np.split(
        encode(label(scene(face(80, 20, 150)), NONE), HEIGHT, WIDTH), np.cumsum(CELLS)[:-1]
    )
    assert [bool(level[:, SCORED].any()) for level in small] == [True, False, False]
    assert [bool(level[:, SCORED].any()) for level in large] == [False, False, True]


def test_a_plain_face_the_teacher_overlooks_is_taught_all_the_same():
    (taught,) = label(scene(face(60, 60, 60)), NONE).faces
    assert taught.score > 0.8


def test_a_hidden_face_is_what_the_teacher_says():
    hidden = face(60, 60, 60, clarity=0.4)
    assert not label(scene(hidden), NONE).faces
    (taught,) = label(scene(hidden), row(hidden, 0.5)).faces
    assert taught.score == pytest.approx(0.5)


def test_a_face_nobody_can_see_is_not_even_ignored():
    labels = label(scene(face(60, 60, 60, clarity=0.05)), NONE)
    assert not labels.faces
    assert not labels.ignored


def test_the_teacher_is_believed_about_doubtful_things_only():
    thing = face(200, 100, 50)
    assert not label(scene(), row(thing, 0.9)).faces
    (taught,) = label(scene(doubtful=[[190, 90, 80, 90]]), row(thing, 0.9)).faces
    assert taught.score == pytest.approx(0.9)


def test_nothing_is_taught_where_a_face_can_hardly_be_seen():
    wanted = encode(label(scene(face(60, 60, 60, clarity=0.4)), NONE), HEIGHT, WIDTH)
    assert (wanted[:, WEIGHT] == 0).any()
    assert not wanted[:, SCORED].any()


def test_the_surer_of_two_faces_on_one_cell_wins():
    one, other = face(100, 100, 60), face(101, 101, 60)
    labels = Labels([Label(f.box, f.landmarks, s) for f, s in ((one, 0.5), (other, 0.9))], [])
    reverse = Labels(labels.faces[::-1], [])
    assert encode(labels, HEIGHT, WIDTH) == pytest.approx(encode(reverse, HEIGHT, WIDTH))


def test_a_mirror_twice_is_no_mirror_and_swaps_left_and_right():
    labels = label(scene(face(60, 60, 60), face(200, 20, 30, clarity=0.4)), NONE)
    once = mirrored(labels, WIDTH)
    (before,), (after,) = labels.faces, once.faces
    assert after.landmarks[0, 0] < after.landmarks[1, 0]
    assert after.landmarks[0] == pytest.approx(
        [WIDTH - 1 - before.landmarks[1, 0], before.landmarks[1, 1]]
    )
    assert mirrored(once, WIDTH).faces[0].box == pytest.approx(before.box)
    assert mirrored(once, WIDTH).ignored[0] == pytest.approx(labels.ignored[0])

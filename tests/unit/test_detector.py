"""Decoding and suppression, against outputs made from known faces."""

import numpy as np
import pytest

from device.capture.frame import Picture
from device.errors import ModelError
from device.vision.detector import COLUMNS, LANDMARKS, SCORE, STRIDES, Detector, iou, suppress

W, H = 320, 256


class EncodedFaces:
    """A network whose outputs encode given faces, as YuNet's training targets do."""

    input_shape = (1, H, W, 3)

    def __init__(self, faces):
        self.faces = faces
        self.seen = None

    def run(self, image):
        self.seen = image.copy()
        outputs = []
        for stride in STRIDES:
            columns = W // stride
            cells = columns * (H // stride)
            cls, obj = np.zeros((1, cells, 1), "f4"), np.zeros((1, cells, 1), "f4")
            box, points = np.zeros((1, cells, 4), "f4"), np.zeros((1, cells, 10), "f4")
            for face in self.faces:
                if face["stride"] != stride:
                    continue
                x, y, w, h = face["box"]
                cx, cy = (x + w / 2) / stride, (y + h / 2) / stride
                cell = int(cy) * columns + int(cx)
                cls[0, cell], obj[0, cell] = face["score"], face["score"]
                box[0, cell] = cx - int(cx), cy - int(cy), np.log(w / stride), np.log(h / stride)
                grid = np.array([int(cx), int(cy)])
                points[0, cell] = (np.array(face["points"]) / stride - grid).reshape(-1)
            outputs += [points, cls, box, obj]
        return outputs


def _face(*box, stride=16, score=0.9):
    x, y, w, h = box
    points = [
        (x + w * a, y + h * b)
        for a, b in [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
    ]
    return {"box": (x, y, w, h), "points": points, "stride": stride, "score": score}


def _picture(width=W, height=H):
    return Picture.of_bgr(np.full((height, width, 3), 90, np.uint8))


@pytest.mark.parametrize("stride", STRIDES)
def test_a_face_comes_back_as_it_was_encoded(stride):
    face = _face(100, 60, 50, 70, stride=stride)
    (row,) = Detector(EncodedFaces([face]), 0.5).detect(_picture(), W)
    assert np.allclose(row[:4], face["box"], atol=0.01)
    assert np.allclose(row[LANDMARKS].reshape(5, 2), face["points"], atol=0.01)
    assert row[SCORE] == pytest.approx(0.9)


def test_answers_are_in_pixels_of_the_main_picture():
    face = _face(100, 60, 50, 70)
    (row,) = Detector(EncodedFaces([face]), 0.5).detect(_picture(), 4 * W)
    assert np.allclose(row[:4], 4 * np.array(face["box"]), atol=0.05)


def test_a_picture_of_another_shape_is_fitted_without_distortion():
    network = EncodedFaces([_face(40, 30, 20, 20, stride=8)])
    (row,) = Detector(network, 0.5).detect(_picture(640, 256), 640)
    assert np.allclose(row[:4], [80, 60, 40, 40], atol=0.05)
    assert network.seen[:128].min() == 90
    assert network.seen[128:].max() == 0


def test_faces_below_the_threshold_are_not_returned():
    faces = [_face(20, 20, 40, 40, score=0.6), _face(200, 100, 40, 40, score=0.8)]
    rows = Detector(EncodedFaces(faces), 0.7).detect(_picture(), W)
    assert len(rows) == 1


def test_the_canvas_is_wiped_after_the_detection():
    detector = Detector(EncodedFaces([]), 0.5)
    assert detector.detect(_picture(), W).shape == (0, COLUMNS)
    assert detector._canvas.max() == 0


def test_the_canvas_is_wiped_when_the_network_fails():
    class Broken(EncodedFaces):
        def run(self, image):
            raise RuntimeError

    detector = Detector(Broken([]), 0.5)
    with pytest.raises(RuntimeError):
        detector.detect(_picture(), W)
    assert detector._canvas.max() == 0


def test_outputs_of_another_network_are_refused():
    class Foreign(EncodedFaces):
        def run(self, image):
            return [np.zeros((1, (H // s) * (W // s), 7), "f4") for s in STRIDES]

    with pytest.raises(ModelError, match="YuNet"):
        Detector(Foreign([]), 0.5).detect(_picture(), W)


def test_suppression_keeps_the_best_of_overlapping_boxes():
    rows = np.zeros((4, COLUMNS), np.float32)
    rows[:, :4] = [[0, 0, 10, 10], [1, 1, 10, 10], [50, 50, 10, 10], [51, 50, 10, 10]]
    rows[:, SCORE] = [0.8, 0.9, 0.7, 0.95]
    kept = suppress(rows)
    assert kept[:, SCORE].tolist() == pytest.approx([0.95, 0.9])


def test_iou_of_known_boxes():
    box = np.array([0, 0, 10, 10], np.float32)
    others = np.array([[0, 0, 10, 10], [5, 0, 10, 10], [20, 20, 5, 5]], np.float32)
    assert iou(box, others) == pytest.approx([1, 1 / 3, 0])

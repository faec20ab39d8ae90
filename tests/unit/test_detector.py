"""Decoding and suppression, against outputs made from known faces."""

from contextlib import contextmanager

import numpy as np
import pytest

from device.capture.frame import Picture, PixelFormat
from device.errors import ModelError
from device.opencv import cv2
from device.vision import detector as detector_module
from device.vision.detector import COLUMNS, LANDMARKS, SCORE, STRIDES, Detector, iou, suppress
from device.vision.output import Output

W, H = 320, 256


class EncodedFaces:
    """A network whose outputs encode given faces, as YuNet's training targets do."""

    input_shape = (1, H, W, 3)
    wiped = True

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

    @contextmanager
    def outputs(self, image):
        yield [Output(each) for each in self.run(image)]


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


class Quantised(EncodedFaces):
    """Twelve outputs of drawn 8-bit numbers, or of the float32 that they stand for."""

    def __init__(self, seed, dtype=np.int8, scale=1 / 256, *, stored=True):
        rng = np.random.default_rng(seed)
        limits = np.iinfo(dtype)
        zero = int(limits.min)
        self.ends = []
        for stride in STRIDES:
            cells = (W // stride) * (H // stride)
            for columns in (1, 1, 4, 10):
                drawn = rng.integers(limits.min, limits.max + 1, (1, cells, columns)).astype(dtype)
                how = (scale, zero) if columns == 1 else (0.01, zero + 128)
                end = Output(drawn, how)
                self.ends.append(end if stored else Output(end.all()))

    @contextmanager
    def outputs(self, image):
        yield self.ends


def _plain(network, threshold):
    """The formula without any short cut: everything becomes a number, then it is chosen."""
    candidates = []
    for number, stride in enumerate(STRIDES):
        one, other, boxes, points = (end.all()[0] for end in network.ends[4 * number :][:4])
        scores = np.sqrt(np.clip(one[:, 0], 0, 1) * np.clip(other[:, 0], 0, 1))
        keep = np.flatnonzero(scores >= threshold)
        grid, _ = detector_module._grid(H, W, stride)
        chosen = (scores[keep], boxes[keep], points[keep])
        candidates.append(detector_module._rows(grid[keep], stride, *chosen))
    return suppress(np.concatenate(candidates))


@pytest.mark.parametrize("stored", [True, False], ids=["8 bits", "float32"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("scale", [1 / 256, 0.0078, 0.003])
@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.5, 0.7, 0.97, 1.0])
def test_only_cells_that_can_reach_the_threshold_become_numbers(threshold, scale, dtype, stored):
    network = Quantised(7, dtype, scale, stored=stored)
    if threshold <= 0.1:
        network.ends[0].stored[0, 40:] = network.ends[4].stored[0] = network.ends[8].stored[0] = (
            np.iinfo(dtype).min if stored else -1
        )
    found = Detector(network, threshold)
    rows = found._decode(network.ends)
    plain = _plain(network, threshold)
    assert rows.tobytes() == plain.tobytes()
    if 0.1 < threshold < 0.9 and scale > 0.003:
        assert len(rows)


def test_at_every_pair_of_stored_numbers_the_decision_is_that_of_the_formula():
    """The bound that sorts cells out is never above what the score itself would accept."""
    numbers = np.arange(-128, 128, dtype=np.int8)
    one, other = (each.reshape(1, -1, 1) for each in np.meshgrid(numbers, numbers))
    for threshold in (0.3, 0.5, 0.6, 0.7, 0.9, 0.99609375):
        ends = [Output(each, (1 / 256, -128)) for each in (one, other)]
        scores = detector_module._scores(*(end.all()[0] for end in ends))
        able = np.logical_and(*(end.reaches(detector_module._lowest(threshold)) for end in ends))
        assert not np.any((scores >= threshold) & ~able)
        assert able.sum() < 3 * max(1, (scores >= threshold).sum())


def test_a_picture_as_the_network_wants_it_is_not_copied():
    network = EncodedFaces([])
    detector = Detector(network, 0.5)
    image, scale = detector._letterbox(picture := _picture())
    assert image is picture.pixels
    assert scale == 1
    assert detector.wiped


@pytest.mark.parametrize("padding", [0, 64])
@pytest.mark.parametrize("size", [(W, H), (W, 180), (160, H), (640, 360), (100, 60), (644, 230)])
def test_i420_is_shown_as_the_whole_converted_picture_would_be(size, padding):
    width, height = size
    rng = np.random.default_rng(3)
    packed = rng.integers(0, 256, (height * 3 // 2, width), np.uint8)
    padded = np.full((len(packed), width + padding), 201, np.uint8)
    padded[:height, :width] = packed[:height]
    chroma = padded[height:].reshape(height, -1)
    chroma[:, : width // 2] = packed[height:].reshape(height, -1)
    network = EncodedFaces([])
    detector = Detector(network, 0.5)
    detector.detect(Picture(padded, width, height, PixelFormat.I420), width)
    whole = cv2.cvtColor(packed, cv2.COLOR_YUV2BGR_I420)
    scale = min(W / width, H / height)
    fitted = (min(W, round(width * scale)), min(H, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    expected = np.zeros((H, W, 3), np.uint8)
    expected[: fitted[1], : fitted[0]] = cv2.resize(whole, fitted, interpolation=method)
    assert np.array_equal(network.seen, expected)
    assert detector._canvas.max() == 0
    assert detector._work.wiped


def test_what_stays_in_the_canvas_is_noticed():
    detector = Detector(EncodedFaces([]), 0.5)
    detector.detect(_picture(), W)
    detector._canvas[-1, -1, -1] = 1
    assert not detector.wiped
    detector._canvas.fill(0)
    assert detector.wiped

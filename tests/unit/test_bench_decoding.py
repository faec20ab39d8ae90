"""Peers' detectors decoded: anchors, and YuNet's cells."""

import numpy as np
import pytest

from device.errors import ModelError
from device.vision.detector import COLUMNS, LANDMARKS, SCORE
from tools.lab.bench.peers.box_anchors import STRIDES, Level, retinaface, scrfd
from tools.lab.bench.peers.yunet import decode


def empty(stride, height=6, width=10, scores=2):
    shape = (height, width)
    return Level(
        stride,
        np.zeros((scores, *shape), np.float32),
        np.zeros((8, *shape), np.float32),
        np.zeros((20, *shape), np.float32),
    )


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("number", [0, 1])
def test_scrfd_measures_from_the_corner_of_the_cell(stride, number):
    level = empty(stride)
    level.scores[number, 2, 3] = 0.9
    level.boxes[4 * number : 4 * number + 4, 2, 3] = 1, 2, 3, 4
    level.points[10 * number : 10 * number + 10, 2, 3] = np.arange(10)
    (row,) = scrfd(level, 0.5)
    np.testing.assert_allclose(row[:4], np.array([2, 0, 4, 6]) * stride)
    wanted = (np.arange(10).reshape(5, 2) + np.array([3, 2])) * stride
    np.testing.assert_allclose(row[LANDMARKS].reshape(5, 2), wanted)
    assert row[SCORE] == np.float32(0.9)


@pytest.mark.parametrize(
    ("stride", "number", "side"),
    [(8, 0, 32), (8, 1, 16), (16, 0, 128), (16, 1, 64), (32, 0, 512), (32, 1, 256)],
)
def test_retinaface_measures_in_anchors(stride, number, side):
    level = empty(stride)
    level.scores[number, 2, 3] = 0.9
    level.boxes[4 * number : 4 * number + 4, 2, 3] = 0.25, -0.5, np.log(0.5), np.log(2)
    level.points[10 * number, 2, 3] = 1
    (row,) = retinaface(level, 0.5)
    middle = np.array([3, 2]) * stride + 8
    centre = middle + np.array([0.25, -0.5]) * side
    np.testing.assert_allclose(row[:2], centre - np.array([0.25, 1]) * side, rtol=1e-5)
    np.testing.assert_allclose(row[2:4], np.array([0.5, 2]) * side, rtol=1e-5)
    np.testing.assert_allclose(row[4:6], middle + np.array([side + 1, 0]))
    np.testing.assert_allclose(row[6:8], middle)


@pytest.mark.parametrize("decoding", [scrfd, retinaface])
def test_below_the_threshold_there_is_no_face(decoding):
    level = empty(8)
    level.scores[:] = 0.49
    assert decoding(level, 0.5).shape == (0, COLUMNS)


def test_yunet_for_peers_decodes_as_the_appliance_does():
    size, stride = (32, 64), 8
    outputs = []
    for step in STRIDES:
        cells = (32 // step) * (64 // step)
        outputs += [np.zeros((1, cells, width), np.float32) for width in (1, 1, 4, 10)]
    # Row 2, column 5 of the first grid.
    cell = 2 * 8 + 5
    outputs[0][0, cell], outputs[1][0, cell] = 0.81, 1.0
    outputs[2][0, cell] = 0.5, 0.25, np.log(2), np.log(4)
    outputs[3][0, cell] = np.arange(10)
    (row,) = decode(outputs, size, 0.7)
    np.testing.assert_allclose(row[2:4], [2 * stride, 4 * stride], rtol=1e-6)
    np.testing.assert_allclose(row[:2], [5.5 * 8 - 8, 2.25 * 8 - 16], rtol=1e-6)
    np.testing.assert_allclose(row[LANDMARKS].reshape(5, 2)[1], [(2 + 5) * 8, (3 + 2) * 8])
    assert row[SCORE] == pytest.approx(0.9)
    assert decode(outputs, size, 0.95).shape == (0, COLUMNS)
    with pytest.raises(ModelError, match="not those of YuNet"):
        decode(outputs[:3], size, 0.7)

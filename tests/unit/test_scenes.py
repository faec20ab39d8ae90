import numpy as np
import pytest

from device.opencv import cv2
from tools.lab.train import scenes_background, scenes_camera, scenes_dress
from tools.lab.train.scenes import Composer
from tools.lab.train.scenes_paste import TEMPLATE, Canvas, Crop, FaceLook, paste_face

HEIGHT, WIDTH = 256, 320


def drawn_crop(tone):
    """A face of circles where the template has its points: nobody."""
    pixels = np.full((160, 160, 3), 90, np.uint8)
    cv2.ellipse(pixels, (80, 86), (46, 60), 0, 0, 360, tone, -1)
    for x, y in TEMPLATE:
        cv2.circle(pixels, (round(float(x)), round(float(y))), 4, (10, 10, 240), -1)
    return Crop(pixels, np.array([40, 32, 80, 108], np.float32), TEMPLATE)


CROPS = [drawn_crop(tone) for tone in ((120, 160, 210), (60, 90, 130))]


def composed(seed):
    return Composer(CROPS, HEIGHT, WIDTH).compose(np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_the_same_seed_gives_the_same_scene(seed):
    one, other = composed(seed), composed(seed)
    assert np.array_equal(one.pixels, other.pixels)
    assert len(one.faces) == len(other.faces)
    for a, b in zip(one.faces, other.faces, strict=True):
        assert np.array_equal(a.box, b.box)
        assert a.clarity == b.clarity


def test_no_two_scenes_are_alike():
    assert not np.array_equal(composed(1).pixels, composed(2).pixels)


def test_scenes_are_as_varied_as_promised():
    scenes = [composed(seed) for seed in range(150)]
    counts = {len(scene.faces) for scene in scenes}
    widths = [face.box[2] for scene in scenes for face in scene.faces]
    assert {0, 1} < counts
    assert max(counts) >= 6
    assert min(widths) < 10
    assert max(widths) > 150
    assert any(len(scene.doubtful) for scene in scenes)
    assert any(not face.plain for scene in scenes for face in scene.faces)
    assert all(scene.pixels.shape == (HEIGHT, WIDTH, 3) for scene in scenes)
    assert all(scene.pixels.dtype == np.uint8 for scene in scenes)


def test_landmarks_lie_where_the_face_shows_them():
    # The crop's five points are red; nothing else on this canvas is.
    rng = np.random.default_rng(3)
    for _ in range(20):
        canvas = Canvas(np.full((HEIGHT, WIDTH, 3), 90, np.uint8))
        look = FaceLook.drawn(rng, CROPS[0], None, (160.0, 128.0), 90.0)
        paste_face(rng, canvas, look)
        for x, y in look.landmarks:
            around = canvas.pixels[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].astype(int)
            redness = around[..., 2] - around[..., :2].max(axis=-1)
            assert redness.mean() > 25, look.pose


def test_boxes_hold_their_landmarks():
    for seed in range(40):
        for face in composed(seed).faces:
            x, y, width, height = face.box
            middle = face.landmarks.mean(axis=0)
            assert x < middle[0] < x + width
            assert y < middle[1] < y + height


def test_a_covered_face_is_known_to_be_covered():
    rng = np.random.default_rng(0)
    canvas = Canvas(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    look = FaceLook.drawn(rng, CROPS[0], None, (160.0, 128.0), 60.0)
    paste_face(rng, canvas, look)
    before = canvas.visible(look)
    _, y, _, height = look.box
    lower = np.float32([[0, y + height / 2], [WIDTH, y + height / 2], [WIDTH, 256], [0, 256]])
    canvas.polygon(lower, (0, 0, 0))
    assert before > 0.95
    assert canvas.visible(look) == pytest.approx(0.5, abs=0.06)


def test_a_face_beyond_the_edge_is_partly_there():
    rng = np.random.default_rng(0)
    canvas = Canvas(np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    look = FaceLook.drawn(rng, CROPS[0], None, (0.0, 128.0), 60.0)
    paste_face(rng, canvas, look)
    assert 0.2 < canvas.visible(look) < 0.8


def test_what_the_frame_leaves_out_is_black_and_has_no_faces():
    found = False
    for seed in range(200):
        rng = np.random.default_rng(seed)
        bottom, right = scenes_camera.frame(rng, HEIGHT, WIDTH)
        assert bottom == HEIGHT or right == WIDTH
        found = found or (bottom, right) != (HEIGHT, WIDTH)
    assert found


def test_backgrounds_decoys_and_cameras_keep_the_size():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        canvas = Canvas(scenes_background.draw(rng, HEIGHT, WIDTH, CROPS))
        boxes = scenes_dress.decoys(rng, canvas, CROPS)
        scenes_dress.foreground(rng, canvas)
        pixels = scenes_camera.photograph(rng, canvas.pixels)
        assert pixels.shape == (HEIGHT, WIDTH, 3)
        assert boxes.shape[1] == 4


def test_a_crop_in_a_mirror_twice_is_the_crop():
    crop = CROPS[0]
    again = crop.mirrored().mirrored()
    assert np.array_equal(again.pixels, crop.pixels)
    assert again.points == pytest.approx(crop.points)
    assert crop.frontal
    assert crop.mirrored().points[0, 0] < crop.mirrored().points[1, 0]

"""Pictures of rendered people: true to their truth, different where they should be, repeatable."""

import dataclasses

import numpy as np
import pytest

from tools.lab.people import Camera, Expression, Light, Person, Pose, View, render
from tools.lab.people.backdrop import KINDS, backdrop
from tools.lab.people.camera import develop, smear

PERSON = Person.from_seed(11)
CLEAN = Camera(noise=0)


def plain(**changes):
    """A view without noise, so that only the change shows."""
    return View(camera=CLEAN, **changes)


def luma(image):
    return image.astype(float).mean(axis=2)


def around(image, point, reach):
    x, y = (round(float(v)) for v in point)
    return image[y - reach : y + reach + 1, x - reach : x + reach + 1]


def test_the_same_call_gives_the_same_picture():
    view = View.random(np.random.default_rng(1))
    one, two = render(PERSON, view, 96), render(Person.from_seed(11), view, 96)
    assert np.array_equal(one.image, two.image)
    assert np.array_equal(one.landmarks, two.landmarks)
    assert one.box == two.box
    assert one.identity == 11


@pytest.mark.parametrize("size", [64, 160, 301])
def test_a_picture_has_its_size_and_its_face_inside(size):
    shot = render(PERSON, plain(), size)
    assert shot.image.shape == (size, size, 3)
    assert shot.image.dtype == np.uint8
    assert shot.landmarks.shape == (5, 2)
    x, y, width, height = shot.box
    low, high = shot.landmarks.min(axis=0), shot.landmarks.max(axis=0)
    assert x < low[0] < high[0] < x + width
    assert y < low[1] < high[1] < y + height
    apart = np.linalg.norm(shot.landmarks[1] - shot.landmarks[0])
    assert apart == pytest.approx(0.22 * size, rel=0.2)


@pytest.mark.parametrize("size", [0, 15, 2049])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(ValueError, match="pixels per side"):
        render(PERSON, plain(), size)


def test_an_unknown_backdrop_is_refused():
    with pytest.raises(ValueError, match="No backdrop"):
        render(PERSON, plain(backdrop="moon"), 64)


def test_pose_turns_the_landmarks():
    straight = render(PERSON, plain(), 160).landmarks
    left = render(PERSON, plain(pose=Pose(yaw=30)), 160).landmarks
    right = render(PERSON, plain(pose=Pose(yaw=-30)), 160).landmarks
    offset = [(p[2, 0] - p[:2, 0].mean()) / (p[1, 0] - p[0, 0]) for p in (right, straight, left)]
    assert offset[0] < -0.2 < offset[1] < 0.2 < offset[2]
    down = render(PERSON, plain(pose=Pose(pitch=20)), 160).landmarks
    assert down[2, 1] - down[:2, 1].mean() > straight[2, 1] - straight[:2, 1].mean()
    rolled = render(PERSON, plain(pose=Pose(roll=15)), 160).landmarks
    across = rolled[1] - rolled[0]
    assert np.degrees(np.arctan2(across[1], across[0])) == pytest.approx(15, abs=4)


def test_scale_and_centre_place_the_face():
    small = render(PERSON, plain(scale=0.1, centre=(0.3, 0.6)), 200)
    large = render(PERSON, plain(scale=0.3), 200)
    widths = [np.linalg.norm(s.landmarks[1] - s.landmarks[0]) for s in (small, large)]
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.05)
    assert small.landmarks.mean(axis=0) == pytest.approx([60, 120], abs=10)


def test_the_pupils_are_dark_where_the_truth_says_and_lids_hide_them():
    person = dataclasses.replace(PERSON, wear=dataclasses.replace(PERSON.wear, glasses="none"))
    opened = render(person, plain(scale=0.3), 300)
    closed = render(person, plain(scale=0.3, expression=Expression(closed=1)), 300)
    for eye in opened.landmarks[:2]:
        pupil, skin = (luma(around(s.image, eye, 2)).mean() for s in (opened, closed))
        assert pupil < 0.6 * skin


def test_an_open_mouth_is_dark_or_white_between_the_lips():
    calm = render(PERSON, plain(scale=0.3), 300)
    yawn = render(PERSON, plain(scale=0.3, expression=Expression(mouth=1)), 300)
    middle = yawn.landmarks[3:].mean(axis=0) + np.array([0, 10])
    assert (
        luma(around(yawn.image, middle, 4)).min() < 0.5 * luma(around(calm.image, middle, 4)).min()
    )


def test_skin_hair_glasses_and_beard_show():
    def with_(**parts):
        mean = Person.mean()
        made = {k: dataclasses.replace(getattr(mean, k), **v) for k, v in parts.items()}
        return render(dataclasses.replace(mean, **made), plain(), 160)

    base = with_(hair={"style": "bald"})
    cheek = base.landmarks[[0, 3]].mean(axis=0)
    dark = with_(hair={"style": "bald"}, skin={"tone": (0.03, 0.05, 0.09)})
    assert (
        luma(around(dark.image, cheek, 3)).mean() < 0.5 * luma(around(base.image, cheek, 3)).mean()
    )
    crown = base.landmarks[:2].mean(axis=0) - [0, 45]
    haired = with_(hair={"style": "short", "tone": (0.01, 0.01, 0.01)})
    assert (
        luma(around(haired.image, crown, 3)).mean()
        < 0.5 * luma(around(base.image, crown, 3)).mean()
    )
    glasses = with_(hair={"style": "bald"}, wear={"glasses": "square", "rim": 4.0})
    changed = np.abs(luma(glasses.image) - luma(base.image)) > 40
    rows = np.flatnonzero(changed.any(axis=1)) - base.landmarks[:2, 1].mean()
    assert changed.sum() > 200
    assert np.abs(rows).max() < 0.5 * np.linalg.norm(base.landmarks[1] - base.landmarks[0])
    bearded = with_(hair={"style": "bald", "beard": "full", "beard_tone": (0.01, 0.01, 0.01)})
    chin = base.landmarks[3:].mean(axis=0) + np.array([0, 16])
    assert (
        luma(around(bearded.image, chin, 3)).mean() < 0.6 * luma(around(base.image, chin, 3)).mean()
    )


def test_glasses_can_stay_at_home():
    person = dataclasses.replace(
        Person.mean(), wear=dataclasses.replace(Person.mean().wear, glasses="round")
    )
    bare = render(Person.mean(), plain(), 96)
    assert np.array_equal(render(person, plain(glasses=False), 96).image, bare.image)
    assert not np.array_equal(render(person, plain(), 96).image, bare.image)


@pytest.mark.parametrize("style", ["bald", "buzz", "curly", "afro", "receding", "ring", "long",
                                   "long_fringe", "bob", "waves", "bun", "quiff"])  # fmt: skip
def test_every_style_leaves_the_face_free(style):
    mean = Person.mean()
    person = dataclasses.replace(mean, hair=dataclasses.replace(mean.hair, style=style))
    bald = dataclasses.replace(mean, hair=dataclasses.replace(mean.hair, style="bald"))
    shot, bare = render(person, plain(), 128), render(bald, plain(), 128)
    for point in shot.landmarks:
        assert (
            np.abs(luma(around(shot.image, point, 2)) - luma(around(bare.image, point, 2))).max()
            < 40
        )


def test_light_comes_from_where_it_is_said_to():
    lit = {
        side: render(PERSON, plain(light=Light(azimuth=side * 70, elevation=10, ambient=0.2)), 160)
        for side in (-1, 1)
    }
    points = lit[1].landmarks
    right, left = points[[0, 3]].mean(axis=0), points[[1, 4]].mean(axis=0)
    for side, (bright, dark) in ((-1, (right, left)), (1, (left, right))):
        image = lit[side].image
        assert luma(around(image, bright, 3)).mean() > 1.3 * luma(around(image, dark, 3)).mean()


def test_the_camera_blurs_exposes_and_compresses():
    light = render(PERSON, plain(), 160).image.astype(np.float32) / 255
    rng = np.random.default_rng
    sharp = develop(light, CLEAN, rng(1))
    soft = (Camera(noise=0, defocus=2), Camera(noise=0, motion=(5, 0)), Camera(noise=0, detail=0.3))
    pictures = [develop(light, camera, rng(1)) for camera in (CLEAN, *soft)]
    edges = [np.abs(np.diff(luma(picture), axis=1)).mean() for picture in pictures]
    assert all(edge < 0.9 * edges[0] for edge in edges[1:])
    assert develop(light, Camera(noise=0, exposure=-1), rng(1)).mean() < 0.85 * sharp.mean()
    noisy = develop(light, Camera(noise=0.05), rng(1)).astype(float)
    assert 4 < (noisy - sharp).std() < 20
    squeezed = develop(light, Camera(noise=0, jpeg=20), rng(1))
    assert not np.array_equal(squeezed, sharp)
    grey = develop(light, Camera(noise=0, grey=True), rng(1))
    assert np.array_equal(grey[..., 0], grey[..., 2])


def test_a_smear_keeps_the_light():
    light = np.zeros((31, 31, 3), np.float32)
    light[15, 15] = 1
    smeared = smear(light, 6, 0)
    assert smeared.sum() == pytest.approx(3, rel=1e-4)
    assert np.flatnonzero(smeared[..., 0].any(axis=1)).tolist() == [15]
    assert (smeared[15, :, 0] > 0).sum() >= 5


@pytest.mark.parametrize("kind", [*KINDS, "any"])
def test_backdrops_are_light_of_the_size_asked_for(kind):
    light = backdrop(kind, (64, 48), np.random.default_rng(2))
    assert light.shape == (48, 64, 3)
    assert light.min() >= 0
    assert np.isfinite(light).all()
    assert light.mean() > 0.005


def test_random_views_stay_within_what_they_promise():
    rng = np.random.default_rng(3)
    views = [View.random(rng) for _ in range(300)]
    assert max(abs(v.pose.yaw) for v in views) <= 45
    assert max(abs(v.pose.pitch) for v in views) <= 25
    assert {v.backdrop for v in views} == {"any"}
    assert any(v.expression.closed == 1 for v in views)
    assert 0 < sum(v.camera.grey for v in views) < 40

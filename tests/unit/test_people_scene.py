"""Scenes and sequences of rendered people, and pools of their crops."""

import itertools

import numpy as np
import pytest

from device.errors import PasserbyError
from tools.lab.people import Person, Street, View, render, scene, walk_past
from tools.lab.people.pool import CROP, Pool, aligned, crops, main, views
from tools.lab.people.scene import Stage, Walker, compose

PEOPLE = [Person.from_seed(seed) for seed in (21, 22, 23)]


def inside(box, size):
    x, y, width, height = box
    return x < size[0] and y < size[1] and x + width > 0 and y + height > 0


def test_a_scene_tells_every_face():
    shown = scene(PEOPLE, 4, (320, 240))
    assert shown.image.shape == (240, 320, 3)
    assert sorted(face.identity for face in shown.faces) == [21, 22, 23]
    for face in shown.faces:
        assert inside(face.box, (320, 240))
        assert 0 <= face.visible <= 1
        x, y, width, height = face.box
        assert (face.landmarks > [x, y]).all()
        assert (face.landmarks < [x + width, y + height]).all()
    again = scene(PEOPLE, 4, (320, 240))
    assert np.array_equal(again.image, shown.image)
    assert not np.array_equal(scene(PEOPLE, 5, (320, 240)).image, shown.image)


def test_somebody_near_hides_somebody_far():
    rng = np.random.default_rng(1)
    stage = Stage.random(rng, (320, 240), "plain")
    view = View(stride=0.0)
    far, near = Walker(PEOPLE[0], view, (160, 120), 14), Walker(PEOPLE[1], view, (160, 130), 50)
    alone = compose(stage, [far], rng)
    both = compose(stage, [near, far], rng)
    assert alone.faces[0].visible > 0.8
    assert [face.identity for face in both.faces] == [21, 22]
    assert both.faces[0].visible < 0.1
    assert both.faces[1].visible > 0.8


def test_somebody_outside_the_picture_has_no_truth():
    rng = np.random.default_rng(1)
    stage = Stage.random(rng, (160, 120), "plain")
    shown = compose(stage, [Walker(PEOPLE[0], View(), (900, 60), 20)], rng)
    assert shown.faces == ()


@pytest.mark.parametrize(
    ("people", "size"), [([], (320, 240)), (PEOPLE, (0, 240)), (PEOPLE, (9999, 9))]
)
def test_impossible_scenes_are_refused(people, size):
    with pytest.raises(ValueError, match=r"at least one person|pixels per side"):
        scene(people, 1, size)


def test_people_come_nearer_and_are_gone():
    street = Street(size=(200, 150), rate=5, focal_px=280, gap_s=1.0)
    frames = list(walk_past(PEOPLE[:2], 6, street))
    assert not frames[0].faces
    assert not frames[-1].faces
    assert {face.identity for frame in frames for face in frame.faces} == {21, 22}
    for identity in (21, 22):
        heights = [f.box[3] for frame in frames for f in frame.faces if f.identity == identity]
        assert heights[-1] > 3 * heights[0]
        assert all(b > 0.98 * a for a, b in itertools.pairwise(heights))
    assert [frame.seconds for frame in frames] == pytest.approx([n / 5 for n in range(len(frames))])


def test_a_sequence_can_be_repeated():
    street = Street(size=(120, 90), rate=2, focal_px=170)
    one, two = (list(walk_past(PEOPLE[:1], 6, street)) for _ in range(2))
    assert len(one) == len(two)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("street", [Street(rate=0), Street(focal_px=-1), Street(gap_s=-1)])
def test_impossible_streets_are_refused(street):
    with pytest.raises(ValueError, match="A street needs"):
        next(walk_past(PEOPLE, 1, street))


def test_an_aligned_crop_has_its_eyes_in_one_line():
    for view in views(21, 3):
        crop = aligned(render(PEOPLE[0], view, 168))
        assert crop.shape == (CROP, CROP, 3)
    first = views(21, 3)[0]
    assert first == View.frontal(21)


def test_a_pool_holds_each_persons_views_together(tmp_path):
    out = tmp_path / "pool.npz"
    assert main(["--identities", "2", "--views", "2", "--seed", "30", "--out", str(out)]) == 0
    with np.load(out) as pool:
        assert pool["images"].shape == (4, CROP, CROP, 3)
        assert pool["images"].dtype == np.uint8
        assert pool["identity"].tolist() == [0, 0, 1, 1]
        assert int(pool["seed"]) == 30
        assert np.array_equal(pool["images"][2:], crops(31, 2))
    assert [path.name for path in tmp_path.iterdir()] == ["pool.npz"]


def test_a_stopped_pool_goes_on_where_it_was_and_only_that_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tools.lab.people.pool._NOTED_EVERY", 1)
    out = tmp_path / "pool.npz"

    def stop(seed, number):
        if seed == 31:
            raise KeyboardInterrupt
        return np.full((number, CROP, CROP, 3), 7, np.uint8)

    with monkeypatch.context() as patch:
        patch.setattr("tools.lab.people.pool.crops", stop)
        with pytest.raises(KeyboardInterrupt):
            Pool(out, 2, 1, 30).make(0)
    assert not out.exists()
    assert Pool(out, 2, 1, 99).done() == 0
    pool = Pool(out, 2, 1, 30)
    assert pool.done() == 1
    pool.make(pool.done())
    with np.load(out) as made:
        assert (made["images"][0] == 7).all()
        assert np.array_equal(made["images"][1:], crops(31, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["pool.npz"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--identities", "0", "--out", "x.npz"],
        ["--identities", "1", "--views", "0", "--out", "x.npz"],
        ["--identities", "1", "--seed", "-1", "--out", "x.npz"],
        ["--identities", "1", "--out", "x.png"],
    ],
)
def test_impossible_pools_are_refused(arguments, capsys):
    assert main(arguments) == PasserbyError.exit_code or main(arguments) == 2
    assert "--" in capsys.readouterr().err

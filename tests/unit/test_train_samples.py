"""The samples that the embedder is trained on: new faces out of few, the same ones for a seed."""

import csv

import numpy as np
import pytest

from device.errors import PictureError
from device.opencv import cv2
from tools.lab.train import blend, paint, pairs, samples, sources, tone, warp


def picture(seed, side=sources.SIDE):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


@pytest.fixture
def faces():
    pictures = np.stack([picture(n) for n in range(8)])
    return sources.Sources(pictures, photographs=4, people=np.array([0, 0, 1, 1]))


def folder(tmp_path, pictures):
    with (tmp_path / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "source_set", "original"])
        for number, pixels in enumerate(pictures):
            cv2.imwrite(str(tmp_path / f"{number}.png"), pixels)
            writer.writerow([f"{number}.png", "x", "y"])
    return tmp_path


def test_a_folder_and_a_pool_become_sources(tmp_path):
    pool = tmp_path / "pool.npz"
    np.savez(pool, images=np.stack([picture(7), picture(8), picture(9)]), identity=[0, 0, 1])
    loaded = sources.load(folder(tmp_path, [picture(1), picture(2)]), [pool])
    assert loaded.photographs == 2
    assert loaded.pixels.shape == (5, 160, 160, 3)
    assert np.array_equal(loaded.pixels[0], picture(1))
    assert np.array_equal(loaded.pixels[4], picture(9))
    assert loaded.people.tolist() == [0, 0, 1]


def test_no_two_pools_have_anybody_in_common(tmp_path):
    pools = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for pool in pools:
        np.savez(pool, images=np.stack([picture(1)] * 3), identity=np.int32([4, 4, 7]))
    assert sources.load(None, pools).people.tolist() == [0, 0, 1, 2, 2, 3]


def test_a_pool_that_does_not_say_who_each_face_is_is_refused(tmp_path):
    pool = tmp_path / "pool.npz"
    np.savez(pool, images=np.stack([picture(1)] * 3), identity=[0, 1])
    with pytest.raises(PictureError, match=r"pool\.npz names \(2,\) people for 3 faces"):
        sources.load(None, [pool])


def test_a_picture_of_another_size_is_refused_by_name(tmp_path):
    with pytest.raises(PictureError, match=r"1\.png is no picture of 160 x 160"):
        sources.load(folder(tmp_path, [picture(1), picture(2, 100)]), [])


def test_a_cut_picture_is_refused(tmp_path):
    folder(tmp_path, [picture(1)])
    whole = (tmp_path / "0.png").read_bytes()
    (tmp_path / "0.png").write_bytes(whole[: len(whole) // 20])
    with pytest.raises(PictureError, match=r"0\.png"):
        sources.load(tmp_path, [])


def test_nothing_to_train_on_is_said(tmp_path):
    with pytest.raises(PictureError, match="no faces to train on"):
        sources.load(None, [])
    with pytest.raises(PictureError, match=r"manifest\.csv cannot be read"):
        sources.load(tmp_path, [])


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_a_broken_pool_is_refused(tmp_path, content):
    pool = tmp_path / "pool.npz"
    if content is None:
        np.savez(pool, images=np.zeros((2, 100, 100, 3), np.uint8), identity=[0, 1])
    else:
        pool.write_bytes(content)
    with pytest.raises(PictureError, match=r"pool\.npz"):
        sources.load(None, [pool])


def test_rendered_people_are_drawn_as_often_as_asked(faces):
    rng = np.random.default_rng(0)
    rendered = {face.tobytes() for face in faces.pixels[4:]}
    rendered |= {face[:, ::-1].tobytes() for face in faces.pixels[4:]}
    drawn = [faces.draw(rng, 0.3).tobytes() in rendered for _ in range(2000)]
    assert 0.26 < np.mean(drawn) < 0.34


def test_the_same_seed_gives_the_same_samples_and_another_gives_others(faces):
    first, again, other = (
        next(samples.batches(faces, samples.Recipe(), (seed, 0), 8)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.seen, again.seen)
    assert np.array_equal(first.taught, again.taught)
    assert not np.array_equal(first.seen, other.seen)


def test_no_batch_comes_twice(faces):
    endless = samples.batches(faces, samples.Recipe(), (1, 0), 8)
    seen = {next(endless).seen.tobytes() for _ in range(5)}
    assert len(seen) == 5


def test_rendered_people_are_met_in_two_views_under_their_own_number(faces):
    recipe = samples.Recipe(met=5)
    batch = next(samples.batches(faces, recipe, (1, 0), 8))
    assert batch.met.shape == (10, 128, 128, 3)
    assert np.array_equal(batch.people[0::2], batch.people[1::2])
    plain = samples.Recipe(met=40, tone=False)
    batch = next(samples.batches(faces, plain, (2, 0), 8))
    middles = faces.pixels[faces.photographs :, 30:-30, 30:-30].astype(float).mean((1, 2))
    for crop, person in zip(batch.met, batch.people, strict=True):
        apart = np.abs(crop[8:-8, 8:-8].astype(float).mean((0, 1)) - middles).sum(1)
        assert person == faces.people[apart.argmin()]


def test_nobody_is_met_where_nobody_is_rendered_or_none_is_asked_for(faces):
    real = sources.Sources(faces.pixels[:4], photographs=4)
    for known, recipe in ((real, samples.Recipe()), (faces, samples.Recipe(met=0))):
        batch = next(samples.batches(known, recipe, (1, 0), 8))
        assert batch.met.shape == (0, 128, 128, 3)
        assert batch.people.shape == (0,)


def test_two_views_of_a_person_are_closer_than_two_people(faces):
    recipe = samples.Recipe(tone=False, turn=0.1)
    batch = next(samples.batches(faces, recipe, (3, 0), 64)).seen.astype(np.float32)
    mates = np.abs(batch[0::2] - batch[1::2]).mean()
    strangers = np.abs(batch[0:-2:2] - batch[2::2]).mean()
    assert mates < 0.6 * strangers


def test_without_any_change_a_sample_is_the_middle_of_its_source(faces):
    rng = np.random.default_rng(0)
    straight = warp.Shape(np.zeros((128, 128, 2), np.float32), (1.0, 1.0))
    crops = [warp.view(rng, faces.pixels[0], straight, 0.0) for _ in range(40)]
    mean = np.mean(crops, axis=0)
    inner = round((sources.SIDE - warp.CROP) / 2)
    middle = cv2.resize(faces.pixels[0][inner:-inner, inner:-inner], (128, 128))
    # Forty inexact crops scatter around the exact one.
    assert np.abs(mean - middle).mean() < 4


class Turned:
    """Draws a yaw, and nought for everything else."""

    def __init__(self, yaw):
        self.values = [yaw, 0.0, 0.0, 0.0, np.zeros(2)]

    def normal(self, *_):
        return self.values.pop(0)


def test_a_turn_moves_the_nose_further_than_the_temples():
    # Each pixel's value is its column, so a difference of values is a distance in pixels.
    face = np.repeat(np.tile(np.arange(160, dtype=np.uint8), (160, 1))[:, :, None], 3, axis=2)
    straight = warp.Shape(np.zeros((128, 128, 2), np.float32), (1.0, 1.0))
    before = warp.view(Turned(0.0), face, straight, 1.0).astype(int)
    moved = warp.view(Turned(0.2), face, straight, 1.0).astype(int) - before
    nose, temples = moved[78:84, 62:66].mean(), moved[62:66, [2, 3, 124, 125]].mean()
    assert nose < temples - 4


def test_a_mixed_face_holds_something_of_each(faces):
    rng = np.random.default_rng(4)
    weights = blend._weights(rng, 3)
    total = sum(np.broadcast_to(w, (160, 160, 1)) for w in weights)
    assert np.allclose(total, 1, atol=1e-5)
    assert all(float(np.mean(w)) > 0.005 for w in weights)
    assert blend.person(rng, faces, 0.5).shape == (160, 160, 3)


@pytest.mark.parametrize("change", [tone.lit, tone.hidden, tone.photographed])
def test_light_cover_and_camera_change_pixels_and_not_the_shape(change):
    crop = picture(5, 128)
    before = crop.copy()
    results = [change(np.random.default_rng(seed), crop) for seed in range(20)]
    assert all(result.shape == crop.shape and result.dtype == np.uint8 for result in results)
    assert np.array_equal(crop, before)
    assert sum(not np.array_equal(result, crop) for result in results) >= 15


def test_the_teacher_sees_the_pixels_of_the_student_or_the_better_ones(faces):
    batch = next(samples.batches(faces, samples.Recipe(), (5, 0), 64))
    same = [np.array_equal(a, b) for a, b in zip(batch.seen, batch.taught, strict=True)]
    assert 0.3 < np.mean(same) < 0.9


def test_marks_change_a_face_on_both_sides_alike_and_are_another_every_time():
    face = np.full((160, 160, 3), 128, np.uint8)
    marked = [paint.painted(np.random.default_rng(seed), face).astype(int) for seed in range(12)]
    assert sum(np.abs(each - 128).max() > 10 for each in marked) >= 10
    change = np.concatenate([(each - 128).ravel() for each in marked])
    mirrored = np.concatenate([(each[:, ::-1] - 128).ravel() for each in marked])
    assert np.corrcoef(change, mirrored)[0, 1] > 0.6


def test_every_step_can_be_left_out(faces):
    bare = samples.Recipe(mix=False, strength=0, turn=0, paint=0, tone=False)
    batch = next(samples.batches(faces, bare, (6, 0), 32))
    assert np.array_equal(batch.seen, batch.taught)
    known = pairs.crops_of(np.concatenate([faces.pixels, faces.pixels[:, :, ::-1]]))
    far = [np.abs(known.astype(int) - crop).mean(axis=(1, 2, 3)).min() for crop in batch.seen]
    # Only stretched and inexactly cut: each sample is still nearest to a face that is there.
    assert np.median(far) < 12

"""Canaries are faces to the appliance, unlike any other frame, and their shadow knows their forms.

A canary that nobody detects, or a form that is not what the product computes, would make a proof
that finds nothing and says nothing.
"""

import hashlib
import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from device.matching import Gallery, scores_of
from device.matching.products import products
from device.protocol.alert import ModelHash
from device.protocol.sealed import open_list
from device.vision.sample import Aligner
from tests.privacy.forgetting import people
from tests.privacy.forgetting.needles import Needles
from tests.privacy.forgetting.provision import LIST_SIZE
from tests.privacy.forgetting.shadow import Shadow
from tests.simulators.sealed import DEPLOYMENT, KEY, LIST, sealed, templates

SEED = 77
FACES = 6
PERSONS = 24
KINDS = {
    "main stream, Y rows",
    "main stream, U rows",
    "main stream, V rows",
    "main stream, BGR",
    "small stream, Y rows",
    "small stream, U rows",
    "small stream, V rows",
    "small stream, BGR",
    "detector input - 128, int8",
    "detector layer 5, int8",
    "detector output, float32",
    "second look input, uint8",
    "second look input - 128, int8",
    "crop, uint8",
    "crop, grey",
    "crop - 128, int8",
    "crop, float32",
    "crop / 255, float32",
    "crop around 0, float32",
    "crop, float16",
    "crop / 255, float16",
    "crop around 0, float16",
    "embedder layer 5, int8",
    "embedder output, int8",
    "features, float32",
    "template, float32",
    "template, float16",
    "template, float64",
    "template, int8",
    "template, int8 scaled",
    "scores, float32",
    "exact template, float32",
    "mean template, float32",
    "JPEG",
}
"""What is named; the rest is kept because it was there."""
TURNED = "turned template, float32"
UNNAMED = ("cv2.cvtColor", "cv2.resize", "capture.frame._gather", "capture.frame.region_bgr")


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Where the pool is kept, so that another process need not render it again."""
    return str(tmp_path_factory.mktemp("pool"))


@pytest.fixture(scope="module")
def pool(kept):
    return people.pool_of(SEED, PERSONS, 1, kept)


@pytest.fixture(scope="module")
def shown(pool):
    return list(people.frames(SEED, 3, faces=FACES, pool=pool))


@pytest.fixture(scope="module")
def shadow():
    return Shadow()


@pytest.fixture(scope="module")
def forms(shadow, shown):
    return [shadow.forms(frame) for frame in shown]


def found_in(needles, forms):
    """Which kinds of form are found in the bytes of others."""
    return {(find.kind, form.kind) for form in forms for find in needles.search(form.content)}


class TestPeople:
    def test_same_seed_same_frames(self, pool, shown):
        again = people.frames(SEED, 3, faces=FACES, pool=people._rendered(SEED, PERSONS, 1))
        for one, other in zip(shown, again, strict=True):
            assert np.array_equal(one.main, other.main)
            assert np.array_equal(one.lores, other.lores)
            assert one.faces == other.faces

    def test_streams_are_as_a_camera_gives_them(self, shown):
        for frame in shown:
            assert (frame.main.shape, frame.main.dtype) == ((1080, 1280), np.uint8)
            assert (frame.lores.shape, frame.lores.dtype) == ((540, 640), np.uint8)

    def test_consecutive_frames_show_others(self, shown):
        for one, other in pairwise(shown):
            assert not {who for who, _ in one.faces} & {who for who, _ in other.faces}

    def test_no_sixteen_bytes_are_in_two_frames(self, shown):
        def windows(frame):
            flat = np.concatenate([frame.main.reshape(-1), frame.lores.reshape(-1)])
            halves = [flat[at : at + flat.size // 8 * 8 - 8].view("<u8") for at in (0, 8)]
            return np.unique(np.stack(halves, axis=1).view("V16"))

        told = [windows(frame) for frame in shown]
        assert len(np.unique(np.concatenate(told))) == sum(map(len, told))

    def test_every_byte_has_noise(self, shown, pool):
        rng = np.random.default_rng(1)
        flat = np.full((540, 640), 128, np.uint8)
        noisy = people._noisy(flat.copy(), rng, people._NOISE)
        assert np.unique(noisy).size == people._NOISE
        for frame in shown:
            assert frame.main.min() > 0
            assert frame.main.max() < 255

    def test_another_seed_shows_others(self, pool):
        other = people._rendered(SEED + 1, 2, 1)
        assert not set(other.identities) & set(pool.identities)

    def test_a_pool_is_kept_for_the_next_run(self, tmp_path):
        made = people.pool_of(SEED, 2, 1, str(tmp_path))
        people.pool_of.cache_clear()
        (kept,) = tmp_path.glob("*.npz")
        assert np.array_equal(made.cutouts, people.pool_of(SEED, 2, 1, str(tmp_path)).cutouts)
        assert kept.is_file()


class TestTheyAreSeen:
    def test_nearly_all_faces_are_detected_and_compared(self, shadow, shown, forms):
        shadow.seen = dict.fromkeys(shadow.seen, 0)
        for frame in shown:
            before = dict(shadow.seen)
            shadow.forms(frame)
            assert shadow.seen["detected"] - before["detected"] >= FACES - 1
            assert shadow.seen["compared"] - before["compared"] >= FACES - 1

    def test_a_crowd_is_more_than_a_tracker_follows(self, shadow, pool, forms):
        frame = people.crowd(SEED, pool=pool)
        before = shadow.seen["detected"]
        shadow.forms(frame)
        assert shadow.seen["detected"] - before > 64

    def test_poor_faces_are_detected_and_not_compared(self, shadow, pool, forms):
        before = dict(shadow.seen)
        kinds = {form.kind for form in shadow.forms(people.poor(SEED, pool=pool))}
        assert shadow.seen["detected"] - before["detected"] >= 4
        assert shadow.seen["compared"] == before["compared"]
        assert not any("template" in kind for kind in kinds)

    def test_nobody_is_in_an_empty_frame(self, shadow, pool, forms):
        before = dict(shadow.seen)
        kinds = {form.kind for form in shadow.forms(people.empty(SEED, pool=pool))}
        assert shadow.seen == before
        assert "main stream, Y rows" in kinds


class TestForms:
    def test_each_kind_is_there(self, forms):
        for of_one in forms:
            kinds = {form.kind for form in of_one}
            assert sorted(KINDS - kinds) == []

    def test_what_nobody_named_is_there_too(self, forms):
        kinds = {form.kind for form in forms[0]}
        for start in UNNAMED:
            assert any(kind.startswith(start) for kind in kinds), start

    def test_an_array_that_somebody_adds_later_is_kept(self, shadow, shown, monkeypatch):
        align = Aligner.align

        def careless(*given):
            sample = align(*given)
            sharper(sample.pixels)
            return sample

        monkeypatch.setattr(Aligner, "align", careless)
        kinds = {form.kind for form in shadow.forms(shown[0])}
        assert "vision.sample.sharper halved, float64" in kinds

    def test_every_face_has_its_own(self, shadow, shown, forms):
        for frame, of_one in zip(shown, forms, strict=True):
            owners = {form.canary for form in of_one if form.kind == "template, float32"}
            assert len(owners) >= FACES - 1
            assert all(owner.startswith(f"{frame.name}, face ") for owner in owners)

    def test_words_are_few_enough_to_search_for(self, forms):
        for of_one in forms:
            assert Needles(of_one).words < 700_000

    def test_no_form_is_in_another_frame(self, forms):
        assert found_in(Needles(forms[0]), forms[1]) == set()

    def test_forms_are_found_in_their_own_frame(self, forms):
        one_each = {form.kind: form for form in forms[1] if form.kind in KINDS}
        found = {kind for kind, _ in found_in(Needles(one_each.values()), one_each.values())}
        assert sorted(KINDS - found) == []

    def test_few_are_few_and_found(self, shadow, shown):
        few = shadow.few(shown[2])
        needles = Needles(few)
        assert 500 < needles.words < 6_000
        # Of thousands of frames they are kept until the end.
        assert sum(len(form.content) for form in few) < 64_000
        again = shadow.forms(shown[2])
        found = {kind for kind, _ in found_in(needles, again)}
        assert {form.kind for form in few} <= found


def test_scores_against_the_list_are_known_as_the_program_makes_them(shadow, forms):
    kept = {form.canary: form.content for form in forms[0] if form.kind == "scores, float32"}
    means = [form for form in forms[0] if form.kind == "mean template, float32"]
    assert len(means) >= FACES - 1
    for form in means:
        (scores,) = scores_of(shadow.gallery, np.frombuffer(form.content, "<f4")[np.newaxis])
        assert len(scores) == LIST_SIZE
        assert kept[form.canary] == scores.tobytes()


def test_turned_templates_are_known_where_the_list_is_sealed(shadow, shown):
    sha = shadow.eye.embedder_entry.sha256
    rows = templates(8, dimension=shadow.eye.embedder.dimension)
    content = sealed(rows, embedder=ModelHash("embedder", "built-in", sha)).content
    found = open_list(content, KEY, watchlist=LIST, deployment=DEPLOYMENT)
    twin = Shadow(watchlist=Gallery.opened(found, sha, rows.shape[1]))
    forms = twin.forms(shown[0])
    turned = {form.canary: form.content for form in forms if form.kind == TURNED}
    ((rotation,),) = (twin.gallery._transformation.rotations,)
    known = {form.content for form in forms}
    for form in forms:
        if form.kind == "mean template, float32":
            template = np.frombuffer(form.content, "<f4")
            expected = template @ rotation[: len(template)]
            assert np.allclose(np.frombuffer(turned[form.canary], "<f4"), expected, atol=1e-5)
        if form.kind == "template, float32":
            probe, found = (
                np.frombuffer(form.content, "<f4")[np.newaxis],
                np.zeros_like(rotation[:1]),
            )
            products(rotation.T[np.newaxis], probe, found)
            assert found.tobytes() in known, "not what the program computes, to the last bit"
    assert len(turned) >= FACES - 1


ALONE = """
import hashlib, json, sys
from device.vision.observer import Observer
from device.recognition import Recogniser
from tests.privacy.forgetting import people, shadow
twin = shadow.Shadow()
pool = people.pool_of(*json.loads(sys.argv[1]))
(frame,) = people.frames(pool=pool, **json.loads(sys.argv[2]))
found = []
compare = Observer._compare
def told(observer, shown, shot, boxes, decide):
    def kept(sighting):
        found.append(hashlib.sha256(sighting.probe.template.tobytes()).hexdigest())
        return decide(sighting)
    compare(observer, shown, shot, boxes, kept)
Observer._compare = told
Recogniser(twin.eye, twin.gallery, twin.settings).process(shadow._shown(frame), lambda *_: None)
print(json.dumps(found))
"""
"""The product on a canary frame, unwatched, in a process of its own."""


def test_templates_are_what_the_product_computes(forms, kept):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            ALONE,
            json.dumps([SEED, PERSONS, 1, kept]),
            json.dumps({"seed": SEED, "number": 1, "faces": FACES}),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    computed = json.loads(done.stdout)
    known = {
        hashlib.sha256(form.content).hexdigest()
        for form in forms[0]
        if form.kind == "template, float32"
    }
    assert len(computed) >= FACES - 1
    assert set(computed) == known


def _in_the_room(source):
    """A function that the product could have: its code seems to lie in device/vision/sample.py."""
    space = vars(sys.modules[Aligner.__module__])
    code = compile(source, space["__file__"], "exec")
    made = {"np": np, "__name__": Aligner.__module__}
    exec(code, made)
    return made["sharper"]


sharper = _in_the_room(
    "def sharper(pixels):\n    halved = pixels / 2\n    return float(halved.mean())\n"
)

"""Passerby and its rivals as contestants, on a few rendered frames; and the clips themselves."""

import csv
import stat
from itertools import pairwise

import cv2
import numpy as np
import pytest

from device.errors import ConfigurationError, PictureError
from device.vision import Catalogue, Eye, default_directory, observer
from tests.simulators.pictures import photograph
from tools.lab.bench import ablation, frigate, loop, material, ours, stages
from tools.lab.bench.choreography import ENROLLED, LISTED, RATE, SIZE, STRANGERS, plans
from tools.lab.bench.clip import Clip, i420_of
from tools.lab.bench.contestant import Setup, View
from tools.lab.bench.filmed import filmed
from tools.lab.bench.material import passages_of
from tools.lab.bench.sprites import put, sprite_of
from tools.lab.bench.stretch import _Painter
from tools.lab.collection import models_of
from tools.lab.people.pool import TRAINED_ON

SETUP = Setup()
WHOLE = ablation.Without.picture
PEOPLE = (700_000, 700_001, 700_003)
"""The first two are on the list."""


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stills")
    paths = [folder / f"ref-{seed % 10}.png" for seed in PEOPLE]
    for path, seed in zip(paths, PEOPLE, strict=True):
        photograph(path, seed)
    return paths


def view_of(still, *, bgr=False):
    """The still in the middle of a wall, as a camera with two streams sees it."""
    main = np.full((720, 1280, 3), 110, np.uint8)
    main[120:600, 400:880] = cv2.imread(str(still))
    lores = cv2.resize(main, (640, 360), interpolation=cv2.INTER_AREA)
    both = (main, lores) if bgr else (None, None)
    return View(i420_of(main), i420_of(lores), *both)


@pytest.fixture
def built_in():
    made = ours.built_in(SETUP)
    yield made
    made.close()


def watched(contestant, still, *, bgr=False, frames=6, apart_s=0.2):
    """Show a person; return what was found in each frame."""
    contestant.begin()
    return [contestant.frame(view_of(still, bgr=bgr), number * apart_s) for number in range(frames)]


def test_passerby_names_who_is_on_the_list_and_reads_every_score(built_in, stills):
    assert built_in.enrol(stills[:2]) == ["ref-0", "ref-1"]
    results = watched(built_in, stills[1])
    scores = [score for result in results for score in result.best]
    assert {name for name, _ in scores} == {"ref-1"}
    assert min(score for _, score in scores) > 0.8
    assert [alert[0] for result in results for alert in result.alert] == ["ref-1"]
    assert sum(result.tracks for result in results) == 1
    # A candidate is looked at twice, cut out two ways.
    assert built_in.figures()["embedded"] == sum(r.embedded for r in results) >= len(scores)


def test_a_stranger_is_scored_and_raises_no_alert(built_in, stills):
    built_in.enrol(stills[:2])
    results = watched(built_in, stills[2])
    scores = [score for result in results for _, score in result.best]
    assert scores
    assert max(scores) < 0.8
    assert not any(result.alert for result in results)


def test_the_cameras_buffers_are_wiped_when_a_frame_ends(built_in, stills):
    built_in.enrol(stills[:1])
    built_in.begin()
    view = view_of(stills[0])
    assert built_in.frame(view, 0.0).faces == 1
    assert not view.main_i420.any()
    assert not view.lores_i420.any()


def test_every_stage_is_charged_and_they_make_up_the_whole(stills, monkeypatch):
    monkeypatch.setattr(stages, "ModelSettings", _built_in_models)
    staged = stages.staged(SETUP)
    try:
        staged.enrol(stills[:1])
        watched(staged, stills[0])
        seconds = {k: v for k, v in staged.figures().items() if k.startswith("stage: ")}
    finally:
        staged.close()
    assert len(seconds) == 8
    assert min(seconds.values()) > 0


def _built_in_models():
    return models_of(Catalogue.read(default_directory()), "built-in")


@pytest.mark.parametrize(
    ("make", "all_searched", "all_compared"),
    [
        (ablation.every_frame, True, False),
        (ablation.no_budget, False, True),
        (ablation.no_second_look, False, False),
        (ablation.everything, True, True),
    ],
)
def test_an_ablation_takes_out_what_it_says(make, all_searched, all_compared, stills, monkeypatch):
    monkeypatch.setattr(ablation, "ModelSettings", _built_in_models)
    before = observer.detections_per_s
    made = make(SETUP)
    try:
        made.enrol(stills[:2])
        view = view_of(stills[0])
        results = watched(made, stills[0], frames=12, apart_s=1 / 15)
        made.frame(view, 9.0)
    finally:
        made.close()
    assert observer.detections_per_s is before
    assert not view.main_i420.any()
    faces, compared = (
        sum(f(r) for r in results) for f in (lambda r: r.faces, lambda r: len(r.best))
    )
    assert compared > 0
    assert (faces == 12) is all_searched
    assert (compared == faces) is all_compared


def test_whole_frames_are_converted_and_wiped_too(stills, monkeypatch):
    monkeypatch.setattr(ablation, "ModelSettings", _built_in_models)
    made = ablation.whole_frame(SETUP)
    kept = []
    monkeypatch.setattr(
        type(made), "picture", lambda self, pixels: kept.append(WHOLE(self, pixels)) or kept[-1]
    )
    try:
        made.enrol(stills[:1])
        view = view_of(stills[0])
        assert made.frame(view, 0.0).faces == 1
    finally:
        made.close()
    assert [picture.pixels.shape for picture in kept] == [(720, 1280, 3), (360, 640, 3)]
    assert not any(p.any() for p in (*(k.pixels for k in kept), view.main_i420, view.lores_i420))


def test_the_gate_spares_a_still_street_and_without_it_every_frame_in_turn_is_searched(
    monkeypatch,
):
    monkeypatch.setattr(ablation, "ModelSettings", _built_in_models)
    searched = {}
    for name, make in (("gate", ours.built_in), ("none", ablation.no_gate)):
        made, street = make(SETUP), np.full((720, 1280, 3), 110, np.uint8)
        calls = []
        made.reading._wraps.around(
            type(made._eye.detector),
            "detect",
            lambda original, calls=calls: lambda *a: calls.append(1) or original(*a),
        )
        made._gallery, made._recogniser = None, None
        try:
            made._recogniser = ours.Recogniser(made._eye, _nobody(made), made._settings)
            for number in range(10):
                view = View(i420_of(street), i420_of(street[::2, ::2].copy()))
                made.frame(view, number / 2)
        finally:
            made.close()
        searched[name] = len(calls)
    assert searched["gate"] == 1
    assert searched["none"] == 10


def _nobody(made):
    """A list with one reference like nobody."""
    entry, dimension = made._eye.embedder_entry, made._eye.embedder.dimension
    template = np.eye(1, dimension, dtype="<f4").tobytes()
    references = [ours.Reference("ref-0", [template])]
    sha256 = entry.sha256
    return ours.Gallery(
        ours.DemonstrationList("x", 1, "", entry.name, sha256, dimension, references), sha256
    )


# Rivals


@pytest.fixture
def peer_models():
    if not (SETUP.peer_models / loop.DETECTOR).is_file():
        pytest.skip(f"{loop.DETECTOR} is not in {SETUP.peer_models}")


@pytest.mark.usefixtures("peer_models")
def test_the_loop_finds_whom_it_knows_in_every_frame(stills):
    made = loop.built_in_on_the_small_stream(SETUP)
    assert made.enrol(stills[:2]) == ["ref-0", "ref-1"]
    results = watched(made, stills[0], bgr=True)
    assert [result.embedded for result in results] == [1] * 6
    assert {name for result in results for name, _ in result.best} == {"ref-0"}
    assert min(score for result in results for _, score in result.best) > 0.8


@pytest.mark.usefixtures("peer_models")
def test_frigate_like_sees_who_comes_and_stops_after_enough_attempts(stills):
    made = frigate.built_in(SETUP)
    made.enrol(stills[:2])
    made.begin()
    street = np.full((720, 1280, 3), 110, np.uint8)
    empty = View(i420_of(street), i420_of(street[::2, ::2].copy()), street)
    assert made.frame(empty, 0.0).faces == 0
    results = [made.frame(view_of(stills[0], bgr=True), 0.2 + n / 15) for n in range(45)]
    # Five looks a second, for three seconds.
    assert sum(result.faces for result in results) == 15
    assert sum(result.embedded for result in results) == 6
    assert {name for result in results for name, _ in result.best} == {"ref-0"}


# Clips


def test_nobody_in_the_clips_taught_the_embedder_and_nobody_is_two():
    assert not {*ENROLLED, *LISTED, *STRANGERS} & set(TRAINED_ON)
    assert len({*ENROLLED, *LISTED, *STRANGERS}) == len(ENROLLED) + len(LISTED) + len(STRANGERS)


def test_passages_hold_enough_people_and_do_not_overlap():
    plan = plans()["passages"]
    passages = passages_of(plan)
    assert sum(p.enrolled for p in passages) >= 12
    assert sum(not p.enrolled for p in passages) >= 24
    assert all(one.last < other.first for one, other in pairwise(passages))
    # Tracks end between two people, and each is seen for two seconds and more.
    assert all(
        plan.seconds[other.first] - plan.seconds[one.last] > 2 for one, other in pairwise(passages)
    )
    assert min(p.last - p.first for p in passages) >= 2 * RATE


def test_the_faces_of_a_crowd_are_seen_in_the_small_stream():
    eye = Eye.open(Catalogue.read(default_directory()), _built_in_models(), ours.VisionSettings())
    frame = _Painter(plans()["twenty"]).frame(40)
    small = cv2.resize(frame, (640, 360), interpolation=cv2.INTER_AREA)
    found = eye.detector.detect(ours.Picture.of_bgr(small), SIZE[0])
    assert 18 <= len(found) <= 20


def test_a_sprite_lies_where_its_actor_is():
    plan = plans()["walker"]
    actor = plan.actors[0]
    painter = _Painter(plan)
    middle, eyes_px = actor.place(actor.start_s + 1)
    sprite = sprite_of(actor.seen(actor.start_s + 1.1, painter._stage.light), SIZE[1])
    assert 0.9 < eyes_px / sprite.eyes_px < 1
    light = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
    put(light, sprite, middle, eyes_px)
    columns = np.flatnonzero(light[int(middle[1])].any(axis=1))
    assert (columns[0] + columns[-1]) / 2 == pytest.approx(middle[0], abs=eyes_px / 4)
    outside = light.copy()
    put(outside, sprite, (-5000.0, 0.0), eyes_px)
    assert np.array_equal(outside, light)


def test_a_frame_is_the_same_in_every_process():
    plan = plans()["walker"]
    first, again = _Painter(plan), _Painter(plan)
    first.frame(29)
    assert np.array_equal(first.frame(30), again.frame(30))


def test_a_clip_that_is_kept_is_not_rendered_again(tmp_path, monkeypatch):
    rendered = []

    def render(missing):
        for name, (_, folder) in missing.items():
            rendered.append(name)
            folder.mkdir()
            (folder / "truth.json").write_text("{}")

    monkeypatch.setattr(material, "_render", render)
    first = material.prepare(tmp_path / "cache", ["idle", "walker"])
    assert material.prepare(tmp_path / "cache", ["walker"]) == {"walker": first["walker"]}
    assert rendered == ["idle", "walker"]
    with pytest.raises(ConfigurationError, match='"dance": idle, '):
        material.prepare(tmp_path / "cache", ["dance"])


# Real clips


def data_set(folder, people=("anna", "ben"), licence="A"):
    """A data set of still clips; the first person has two."""
    (folder / "video").mkdir(parents=True)
    rows = []
    for place, person in enumerate((people[0], *people)):
        path = folder / "video" / f"{place}.mp4"
        clip = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (320, 240))
        for _ in range(5):
            clip.write(np.full((240, 320, 3), 60 + 40 * place, np.uint8))
        clip.release()
        rows.append((f"video/{place}.mp4", person, "video"))
    for person in people:
        cv2.imwrite(str(folder / f"{person}.png"), np.zeros((32, 32, 3), np.uint8))
        rows.append((f"{person}.png", person, "gallery"))
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "identity", "source_set", "role", "subset", "licence_class"])
        writer.writerows([(file, who, "s", role, "", licence) for file, who, role in rows])
    return folder


def test_real_clips_are_held_in_private_and_deleted(tmp_path):
    with filmed(data_set(tmp_path / "data")) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        clip = Clip.open(folder)
        assert [p.name for p in clip.references] == ["ref-0000.png"]
        assert [(p.identity, p.first, p.last) for p in clip.truth.passages] == [
            ("ref-0000", 0, 4),
            ("ref-0000", 5, 9),
            ("stranger-002", 10, 14),
        ]
        assert np.diff(clip.seconds)[4] > 2
        assert (clip.truth.size, clip.truth.lores) == ((320, 240), (320, 240))
        assert abs(int(clip.streams.pair(12)[0][100, 100]) - int(140 * 0.859 + 16)) < 4
    assert not folder.exists()


def test_real_clips_are_deleted_also_when_something_fails(tmp_path):
    held = filmed(data_set(tmp_path / "data"))
    folder = held.__enter__()
    assert folder.exists()
    assert not held.__exit__(KeyError, KeyError("here"), None)
    assert not folder.exists()


def test_who_did_not_agree_to_be_shown_takes_no_part(tmp_path):
    folder = data_set(tmp_path / "data", licence="C")
    with pytest.raises(PictureError, match="no clip"), filmed(folder):
        pass

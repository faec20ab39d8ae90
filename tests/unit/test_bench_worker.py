"""The benchmark's clips on the disk, and the process that shows them to a contestant."""

import sys
from itertools import count

import numpy as np
import pytest

from device.errors import ConfigurationError, StorageError
from tests.conftest import ROOT
from tests.simulators.bench import SIZE, Scripted, clip
from tools.lab.bench import contestant, packed
from tools.lab.bench.clip import LORES, MAIN, Clip, Truth, bgr_of, i420_of, write_truth
from tools.lab.bench.contestant import AbsentError, FrameResult, Setup, load
from tools.lab.bench.process import Worker, WorkerError
from tools.lab.bench.worker import run_clip


def test_a_clip_goes_round_in_laps_without_a_pause(tmp_path):
    opened = Clip.open(clip(tmp_path / "c", frames=3, laps=2))
    shown = [
        (number, int(view.main_i420[0, 0]), seconds)
        for number, view, seconds in opened.views(frozenset())
    ]
    assert len(opened) == 6
    assert [(number, value) for number, value, _ in shown] == list(enumerate([0, 1, 2] * 2))
    assert np.allclose([seconds for *_, seconds in shown], np.arange(6) / 10)


def test_a_contestant_gets_the_pictures_it_wants_and_may_overwrite_them(tmp_path):
    opened = Clip.open(clip(tmp_path / "c"))
    for _, view, _ in opened.views(frozenset({"lores_bgr"})):
        assert view.main_bgr is None
        assert np.array_equal(view.lores_bgr, bgr_of(view.lores_i420))
        view.main_i420.fill(0)
    assert opened.streams.pair(3)[0][0, 0] == 3


def test_packed_frames_come_back_nearly_as_they_were(tmp_path):
    rows = np.linspace(40, 200, SIZE[1], dtype=np.uint8)
    frames = [np.repeat(np.roll(rows, k)[:, None, None], SIZE[0], 1).repeat(3, 2) for k in (0, 9)]
    folder = clip(tmp_path / "c", frames=2)
    (folder / MAIN).unlink()
    (folder / LORES).unlink()
    packed.write_packed(folder, [packed.packed(frame) for frame in frames])
    opened = Clip.open(folder)
    for number, frame in enumerate(frames):
        main, lores = opened.streams.pair(number)
        assert np.abs(main.astype(int) - i420_of(frame)).mean() < 2
        assert lores.shape == (24, 32)


def test_what_is_no_clip_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(StorageError, match="no clip"):
        Clip.open(tmp_path)
    folder = clip(tmp_path / "c")
    np.save(folder / LORES, np.zeros((3, 24, 32), np.uint8))
    with pytest.raises(StorageError, match="different lengths"):
        Clip.open(folder)
    clip(tmp_path / "d", frames=2)
    (tmp_path / "d" / MAIN).unlink()
    (tmp_path / "d" / LORES).unlink()
    packed.write_packed(tmp_path / "d", [packed.packed(np.zeros((32, 64, 3), np.uint8))] * 2)
    (tmp_path / "d" / packed.FRAMES).write_bytes(b"cut")
    with pytest.raises(StorageError, match="cut"):
        Clip.open(tmp_path / "d")


def test_scores_belong_to_the_passages_of_their_frames(tmp_path):
    passages = [("a", False, 0, 1), ("ref-1", True, 1, 3)]
    results = [
        FrameResult(1, 1, [("ref-1", 0.2)]),
        FrameResult(2, 2, [("ref-1", 0.5), ("ref-2", 0.1)], tracks=1),
        FrameResult(1, 0),
        FrameResult(1, 1, [("ref-1", np.float32(0.75))], alert=[("ref-1", 0.9)]),
    ]
    found = run_clip(Scripted(results), Clip.open(clip(tmp_path / "c", passages=passages)))
    one, other = found.passages
    assert one.best == {"ref-1": 0.5, "ref-2": 0.1}
    assert (one.faces, one.embedded, one.tracks, one.alert) == (3, 3, 1, {})
    assert other.best == {"ref-1": 0.75, "ref-2": 0.1}
    assert other.alert == {"ref-1": 0.9}
    assert (found.faces, found.embedded, found.frames) == (5, 4, 4)


def test_only_frame_is_on_the_clock(tmp_path):
    cpu, wall = count(0, 2.0), count(0, 0.5)
    found = run_clip(
        Scripted(), Clip.open(clip(tmp_path / "c")), cpu=lambda: next(cpu), wall=lambda: next(wall)
    )
    # Two readings round each of four frames: 2 s and 0.5 s apart, and nothing between frames.
    assert found.cpu_s == 8
    assert found.wall_s == 2
    assert found.frame_ms == [500] * 4


def test_figures_of_a_contestant_are_handed_on(tmp_path):
    scripted = Scripted()
    scripted.figures = lambda: {"tracks": 3.0}
    assert run_clip(scripted, Clip.open(clip(tmp_path / "c"))).figures == {"tracks": 3.0}


def test_a_missing_library_leaves_out_its_contestant_alone(monkeypatch):
    monkeypatch.setitem(contestant.CONTESTANTS, "gone", "no_such_library_here:It")
    with pytest.raises(AbsentError, match="no_such_library_here is not installed"):
        load("gone", Setup())


def test_an_unknown_contestant_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match=r'"nobody": ours, '):
        load("nobody", Setup())


def test_everybody_registered_names_something_that_is_written():
    for name, where in contestant.CONTESTANTS.items():
        module, _, what = where.partition(":")
        text = (ROOT / f"{module.replace('.', '/')}.py").read_text("utf-8")
        assert f"def {what}(" in text or f"class {what}" in text, name


def test_the_process_says_what_is_missing_and_ends(tmp_path):
    worker = Worker("loop-small", tmp_path / "nothing", sys.executable)
    assert worker.absent == (
        f"{tmp_path}/nothing/face_detection_yunet_2023mar.onnx is not here "
        "(--peer-models names the folder)."
    )
    with pytest.raises(WorkerError, match="ended with exit code 0"):
        worker.versions()
    worker.close()


def test_the_process_enrols_and_shows_a_clip(tmp_path, models):
    folder = clip(tmp_path / "c", passages=[("a", False, 0, 3)])
    worker = Worker("ours-built-in", tmp_path, sys.executable)
    try:
        assert not worker.absent
        name, versions = worker.versions()
        assert name == "Passerby, built-in models"
        assert {"passerby", "opencv", "numpy"} < versions.keys()
        # Black squares are nobody's photograph.
        with pytest.raises(WorkerError, match="could be enrolled"):
            worker.enrol(Clip.open(folder).references)
        with pytest.raises(WorkerError, match="Nobody was enrolled"):
            worker.show(folder)
        with pytest.raises(WorkerError, match="no clip"):
            worker.show(tmp_path)
    finally:
        worker.close()


def test_an_interpreter_that_is_not_there_is_named(tmp_path):
    with pytest.raises(WorkerError, match="cannot be started for ours"):
        Worker("ours", tmp_path, tmp_path / "python")
    # One that is there and is no interpreter of ours ends at once, and its last words are said.
    (tmp_path / "sh").write_text("#!/bin/sh\necho some reason >&2\nexit 3\n")
    (tmp_path / "sh").chmod(0o755)
    with pytest.raises(WorkerError, match="ended with exit code 3: some reason"):
        Worker("ours", tmp_path, tmp_path / "sh")


def test_a_truth_without_laps_is_shown_once(tmp_path):
    folder = clip(tmp_path / "c")
    text = (folder / "truth.json").read_text().replace(',"laps":1', "")
    assert "laps" not in text
    (folder / "truth.json").write_text(text)
    assert Clip.open(folder).truth == Truth("tiny", (64, 32), (32, 16), [], 1)
    write_truth(folder, Truth("tiny", (64, 32), (32, 16), [], 3))
    assert len(Clip.open(folder)) == 12


def test_a_slow_contestant_is_shown_some_frames_and_fewer_in_a_hurry(tmp_path):
    slow = Scripted()
    slow.stride = 2
    long = Clip.open(clip(tmp_path / "c", frames=12))
    assert run_clip(slow, long).frames == 6
    assert run_clip(slow, long, 3).frames == 2
    assert run_clip(Scripted(), long, 3).frames == 12

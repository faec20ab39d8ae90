"""`make demo`: what a newcomer sees."""

import subprocess

import cv2
import numpy as np

from device.capture.stills import read_still
from device.settings import ModelSettings, VisionSettings
from device.vision import Eye, find_faces
from tools.lab.picture import Marked, annotate


def run_demo(command, *arguments):
    line = [command("passerby-lab"), "demo", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=900, check=False)


def test_without_data_rendered_people_walk_past_the_built_in_models(command, tmp_path):
    done = run_demo(command, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    words = " ".join(done.stdout.split())
    assert "3 of 3 passages of enrolled people raised their alert; 0 other alerts" in words
    assert "10 of 10 stills as expected" in words
    alerts = [line for line in done.stdout.splitlines() if line.startswith("alert ")]
    assert [line.count("ref-2041") for line in alerts] == [1, 0, 1]
    assert [line.count("ref-7315") for line in alerts] == [0, 1, 0]
    assert all("possible match" in line and "unreviewed" in line for line in alerts)
    assert "not for operational use" in done.stdout
    picture = cv2.imread(str(tmp_path / "faces.png"))
    assert picture.shape[1] == 4 * 480


def test_the_demonstration_on_clips_runs_from_enrolment_to_the_picture(
    faces, models, command, tmp_path
):
    done = run_demo(command, "--data", faces, "--out", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("possible match: intel_asl_A") == 6
    words = " ".join(done.stdout.split())
    assert "12 of 12 passages of enrolled people in 16 clips raised their alert; 0 other" in words
    assert "9 of 9 stills as expected" in words
    assert "faces destroyed" in done.stdout
    assert "not for operational use" in done.stdout
    picture = cv2.imread(str(tmp_path / "faces.png"))
    assert picture.shape[1] == 4 * 480


def test_a_folder_without_a_manifest_is_named(command, tmp_path):
    done = run_demo(command, "--data", tmp_path / "none", "--out", tmp_path / "out")
    assert done.returncode == 0
    assert "holds no manifest.csv" in " ".join(done.stdout.split())
    assert not (tmp_path / "out").exists()


def test_a_blurred_face_is_not_found_again_and_a_marked_one_stays(faces, models):
    pixels = read_still(faces / "london/001/001_smiling.jpg")
    eye = Eye.open(models, ModelSettings(), VisionSettings())
    found = find_faces(eye, pixels)
    assert len(found) == 1
    assert find_faces(eye, annotate(pixels, found, [])) == []
    box = tuple(int(v) for v in found[0].box)
    shown = annotate(pixels, found, [Marked(box, "x")])
    x, y, width, height = box
    inner = (slice(y + 8, y + height - 8), slice(x + 8, x + width - 8))
    assert np.array_equal(shown[inner], pixels[inner])

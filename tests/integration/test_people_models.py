"""What independent models make of rendered people: they find them and tell them apart."""

import subprocess

import cv2
import numpy as np
import pytest

from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, default_directory
from tools.lab.collection import models_of
from tools.lab.people import Person
from tools.lab.people.sheet import CONDITIONS, measure

PEOPLE = 60


@pytest.fixture(scope="module")
def figures(models):
    eye = Eye.open(models, ModelSettings(), VisionSettings())
    return measure([Person.from_seed(70_000 + number) for number in range(PEOPLE)], eye)


def test_the_detector_finds_frontal_faces(figures):
    assert figures.frontal == PEOPLE
    assert figures.detected >= 0.95 * PEOPLE


def test_the_detector_puts_landmarks_where_the_truth_is(figures):
    off = np.linalg.norm(figures.offsets, axis=-1)
    eyes, nose, mouth = off[:, :2], off[:, 2], off[:, 3:]
    # In distances between the eyes; the detector puts mouths of calm faces high.
    assert np.median(eyes) < 0.12
    assert np.median(nose) < 0.2
    assert np.median(mouth) < 0.3


def test_the_embedder_tells_people_apart_and_knows_them_again(figures):
    assert figures.mated.size == PEOPLE * (len(CONDITIONS) - 1)
    assert figures.non_mated.size == figures.mated.size * (PEOPLE - 1)
    assert np.median(figures.mated) > np.percentile(figures.non_mated, 99)
    assert np.median(figures.non_mated) < 0.45


@pytest.fixture(scope="module")
def ours():
    catalogue = Catalogue.read(default_directory())
    eye = Eye.open(catalogue, models_of(catalogue, "built-in"), VisionSettings())
    return measure([Person.from_seed(70_000 + number) for number in range(PEOPLE)], eye)


def test_the_built_in_detector_finds_frontal_faces(ours):
    assert ours.detected >= 0.98 * PEOPLE


def test_the_built_in_embedder_knows_people_again_of_whom_it_learnt_none(ours):
    # As high as one wrong comparison in three thousand: FPIR 2 % or so with a list of sixty.
    threshold = np.percentile(ours.non_mated, 99.97)
    assert np.mean(ours.mated > threshold) >= 0.93


def test_the_command_draws_a_sheet_and_prints_figures(models, command, tmp_path):
    line = [command("passerby-lab"), "people", "--out", tmp_path, "--identities", "3"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "frontal faces detected: 3 of 3" in done.stdout
    assert "non-mated scores" in done.stdout
    sheet = cv2.imread(str(tmp_path / "people.png"))
    assert sheet.shape == (3 * 160, len(CONDITIONS) * 160, 3)


def test_nobody_cannot_be_drawn(command, tmp_path):
    line = [command("passerby-lab"), "people", "--out", tmp_path, "--identities", "0"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.strip().endswith("--identities must be at least 1.")
    assert not list(tmp_path.iterdir())

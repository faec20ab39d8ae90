"""`passerby-lab convert`: its pictures, its words, and one real conversion where the files are."""

import hashlib

import numpy as np
import pytest

from device.errors import ConfigurationError
from device.opencv import cv2
from device.vision import Catalogue, default_directory
from tests.conftest import SHARED, absent
from tools.lab.convert.conversions import CONVERSIONS
from tools.lab.convert.pictures import Faces, aligned, scenes, surroundings, worse
from tools.lab.main import main


@pytest.fixture
def folder(tmp_path):
    """Thirty "faces", twenty of one set and ten of another: plain colours that tell them apart."""
    rows = ["file,source_set,original"]
    for number in range(30):
        name = f"{number:02}.png"
        rows.append(f"{name},{'many' if number < 20 else 'few'},x")
        cv2.imwrite(str(tmp_path / name), np.full((160, 160, 3), number * 8, np.uint8))
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    return tmp_path


def numbers(crops):
    return [int(crop[0, 0, 0]) // 8 for crop in crops]


def test_faces_to_measure_with_are_never_calibrated_on(folder):
    faces = Faces.read(folder)
    calibrated, measured = numbers(faces.some(100)), numbers(faces.some(100, measure=True))
    assert not set(calibrated) & set(measured)
    assert sorted(calibrated + measured) == list(range(30))


def test_every_set_of_faces_has_its_turn(folder):
    chosen = numbers(Faces.read(folder).some(8))
    assert len([number for number in chosen if number >= 20]) == 4
    assert numbers(Faces.read(folder).some(8)) == chosen


def test_a_folder_without_faces_is_one_sentence(tmp_path, folder):
    with pytest.raises(ConfigurationError, match="holds no faces to calibrate on"):
        Faces.read(tmp_path / "none")
    (folder / "00.png").write_bytes(b"no picture")
    with pytest.raises(ConfigurationError, match=r"00\.png is no 160x160 picture"):
        Faces.read(folder).some(100)


def test_an_aligned_face_is_the_template_without_its_margin(folder):
    crop = np.zeros((160, 160, 3), np.uint8)
    crop[24:136, 24:136] = 200
    (found,) = aligned([crop], 96)
    assert found.shape == (96, 96, 3)
    assert (found == 200).all()


def test_the_same_scenes_come_every_time_and_hold_the_faces(folder):
    crops = [np.full((160, 160, 3), (255, 0, 255), np.uint8)]
    first, again = (list(scenes(crops, 3, 96, 128)) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = list(scenes(crops, 3, 96, 128, seed=7))
    assert not np.array_equal(first, others)
    assert all(scene.shape == (96, 128, 3) for scene in first)
    # Magenta is in none of the backdrops.
    magenta = [(s[..., 0].astype(int) - s[..., 1] > 100) & (s[..., 2] > 100) for s in first]
    assert all(mask.any() for mask in magenta)


def test_a_bad_camera_loses_detail():
    checks = np.kron(np.indices((20, 20)).sum(0) % 2 * 255, np.ones((8, 8))).astype(np.uint8)
    crop = np.repeat(checks[..., None], 3, axis=2)
    for bad in worse([crop] * 5):
        assert cv2.GaussianBlur(bad, (0, 0), 3).std() < crop.std() / 2


def test_surroundings_have_the_face_in_their_middle():
    crop = np.full((160, 160, 3), (255, 0, 255), np.uint8)
    (found,) = surroundings([crop], 80)
    assert found.shape == (80, 80, 3)
    assert (found[30:50, 30:50] == (255, 0, 255)).all()
    assert not (found[:15] == (255, 0, 255)).all(axis=2).any()


def test_an_unknown_model_is_named_with_those_that_there_are(folder, capsys):
    assert main(["convert", "--faces", str(folder), "--only", "yolo"]) == 2
    said = capsys.readouterr().err
    assert 'No conversion is called "yolo"; there are: yunet-s-320x256, ' in said


def test_published_files_that_are_not_there_are_one_sentence(folder, capsys):
    out = folder / "out"
    arguments = ["--faces", str(folder), "--from", str(folder), "--out", str(out)]
    assert main(["convert", *arguments, "--only", "minifasnet-v2"]) == 5
    assert "does not hold 2.7_80x80_MiniFASNetV2.pth (--from)" in capsys.readouterr().err
    (folder / "2.7_80x80_MiniFASNetV2.pth").write_bytes(b"cut")
    assert main(["convert", *arguments, "--only", "minifasnet-v2"]) == 5
    assert "is not the file that was published" in capsys.readouterr().err
    assert not out.exists()


def test_every_conversion_has_its_recipe_in_the_catalogue_and_the_other_way_round():
    entries = {e.name: e for e in Catalogue.read(default_directory()).entries if e.recipe}
    assert set(entries) == {one.name for one in CONVERSIONS}
    for one in CONVERSIONS:
        assert entries[one.name].upstream.sha256 == one.published.sha256
        assert entries[one.name].recipe == f"recipes/{one.name}.json"


@pytest.mark.parametrize("name", ["minifasnet-v2", "omz-0095-float"])
def test_a_model_of_floats_is_converted_to_the_file_of_the_catalogue(name, folder, capsys):
    """Without calibration a conversion has no range in it, and is the same on every machine."""
    upstream = SHARED / "models/upstream"
    if not upstream.is_dir():
        absent(f"the published models are not at {upstream}")
    out = folder / "out"
    arguments = ["--faces", str(folder), "--from", str(upstream), "--out", str(out)]
    assert main(["convert", *arguments, "--only", name]) == 0
    entry = Catalogue.read(default_directory())
    (entry,) = [one for one in entry.entries if one.name == name]
    made = (out / f"{name}.tflite").read_bytes()
    assert hashlib.sha256(made).hexdigest() == entry.sha256
    recipe = default_directory() / entry.recipe
    assert (out / f"{name}.json").read_bytes() == recipe.read_bytes()
    capsys.readouterr()
    assert main(["convert", *arguments, "--only", name, "--measure"]) == 0
    said = capsys.readouterr().out
    assert f"{name} {entry.sha256[:12]}…" in said
    assert "CPU milliseconds, one thread: " in said
    assert main(["convert", *arguments, "--only", "lightqnet-025", "--measure"]) == 5
    assert "lightqnet-025.tflite is not there" in capsys.readouterr().err

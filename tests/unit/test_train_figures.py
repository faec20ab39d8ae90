"""What a training tells of itself: pairs, journals, curves."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from device.errors import PictureError
from tools.lab.main import main
from tools.lab.train import curves, pairs
from tools.lab.train.journal import Journal


def unit(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_pairs_that_a_threshold_parts_are_all_judged_rightly():
    templates = unit(np.array([0.0, 0.1, 1.5, 1.6]))
    same = np.array([[0, 1], [2, 3]] * 20)
    other = np.array([[0, 2], [1, 3]] * 20)
    both = np.concatenate([same, other])
    assert pairs.accuracy(templates, both, np.arange(80) < 40) == 1.0


def test_templates_that_say_nothing_judge_half_of_the_pairs():
    templates = unit(np.random.default_rng(1).uniform(0, 6.28, 4000))
    both = np.arange(4000).reshape(2000, 2)
    assert 0.44 < pairs.accuracy(templates, both, np.arange(2000) % 2 == 0) < 0.56


def test_pairs_are_read_as_indices(tmp_path):
    (tmp_path / "p.csv").write_text("file_a,file_b,same,origin\nb.png,a.png,1,x\na.png,c.png,0,x\n")
    files, both, same = pairs.read_pairs(tmp_path / "p.csv")
    assert files == ["a.png", "b.png", "c.png"]
    assert both.tolist() == [[1, 0], [0, 2]]
    assert same.tolist() == [True, False]


@pytest.mark.parametrize("content", ["", "file_a,same\nx,1\n", None])
def test_a_list_that_is_none_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "p.csv").write_text(content)
    if content == "":
        assert pairs.read_pairs(tmp_path / "p.csv")[0] == []
        return
    with pytest.raises(PictureError, match=r"p\.csv is no list of pairs"):
        pairs.read_pairs(tmp_path / "p.csv")


def test_the_crop_shows_the_middle_of_a_source():
    source = np.zeros((1, 160, 160, 3), np.uint8)
    source[0, 79:81, 79:81] = 255
    crop = pairs.crops_of(source)[0, ..., 0].astype(float)
    y, x = np.indices(crop.shape)
    assert (crop * x).sum() / crop.sum() == pytest.approx(63.5, abs=0.02)
    assert (crop * y).sum() / crop.sum() == pytest.approx(63.5, abs=0.02)


def test_a_journal_goes_on_where_the_training_does(tmp_path):
    path = tmp_path / "journal.jsonl"
    first = Journal(path, samples=0)
    for count in (100, 200, 300):
        first.write(samples=count, pairs=0.5)
    with path.open("a") as file:
        file.write('{"samples": 400, "pai')
    again = Journal(path, samples=200)
    again.write(samples=250, pairs=0.6)
    assert [line["samples"] for line in Journal.read(path)] == [100, 200, 250]
    assert again.seconds >= 0


def journal(path, values):
    log = Journal(path, samples=0)
    for number, value in enumerate(values):
        log.write(samples=1000 * (number + 1), pairs=value)
    return path


def test_curves_are_drawn_as_a_picture(tmp_path, capsys):
    journal(tmp_path / "a.jsonl", [0.5, 0.7, 0.8])
    journal(tmp_path / "b.jsonl", [0.5, 0.6])
    out = tmp_path / "curves.svg"
    line = ["train", "curves", f"all <of> it={tmp_path / 'a.jsonl'}", f"{tmp_path / 'b.jsonl'}"]
    assert main([*line, "--out", str(out)]) == 0
    drawn = ET.fromstring(out.read_text())
    texts = [each.text for each in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert "all <of> it" in texts
    assert "0.8000 after 3,000 samples" in capsys.readouterr().out


def test_a_flat_curve_can_be_drawn():
    ET.fromstring(curves.picture({"x": [(1000.0, 0.5), (2000.0, 0.5)]}, "pairs"))


def test_a_journal_without_the_figure_is_refused(tmp_path, capsys):
    (tmp_path / "j.jsonl").write_text('{"samples": 1}\n')
    line = ["train", "curves", str(tmp_path / "j.jsonl"), "--out", str(tmp_path / "c.svg")]
    assert main(line) > 0
    assert 'has no line with "pairs"' in capsys.readouterr().err
    assert not (tmp_path / "c.svg").exists()

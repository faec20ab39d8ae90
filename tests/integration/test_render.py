"""A data set of people who do not exist: drawn, the same again, and fit to be evaluated."""

import json
import os
import subprocess

import pytest

from tools.lab.evaluate.detection import boxes_in
from tools.lab.evaluate.plan import REQUIRED_COLUMNS, made_up, plan_of
from tools.lab.main import main
from tools.lab.manifest import read_manifest_file


def draw(out, people, strangers):
    return main(["render", f"--out={out}", f"--people={people}", f"--strangers={strangers}"])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    out = tmp_path_factory.mktemp("drawn") / "set"
    assert draw(out, 3, 4) == 0
    return out


def test_everybody_has_their_place(drawn):
    items = read_manifest_file(drawn / "manifest.csv", REQUIRED_COLUMNS)
    plan = plan_of(items, drawn / "manifest.csv")
    assert len(plan.gallery) == 3
    assert len(plan.mated) == 18
    assert {item.subset for item in plan.mated} >= {"calm", "turned", "street"}
    assert len({item.identities for item in plan.non_mated}) == len(plan.non_mated) == 4
    assert plan.negatives
    assert plan.groups
    assert not plan.left_out
    assert all(made_up(item) for item in items)


def test_boxes_belong_to_groups(drawn):
    boxes = boxes_in(drawn / "boxes.csv")
    assert {box.path.parent.name for box in boxes} == {"group"}
    assert all(box.path.is_file() for box in boxes)


def test_the_same_people_are_drawn_again(drawn, tmp_path):
    assert draw(tmp_path / "again", 1, 1) == 0
    for name in ("gallery/person-00000.png", "probe/person-00000-street.png"):
        assert (tmp_path / "again" / name).read_bytes() == (drawn / name).read_bytes()


def test_a_data_set_is_not_drawn_over(drawn, capsys):
    before = (drawn / "manifest.csv").read_bytes()
    assert draw(drawn, 1, 1) == 9
    assert "holds a data set already" in capsys.readouterr().err
    assert (drawn / "manifest.csv").read_bytes() == before


@pytest.mark.parametrize(("people", "strangers"), [(0, 1), (1, 0), (5001, 1)])
def test_impossible_numbers_are_refused(tmp_path, capsys, people, strangers):
    assert draw(tmp_path / "set", people, strangers) == 2
    assert "takes a number from" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def evaluate(command, drawn, out, hash_seed):
    """Run the program in a process of its own, with sets and dictionaries in another order."""
    done = subprocess.run(
        [command("passerby-lab"), "evaluate", "--manifest", drawn, "--json", out, "--sizes=2,6"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out.read_bytes()


def test_the_operational_models_evaluate_it_and_again_to_the_last_digit(
    drawn, models, command, tmp_path
):
    del models
    first = evaluate(command, drawn, tmp_path / "e.json", "1")
    assert evaluate(command, drawn, tmp_path / "again.json", "2") == first
    figures = json.loads(first)
    assert figures["data"]["gallery_people"] == 3
    assert figures["data"]["made_up_probes_apart"] == 0
    assert figures["fte"]["all"]["events"] == 0
    assert figures["detection"]["recall"]["trials"] >= 1
    sizes = {f["list_size"]: f["imposed"] for f in figures["identification"]}
    assert sizes[3] == 0

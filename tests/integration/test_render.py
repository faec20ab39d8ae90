"""A data set of people who do not exist: drawn, the same again, and fit to be evaluated."""

import json
import os
import subprocess

import pytest

from device.bundles import load_list
from device.matching import Gallery
from device.recognition import limits_for
from device.search import Searcher
from device.vision import Eye
from tools.desk.main import main as desk
from tools.lab.demo_people import ENROLLED, STRANGERS
from tools.lab.evaluate.detection import boxes_in
from tools.lab.evaluate.looks import crops_of
from tools.lab.evaluate.material import subject_of
from tools.lab.evaluate.pipeline import Chosen, Pipeline
from tools.lab.evaluate.plan import REQUIRED_COLUMNS, made_up, plan_of
from tools.lab.main import _parser, main
from tools.lab.manifest import read_manifest_file
from tools.lab.people.pool import TRAINED_ON


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


@pytest.mark.parametrize("collection", ["operational", "built-in"])
def test_the_evaluation_sees_what_the_device_sees(drawn, models, collection, tmp_path):
    """Enrolment and search by the programs' own code, against the evaluation's pipeline."""
    pipeline = Pipeline.open(models, collection, Chosen())
    chosen = pipeline.settings.models
    out = tmp_path / "list.bin"
    names = [f"--detector={chosen.detector}", f"--embedder={chosen.embedder}"]
    assert desk(["enrol", f"--photos={drawn / 'gallery'}", f"--out={out}", *names]) == 0
    listed = load_list(out)
    eye = Eye.open(models, chosen, pipeline.settings.vision)
    gallery = Gallery(listed, eye.embedder_entry.sha256)
    device = Searcher(eye, gallery, pipeline.settings)
    threshold = limits_for(pipeline.settings, eye.embedder_entry).threshold
    pictures = sorted((drawn / "gallery").iterdir())
    templates = [pipeline.enrol(path).template for path in pictures]
    assert [r.templates for r in listed.references] == [[t] for t in templates if t]
    ours = pipeline.gallery([[template] for template in templates])
    compared = 0
    for path in [*sorted((drawn / "probe").iterdir()), *sorted((drawn / "stranger").iterdir())]:
        theirs = [found.reference_id for found in device.search(path).candidates]
        subject = subject_of(pipeline.look(path))
        if subject is None or not subject.template:
            assert not theirs
            continue
        compared += 1
        hits = pipeline.search(ours, crops_of([subject], pipeline.dimension))
        mine = [pictures[hits.best[0]].stem] if hits.scores[0] >= threshold else []
        assert mine == theirs
    assert compared >= 15


def test_whoever_is_drawn_by_default_taught_no_model():
    options = _parser().parse_args(["render", "--out", "x"])
    furthest = options.seed + 5000 + 50_000
    assert not set(range(options.seed, furthest)) & set(TRAINED_ON)
    for seed in (*ENROLLED.values(), *STRANGERS):
        assert seed not in TRAINED_ON


def test_people_who_taught_a_model_are_said_to_be_such(tmp_path, capsys):
    few = ["render", "--people", "2", "--strangers", "1", "--out"]
    assert main([*few, str(tmp_path / "a"), "--seed", str(TRAINED_ON.start - 2)]) == 0
    assert "1 of them taught the built-in embedder" in capsys.readouterr().out
    assert main([*few, str(tmp_path / "b")]) == 0
    assert "of them taught" not in capsys.readouterr().out

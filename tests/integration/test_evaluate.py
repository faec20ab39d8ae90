"""`passerby-lab evaluate`, from a manifest to its three files, and again to the last digit.

Most of it runs in the street of coloured squares: real pictures through stand-in models, so that it
needs neither models nor faces.
"""

import json
import stat
import subprocess

import jsonschema
import numpy as np
import pytest
from PIL import Image

from device.errors import ModelError
from device.vision import Catalogue
from tests.conftest import ROOT
from tests.simulators import street
from tools.lab.evaluate.pipeline import Chosen, Pipeline
from tools.lab.main import main

ENROLLED = [f"secret-{hue:03}" for hue in range(0, 180, 12)]
HEAD = "file,identity,role,source_set,subset,gender,age,licence_class,notes"


def draw(path, *people):
    pixels = street.picture(people, 0)
    Image.fromarray(pixels[..., ::-1]).save(path)


def hue_of(name):
    return int(name.rpartition("-")[2])


def build(folder):
    """Make a data set: 15 enrolled people with two probes, 45 strangers, one of everything else."""
    folder.mkdir()
    rows = []

    def add(file, identity, role, *people, **said):
        draw(folder / file, *people)
        said = {"source_set": "town", "subset": "", "gender": "", "age": "", **said}
        rows.append(
            f"{file},{identity},{role},{said['source_set']},{said['subset']},{said['gender']},"
            f"{said['age']},{said.get('licence_class', 'A')},{said.get('notes', '')}"
        )

    for name in ENROLLED:
        hue = hue_of(name)
        add(f"{name}.png", name, "gallery", street.Person(hue, 200), gender="female")
        add(f"{name}-p.png", name, "probe", street.Person(hue, 90), subset="day", gender="female")
        far = street.Person((hue + 1) % 180, 90, size=70)
        add(f"{name}-q.png", name, "probe", far, subset="night", gender="female")
    for number in range(45):
        hue = (6 + 12 * number + number // 15) % 180
        person = street.Person(hue, 100 + number, size=60 + number % 20)
        add(f"other-{number}.png", f"hidden-{number}", "probe", person, gender="male", age="33")
    add("tiny.png", ENROLLED[0], "probe", street.Person(0, 90, size=30), subset="<i>far")
    add("rain.png", ENROLLED[1], "probe", subset="rain", notes="simulated")
    add("empty.png", "", "negative")
    add("stray.png", "", "negative", street.Person(77, 300))
    add("two.png", "", "group", street.Person(10, 50), street.Person(90, 350))
    add("paper.png", ENROLLED[2], "spoof", street.Person(24, 250, paper=True), subset="print")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    rows.append(f"broken.jpg,{ENROLLED[3]},probe,town,day,female,,A,")
    (folder / "manifest.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    (folder / "boxes.csv").write_text("file,x,y,w,h\ntwo.png,50,100,80,80\ntwo.png,350,100,80,80\n")
    lines = [f"{a}.png,{a}-p.png,1" for a in ENROLLED]
    lines += [f"{a}.png,{b}-p.png,0" for a, b in zip(ENROLLED, ENROLLED[5:], strict=False)]
    (folder / "pairs.csv").write_text("\n".join(["file_a,file_b,same", *lines]) + "\n")
    return folder


@pytest.fixture
def town(tmp_path):
    return build(tmp_path / "town")


def enter_the_street(patch):
    settings = street.settings("none")

    def opened(_catalogue, _collection, _named):
        return Pipeline(street.eye(settings), settings)

    patch.setattr(Pipeline, "open", opened)


@pytest.fixture
def in_the_street(monkeypatch):
    enter_the_street(monkeypatch)


def evaluate(town, out, *more):
    out.mkdir()
    names = [f"--{kind}={out / name}" for kind, name in OUTPUTS.items()]
    code = main(["evaluate", f"--manifest={town / 'manifest.csv'}", *names, *more])
    return code, {kind: (out / name) for kind, name in OUTPUTS.items()}


OUTPUTS = {"json": "e.json", "html": "e.html", "statement": "s.json"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The town evaluated once, for all tests that only read."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        enter_the_street(patch)
        code, files = evaluate(build(folder / "town"), folder / "out", "--sizes=5,40,500")
    assert code == 0
    return json.loads(files["json"].read_text()), files


def test_a_rerun_gives_the_same_to_the_last_digit(town, made, in_the_street, tmp_path):
    _, first = made
    code, second = evaluate(town, tmp_path / "again", "--sizes=5,40,500")
    assert code == 0
    for kind in OUTPUTS:
        assert first[kind].read_bytes() == second[kind].read_bytes()


def test_the_files_are_what_their_schemas_say(made):
    _, files = made
    for kind, name in (("json", "evaluation"), ("statement", "threshold-statement")):
        schema = json.loads((ROOT / f"docs/schemas/{name}.schema.json").read_text())
        jsonschema.validate(json.loads(files[kind].read_text()), schema)


def test_the_statement_is_the_one_of_the_evaluation(made):
    figures, files = made
    assert json.loads(files["statement"].read_text()) == figures["statement"]


def test_nobody_can_be_told_from_what_is_written(made):
    _, files = made
    for file in files.values():
        text = file.read_text()
        assert "secret-" not in text
        assert "hidden-" not in text
        assert "<img" not in text
        assert "data:image" not in text


def test_the_page_needs_nothing_from_elsewhere(made):
    _, files = made
    page = files["html"].read_text()
    outside = page.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in outside
    assert "<script" not in page
    assert "src=" not in page
    assert page.count("<svg") == page.count("</svg>") >= 2
    assert "not evaluated" in page


def test_what_the_manifest_says_is_text_and_never_markup(made):
    page = made[1]["html"].read_text()
    assert "&lt;i&gt;far" in page
    assert "<i>" not in page


def test_everybody_is_counted_where_they_belong(made):
    data = made[0]["data"]
    assert (data["gallery_people"], data["gallery_pictures"]) == (15, 15)
    assert (data["mated_probes"], data["mated_people"]) == (32, 15)
    assert (data["non_mated_probes"], data["non_mated_people"]) == (45, 45)
    assert data["made_up_probes_apart"] == 1
    assert (data["negative_pictures"], data["group_pictures"], data["attack_pictures"]) == (2, 1, 1)
    assert data["unreadable_pictures"] == 1


def test_who_could_not_be_acquired_is_missed_and_the_reason_is_told(made):
    fta = made[0]["fta"]
    assert (fta["all"]["events"], fta["all"]["trials"]) == (2, 77)
    assert fta["reasons"]["the picture cannot be read"] == 1
    assert fta["reasons"]["no face was found"] == 1
    whole = next(f for f in made[0]["identification"] if f["whole_gallery"])
    point = whole["points"][0]
    # 30 probes find their reference; the tiny and the broken one are missed at any threshold.
    assert (point["tpir"]["events"], point["tpir"]["trials"]) == (30, 32)
    assert (point["fnir"]["events"], whole["rank_1"]["events"]) == (2, 30)
    assert point["fpir"]["events"] == 0


def test_lists_of_the_wanted_sizes_are_searched(made):
    sizes = {f["list_size"]: f for f in made[0]["identification"]}
    assert sorted(sizes) == [5, 15, 40]
    assert sizes[5]["imposed"] == sizes[15]["imposed"] == 0
    assert sizes[40]["imposed"] == 25
    assert sizes[40]["non_mated_searches"] == 45
    (missing,) = made[0]["missing_sizes"]
    assert missing["list_size"] == 500
    assert "others are too few to fill a list of 500" in missing["why"]


def test_so_few_strangers_can_sign_nothing(made):
    for threshold in made[0]["statement"]["thresholds"]:
        assert threshold["supported"] is False
        assert threshold["threshold_upper_bound"] is None
        assert threshold["independent_non_mated_passes"] == 45
        assert "Nothing may be signed" in threshold["words"]


def test_groups_that_the_manifest_does_not_name_are_not_evaluated(made):
    by = {(d["attribute"], d["target_fpir"]): d for d in made[0]["differentials"]}
    assert by["ethnicity", 0.01]["groups"] == []
    female, male = by["gender", 0.01]["groups"]
    assert female["fpir"]["state"] == "not evaluated"
    assert female["fnir"]["state"] == "not evaluated"
    assert male["fpir"]["state"] == "evaluated"
    assert male["fnir"]["state"] == "not evaluated"
    assert by["age", 0.01]["groups"][0]["group"] == "30 to 44"


def test_detection_pairs_and_attacks_are_evaluated(made):
    figures = made[0]
    assert figures["detection"]["recall"]["events"] == 2
    assert figures["detection"]["false_per_picture"] == 0.5
    assert figures["pairs"]["accuracy"]["value"] == 1.0
    assert (figures["pairs"]["same"], figures["pairs"]["different"]) == (15, 10)
    assert figures["attacks"]["detector"] == "no PAD"
    assert figures["attacks"]["types"][0]["apcer"]["state"] == "not evaluated"


def test_a_condition_of_few_people_is_not_evaluated(made):
    conditions = {(c["kind"], c["name"]): c for c in made[0]["conditions"]}
    assert conditions["subset", "night"]["rank_1"]["value"] == 1.0
    assert conditions["subset", "<i>far"]["fta"]["state"] == "not evaluated"
    assert conditions["subset", "rain"]["made_up"] is True
    assert conditions["source_set", "town"]["people"] == 60


def test_a_manifest_of_other_people_needs_three_columns(town, in_the_street, tmp_path):
    manifest = town / "manifest.csv"
    rows = [line.split(",")[:3] for line in manifest.read_text().splitlines()]
    manifest.write_text("\n".join(",".join(row) for row in rows) + "\n")
    (town / "boxes.csv").unlink()
    (town / "pairs.csv").unlink()
    code, files = evaluate(town, tmp_path / "out")
    assert code == 0
    figures = json.loads(files["json"].read_text())
    assert figures["conditions"] == []
    assert figures["pairs"]["state"] == "not evaluated"
    assert figures["detection"]["recall"]["state"] == "not evaluated"


def forbidden(*_):
    raise AssertionError("looked again")


def test_the_cache_is_private_and_changes_nothing(town, made, in_the_street, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    for name in ("first", "second"):
        _, files = evaluate(town, tmp_path / name, "--sizes=5,40,500", f"--cache={cache}")
        assert files["json"].read_bytes() == made[1]["json"].read_bytes()
        assert stat.S_IMODE(cache.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in cache.iterdir()} == {0o600}
        # The second time nothing is looked at any more.
        monkeypatch.setattr(Pipeline, "look", forbidden)
        monkeypatch.setattr(Pipeline, "enrol", forbidden)


def test_a_cache_that_others_may_enter_is_refused(town, in_the_street, tmp_path, capsys):
    (tmp_path / "open").mkdir(mode=0o755)
    code, _ = evaluate(town, tmp_path / "out", f"--cache={tmp_path / 'open'}")
    assert code == 9
    assert "Others may enter the cache" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--sizes=few"], 2, "takes whole numbers"),
        (["--sizes=1"], 2, "takes numbers from 2"),
        (["--pairs=none.csv"], 4, "cannot be read"),
        (["--json=none/e.json"], 9, "does not exist; make it first"),
    ],
)
def test_a_wrong_argument_is_one_sentence(  # noqa: PLR0913, PLR0917 - what is asked, what is said
    town, tmp_path, capsys, options, code, sentence
):
    assert evaluate(town, tmp_path / "out", *options)[0] == code
    written = capsys.readouterr().err
    assert sentence in written
    assert written.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_without_an_output_nothing_is_done(town, capsys):
    assert main(["evaluate", f"--manifest={town}"]) == 2
    assert "Name at least one of --json" in capsys.readouterr().err


def test_a_collection_without_a_model_is_one_sentence():
    with pytest.raises(ModelError, match="names no built-in detector"):
        Pipeline.open(Catalogue(ROOT / "models", []), "built-in", Chosen())


def test_a_model_of_another_collection_is_refused(tmp_path):
    stand_in = street.entry("detector")
    with pytest.raises(ModelError, match="is built-in, not operational: say --models built-in"):
        Pipeline.open(
            Catalogue(tmp_path, [stand_in, street.entry("embedder")]),
            "operational",
            Chosen(detector=stand_in.name, embedder="stand-in-embedder"),
        )


def test_two_files_of_pairs_ask_for_one(town, tmp_path, capsys):
    (town / "pairs2.csv").write_text("file_a,file_b,same\n")
    assert evaluate(town, tmp_path / "out")[0] == 2
    assert "name one of them with --pairs" in capsys.readouterr().err


def test_real_people_are_evaluated_by_the_program(faces, models, command, tmp_path):
    """The consenting London set and the strangers from Canada; nothing of it is shown."""
    rows = (faces / "manifest.csv").read_text("utf-8").splitlines()
    wanted = [row for row in rows if row.startswith(("file,", "london/", "canada/"))]
    (tmp_path / "manifest.csv").write_text("\n".join(wanted) + "\n", "utf-8")
    for name in ("london", "canada"):
        (tmp_path / name).symlink_to(faces / name)
    out = tmp_path / "e.json"
    line = [command("passerby-lab"), "evaluate", "--manifest", tmp_path / "manifest.csv"]
    done = subprocess.run(
        [*line, "--json", out, "--sizes", "20"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads(out.read_text())
    assert figures["data"]["gallery_people"] == 51
    assert figures["fte"]["all"]["events"] == 0
    whole = next(f for f in figures["identification"] if f["whole_gallery"])
    assert whole["rank_1"]["events"] == 51
    assert whole["points"][0]["tpir"]["events"] == 51
    assert whole["points"][0]["tpir"]["low"] == pytest.approx(1 - 3 / 51)
    assert figures["statement"]["models"][1]["role"] == "embedder"
    assert np.isfinite(figures["statement"]["thresholds"][0]["threshold"])

"""The real programs with bad input: an exit code, one sentence that names the file, no traceback.

All pictures are noise or drawn; the watchlist holds random vectors.
"""

import contextlib
import hashlib
import json
import os
import shutil
import socket
import stat
import subprocess

import msgspec
import numpy as np
import pytest
from PIL import Image

from device.bundles import load_list
from device.configuration import DEFAULT_PATH
from device.opencv import cv2
from device.protocol.keys import PrivateKeys, decode_public_keys, encode_keys
from device.protocol.watchlist import DemonstrationList, Reference, encode_list

SITE = {"site": "site-1", "id": "door-1"}


def toml(tables):
    """Write nested dictionaries as TOML; what JSON writes for these values is TOML too."""
    return "\n".join(
        f"[{name}]\n" + "\n".join(f"{key} = {json.dumps(value)}" for key, value in table.items())
        for name, table in tables.items()
    )


def noise(path, width=320, height=240, **options):
    pixels = np.random.default_rng(3).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path, **options)
    return path


def drawn_face():
    """A drawn face, 480 × 480 BGR, that the detector takes for one; it is nobody's."""
    picture = np.full((480, 480, 3), (150, 140, 120), np.uint8)

    def oval(place, size, colour, line=-1):
        cv2.ellipse(picture, place, size, 0, 0, 360, colour, line, cv2.LINE_AA)

    oval((240, 470), (190, 110), (90, 60, 40))
    oval((240, 220), (125, 165), (30, 40, 50))
    oval((240, 360), (45, 60), (120, 150, 190))
    oval((240, 255), (105, 140), (140, 170, 215))
    for side in (-1, 1):
        x = 240 + 45 * side
        oval((x, 220), (22, 10), (245, 245, 245))
        oval((x, 220), (10, 10), (40, 50, 70))
        oval((x, 220), (4, 4), (0, 0, 0))
        oval((x, 192), (28, 4), (40, 45, 60))
        oval((240 + 14 * side, 285), (6, 4), (70, 90, 130))
    oval((240, 282), (22, 10), (115, 145, 190), 4)
    oval((240, 325), (38, 13), (90, 90, 180))
    oval((240, 325), (38, 2), (50, 50, 110))
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.5)
    grain = np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.clip(blurred + grain, 0, 255).astype(np.uint8)


def draw_face(path):
    Image.fromarray(drawn_face()[..., ::-1]).save(path)
    return path


def make_clip(path, frames=12, picture=None):
    """Write a clip that stands still; without `picture` one of coarse noise."""
    if picture is None:
        coarse = np.random.default_rng(5).integers(0, 256, (12, 16, 3), np.uint8)
        picture = cv2.resize(coarse, (320, 240), interpolation=cv2.INTER_LINEAR)
    size = (picture.shape[1], picture.shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10.0, size)
    assert writer.isOpened()
    for _ in range(frames):
        writer.write(picture)
    writer.release()
    return path


def cut(path, share=0.5):
    """End a file early, as a full memory stick does."""
    os.truncate(path, int(path.stat().st_size * share))
    return path


def make_list(path, embedder_sha256, references=3):
    vectors = np.random.default_rng(11).normal(size=(references, 256)).astype("<f4")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    watchlist = DemonstrationList(
        list_id="0190a1b2-0000-7000-8000-000000000000",
        version=1,
        created_at="2026-11-22T08:00:00.000Z",
        embedder="omz-0095",
        embedder_sha256=embedder_sha256,
        dimension=256,
        references=[Reference(f"r-{n}", [row.tobytes()]) for n, row in enumerate(vectors)],
    )
    path.write_bytes(encode_list(watchlist))
    return path


class Bench:
    """A folder with all that a program needs, and the program."""

    def __init__(self, folder, models, command):
        self.folder = folder
        self.models = models
        self._command = command
        sha256 = models.entry("omz-0095", "embedder").sha256
        self.watchlist = make_list(folder / "random.list", sha256)
        self.state = folder / "state"
        (folder / "desk.pub").write_bytes(encode_keys(PrivateKeys.generate().public))

    def run(self, program, *arguments):
        environment = os.environ | {
            "XDG_STATE_HOME": str(self.folder / "xdg"),
            "HOME": str(self.folder / "home"),
            "COLUMNS": "200",
        }
        return subprocess.run(
            [self._command(program), *map(str, arguments)],
            capture_output=True,
            text=True,
            errors="surrogateescape",
            check=False,
            cwd=self.folder,
            env=environment,
        )

    def config(self, **changes):
        """Write a working configuration with changes: `table={key: value}`, None leaves out."""
        tables = {
            "device": {**SITE, "state_directory": "state", "demonstration": True},
            "camera": {"kind": "video", "path": "clip.avi", "pace": "fast"},
            "watchlist": {"path": self.watchlist.name},
            "broker": {"host": "127.0.0.1", "port": 9, "tls": False},
            "desk": {"public_keys": "desk.pub"},
            "alerts": {"drain_s": 0, "cover": "off"},
        }
        for name, table in changes.items():
            tables[name] = {**tables.get(name, {}), **table}
        path = self.folder / "device.toml"
        path.write_text(toml(tables), "utf-8")
        return path

    def match(self, *arguments, config=None):
        """`passerby match` with purpose and case, where `arguments` do not say otherwise."""
        return self.run(
            "passerby",
            "match",
            f"--config={config or self.config()}",
            f"--watchlist={self.watchlist}",
            "--purpose=a test",
            "--case=T-1",
            *arguments,
        )

    def audit(self):
        path = self.state / "audit.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def assert_refused(result, code, *names):
    """The exit code, one sentence that holds every name, and nothing that only a programmer reads.

    Returns what was said on standard error.
    """
    assert result.returncode == code, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("passerby")
    assert last.endswith((".", "?"))
    for name in names:
        assert str(name) in last
    return result.stderr


@pytest.fixture
def bench(tmp_path, models, command):
    return Bench(tmp_path, models, command)


@pytest.fixture(scope="module")
def shared_bench(tmp_path_factory, models, command):
    """For programs that need nothing but arguments."""
    return Bench(tmp_path_factory.mktemp("shared"), models, command)


# --- help -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line",
    [
        "passerby",
        "passerby run",
        "passerby match",
        "passerby doctor",
        "passerby status",
        "passerby-desk",
        "passerby-desk enrol",
        "passerby-field models fetch",
        "passerby-field models list",
        "passerby-lab",
    ],
)
def test_every_command_explains_itself(shared_bench, line):
    result = shared_bench.run(*line.split(), "--help")
    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: {line} ")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("passerby", "required: command"),
        ("passerby ran", "invalid choice: 'ran'"),
        ("passerby run", "required: --config"),
        ("passerby match --watchlist w a.jpg --case c", "required: --purpose"),
        ("passerby match --watchlist w a.jpg --purpose p", "required: --case"),
        ("passerby-desk enrol --photos x", "required: --out"),
        ("passerby status --colour", "unrecognized arguments: --colour"),
    ],
)
def test_wrong_arguments_are_refused_with_the_usage(shared_bench, line, complaint):
    result = shared_bench.run(*line.split())
    assert result.returncode == 2
    assert result.stderr.startswith("usage: passerby")
    assert complaint in result.stderr


# --- passerby run ---------------------------------------------------------------------------------


@pytest.fixture
def clip(bench):
    return make_clip(bench.folder / "clip.avi")


def test_run_without_its_configuration_is_refused(bench):
    path = bench.folder / "none.toml"
    assert_refused(bench.run("passerby", "run", "--config", path), 2, path, "does not exist")


def test_run_with_an_unknown_key_is_refused_with_the_one_that_was_meant(bench):
    path = bench.config(camera={"widht": 640})
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 2, path, '"widht"', 'did you mean "width"?')


def test_run_with_a_value_of_the_wrong_type_is_refused(bench):
    path = bench.config(camera={"width": "wide"})
    assert_refused(bench.run("passerby", "run", "--config", path), 2, path, "camera.width")


def test_run_refuses_an_unsigned_list_without_demonstration_before_anything_is_opened(bench):
    # Neither the clip nor the list is there: had it looked, it would have named them.
    path = bench.config(device={"demonstration": False}, watchlist={"path": "none.list"})
    result = bench.run("passerby", "run", "--config", path)
    said = assert_refused(result, 7, "watchlist.root is missing", "demonstration = true")
    assert "clip.avi" not in said
    assert "none.list" not in said
    assert not bench.state.exists()


def test_run_without_its_watchlist_is_refused(bench, clip):
    path = bench.config(watchlist={"path": "none.list"})
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 6, bench.folder / "none.list", "does not exist")


def test_run_with_a_cut_watchlist_is_refused(bench, clip):
    cut(bench.watchlist)
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 6, bench.watchlist, "damaged or cut")


def test_run_with_another_file_as_watchlist_is_refused(bench, clip):
    bench.watchlist.write_text("r-001,Jane Roe\n")
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 6, bench.watchlist, "no Passerby watchlist")


def test_run_with_a_list_of_another_embedder_is_refused(bench, clip):
    make_list(bench.watchlist, "ab" * 32)
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 6, "another embedder", "abababab", "enrol it again")


def test_run_with_one_changed_bit_in_a_model_is_refused(bench, clip):
    copy = bench.folder / "models"
    shutil.copytree(bench.models.directory, copy, ignore=shutil.ignore_patterns("cards"))
    model = copy / bench.models.entry("omz-0095", "embedder").file
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    path = bench.config(models={"directory": "models"})
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 5, model, "omz-0095", hashlib.sha256(content).hexdigest()[:16])


def test_run_without_its_models_is_refused(bench, clip):
    (bench.folder / "models").mkdir()
    shutil.copy(bench.models.directory / "models.toml", bench.folder / "models")
    path = bench.config(models={"directory": "models"})
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 5, "yunet-s-640x480", "passerby-field models fetch")


def test_run_with_an_unknown_model_is_refused(bench, clip):
    path = bench.config(models={"embedder": "omz-95"})
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 5, 'No embedder is called "omz-95"', "omz-0095")


def test_run_without_its_clip_ends_with_a_sentence(bench):
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 3, bench.folder / "clip.avi", "does not exist")


@pytest.mark.parametrize("content", [b"", b"This is a letter, not a clip.\n" * 100])
def test_run_with_another_file_as_clip_ends_with_a_sentence(bench, content):
    (bench.folder / "clip.avi").write_bytes(content)
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 3, bench.folder / "clip.avi", "cannot be read as a clip")


def test_run_with_a_cut_clip_compares_what_is_there_and_says_so(bench, clip):
    cut(clip)
    result = bench.run("passerby", "run", "--config", bench.config())
    assert_refused(result, 3, clip, "is cut or damaged")
    assert "ready after" in result.stderr


def test_run_without_a_path_for_its_clip_is_refused(bench):
    result = bench.run("passerby", "run", "--config", bench.config(camera={"path": ""}))
    assert_refused(result, 2, "camera.path")


def test_run_refuses_to_send_faces_over_a_network_in_the_clear(bench):
    path = bench.config(broker={"host": "broker.example", "tls": False})
    result = bench.run("passerby", "run", "--config", path)
    said = assert_refused(result, 2, "broker.example", "in the clear", "broker.tls = true")
    assert "clip.avi" not in said


def test_run_works_without_its_broker_when_there_is_nothing_to_send(bench, clip):
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        path = bench.config(broker={"port": unused.getsockname()[1]})
        result = bench.run("passerby", "run", "--config", path, "--ledger")
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr
    assert "frames processed         12" in result.stdout
    assert "alerts                    0" in result.stdout


def test_run_sees_a_face_when_it_can_log_it(bench):
    make_clip(bench.folder / "clip.avi", picture=drawn_face())
    result = bench.run("passerby", "run", "--config", bench.config(), "--ledger")
    (faces,) = (line for line in result.stdout.splitlines() if line.startswith("faces seen"))
    assert faces.split()[2] == "1"


def test_run_does_not_start_where_it_cannot_log(bench):
    make_clip(bench.folder / "clip.avi", picture=drawn_face())
    bench.state.write_text("a file where the folder should be")
    result = bench.run("passerby", "run", "--config", bench.config(), "--ledger")
    assert_refused(result, 9, bench.state, "nothing is compared without it")
    assert "faces seen" not in result.stdout


# --- passerby match -------------------------------------------------------------------------------

# Name of the input and a part of the sentence in its "error"; None where it can be read.
INPUTS = {
    "missing.jpg": "does not exist",
    "missing.avi": "does not exist",
    "letter.jpg": "is not a picture",
    "empty.jpg": "is empty",
    "cut.jpg": "is damaged or cut",
    "dot.png": "1×1 pixels: too small",
    "huge.png": "has 100 megapixels, the limit is 50",
    "vast.png": "is larger than 50 megapixels",
    "cut.avi": "is cut or damaged",
    "letter.mp4": "cannot be read as a clip",
    "notes.odt": "neither a picture nor a clip",
    "noise.jpg": None,
    "face.png": None,
    "clip.avi": None,
}
FACES = {"face.png": 1, "noise.jpg": 0}


def make_inputs(folder):
    letter = "This is a letter.\n" * 100
    for name in ("letter.jpg", "letter.mp4", "notes.odt"):
        (folder / name).write_text(letter)
    (folder / "empty.jpg").touch()
    cut(noise(folder / "cut.jpg"))
    noise(folder / "dot.png", 1, 1)
    Image.new("1", (10_000, 10_000)).save(folder / "huge.png")
    Image.new("1", (20_000, 10_000)).save(folder / "vast.png")
    cut(make_clip(folder / "cut.avi"))
    make_clip(folder / "clip.avi")
    noise(folder / "noise.jpg")
    draw_face(folder / "face.png")


@pytest.fixture(scope="module")
def searched(tmp_path_factory, models, command):
    """One search over all inputs, good and bad: the bench and what the program returned."""
    bench = Bench(tmp_path_factory.mktemp("searched"), models, command)
    make_inputs(bench.folder)
    return bench, bench.match("--json", *(bench.folder / name for name in INPUTS))


def test_match_with_bad_files_says_so_by_its_exit_code(searched):
    _, result = searched
    assert result.returncode == 4
    assert "Traceback" not in result.stderr
    assert "watchlist is unsigned" in result.stderr


def test_match_gives_one_json_object_for_every_input_in_their_order(searched):
    bench, result = searched
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert [record["file"] for record in records] == [str(bench.folder / name) for name in INPUTS]
    for record in records:
        assert isinstance(record["faces"], int)
        assert record["candidates"] == []
        assert record["purpose"] == "a test"
        assert record["case"] == "T-1"
        assert "not an identification" in record["notice"]
        assert not {"score", "margin", "template"} & set(record)


@pytest.mark.parametrize("name", list(INPUTS))
def test_match_says_what_is_wrong_with_a_file_and_compares_the_others(searched, name):
    bench, result = searched
    (record,) = (
        record
        for record in map(json.loads, result.stdout.splitlines())
        if record["file"] == str(bench.folder / name)
    )
    if INPUTS[name] is None:
        assert record["error"] is None
    else:
        assert INPUTS[name] in record["error"]
        assert str(bench.folder / name) in record["error"]
    if name in FACES:
        assert record["faces"] == FACES[name]


def test_match_logs_every_input_with_purpose_and_case(searched):
    bench, _ = searched
    lines = bench.audit()
    assert [line["details"]["file"] for line in lines] == list(INPUTS)
    asked = [(line["event"], line["details"]["purpose"], line["details"]["case"]) for line in lines]
    assert set(asked) == {("search", "a test", "T-1")}
    log = (bench.state / "audit.jsonl").read_bytes().splitlines()
    hashes = [hashlib.sha256(line).hexdigest() for line in log]
    assert [line["previous"] for line in lines] == ["0" * 64, *hashes[:-1]]


def test_match_says_it_in_words_too(bench):
    noise(bench.folder / "noise.jpg")
    result = bench.match(bench.folder / "none.jpg", bench.folder / "noise.jpg")
    assert result.returncode == 4
    assert f"error: {bench.folder / 'none.jpg'} does not exist." in result.stdout
    assert f"{bench.folder / 'noise.jpg'}: 0 faces\n  no candidate" in result.stdout
    assert "Traceback" not in result.stderr


def test_match_with_readable_files_only_ends_well(bench):
    noise(bench.folder / "noise.jpg")
    result = bench.match(bench.folder / "noise.jpg")
    assert result.returncode == 0, result.stderr


def test_match_takes_all_pictures_and_clips_of_a_folder(bench):
    inside = bench.folder / "in"
    (inside / "deeper").mkdir(parents=True)
    noise(inside / "a.jpg")
    make_clip(inside / "deeper/b.avi")
    (inside / "notes.txt").touch()
    result = bench.match("--json", inside)
    files = [json.loads(line)["file"] for line in result.stdout.splitlines()]
    assert files == [str(inside / "a.jpg"), str(inside / "deeper/b.avi")]


def test_match_with_a_folder_without_pictures_is_refused(bench):
    (bench.folder / "in").mkdir()
    (bench.folder / "in/notes.txt").touch()
    assert_refused(bench.match(bench.folder / "in"), 4, bench.folder / "in", "no pictures")


def test_match_reads_a_file_whose_name_is_not_utf8(bench):
    name = os.fsdecode(b"M\xfcller.jpg")
    noise(bench.folder / "noise.jpg").rename(bench.folder / name)
    result = bench.match("--json", name)
    assert "Traceback" not in result.stderr
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["faces"] == 0
    assert len(bench.audit()) == 1


@pytest.mark.parametrize("empty", ["--purpose=", "--purpose=  ", "--case=", "--case=\t"])
def test_match_without_a_purpose_or_a_case_is_refused_and_not_made(bench, empty):
    noise(bench.folder / "noise.jpg")
    result = bench.match(bench.folder / "noise.jpg", empty)
    assert_refused(result, 2, "--purpose and --case must say why you search")
    assert result.stdout == ""
    assert not bench.state.exists()


def test_match_on_a_device_that_is_no_demonstration_is_refused_and_not_made(bench):
    noise(bench.folder / "noise.jpg")
    config = bench.config(device={"demonstration": False})
    result = bench.match(bench.folder / "noise.jpg", config=config)
    assert_refused(result, 7, "signed watchlist only", "demonstration = true")
    assert result.stdout == ""
    assert not bench.state.exists()


def test_match_that_cannot_be_logged_is_not_made(bench):
    noise(bench.folder / "noise.jpg")
    bench.state.write_text("a file where the folder should be")
    result = bench.match(bench.folder / "noise.jpg")
    assert_refused(result, 9, bench.state / "audit.jsonl", "nothing is compared without it")
    assert result.stdout == ""


def test_match_without_its_watchlist_is_refused(bench):
    noise(bench.folder / "noise.jpg")
    bench.watchlist.unlink()
    result = bench.match(bench.folder / "noise.jpg")
    assert_refused(result, 6, bench.watchlist, "does not exist")


@pytest.mark.skipif(DEFAULT_PATH.exists(), reason=f"{DEFAULT_PATH} is on this machine")
def test_match_without_any_configuration_is_a_demonstration_that_logs_in_the_users_state(bench):
    noise(bench.folder / "noise.jpg")
    arguments = ("--watchlist", bench.watchlist, "--purpose=a test", "--case=T-1", "noise.jpg")
    result = bench.run("passerby", "match", *arguments)
    assert result.returncode == 0, result.stderr
    log = bench.folder / "xdg/passerby/audit.jsonl"
    assert json.loads(log.read_text("utf-8"))["details"]["file"] == "noise.jpg"
    assert not (bench.folder / "home").exists()


# --- passerby status, passerby doctor -------------------------------------------------------------


def test_status_before_the_first_run_is_a_sentence_with_the_folder(bench):
    result = bench.run("passerby", "status", "--config", bench.config())
    assert_refused(result, 9, bench.state, "has not run here yet")
    assert result.stdout == ""


def test_status_without_its_configuration_is_a_sentence(bench):
    path = bench.folder / "none.toml"
    assert_refused(bench.run("passerby", "status", "--config", path), 2, path)


def test_a_damaged_status_is_a_sentence_with_its_name(bench):
    bench.state.mkdir()
    (bench.state / "status.json").write_bytes(b'{"at":"2026')
    result = bench.run("passerby", "status", "--config", bench.config())
    assert_refused(result, 9, bench.state / "status.json", "restart the appliance")


def test_status_after_a_run_says_stopped(bench, clip):
    config = bench.config()
    assert bench.run("passerby", "run", "--config", config).returncode == 0
    words = bench.run("passerby", "status", "--config", config)
    assert words.returncode == 1
    assert words.stdout.startswith("state      stopped, as of 20")
    data = json.loads(bench.run("passerby", "status", "--json", "--config", config).stdout)
    assert data["status"]["state"] == "stopped"


@pytest.mark.skipif(DEFAULT_PATH.exists(), reason=f"{DEFAULT_PATH} is on this machine")
def test_doctor_without_a_configuration_checks_what_it_can(bench):
    result = bench.run("passerby", "doctor")
    lines = result.stdout.splitlines()
    assert any(line.startswith("ok    models ") for line in lines)
    assert any(line.startswith("ok    interpreter ") for line in lines)
    assert any("no configuration: camera, watchlist and broker were not" in line for line in lines)
    faults = [line for line in lines if line.startswith("FIX ")]
    assert result.returncode == (1 if faults else 0)
    assert "Traceback" not in result.stderr


def test_doctor_names_every_fault_and_goes_on_after_each(bench):
    bench.watchlist.unlink()
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        path = bench.config(broker={"port": unused.getsockname()[1]})
        result = bench.run("passerby", "doctor", "--config", path)
    faults = {
        line.split()[1]: line for line in result.stdout.splitlines() if line.startswith("FIX ")
    }
    assert result.returncode == 1
    assert str(bench.watchlist) in faults["watchlist"]
    assert str(bench.folder / "clip.avi") in faults["camera"]
    assert "127.0.0.1" in faults["broker"]
    assert "unexpected" not in result.stdout
    assert "Traceback" not in result.stderr


def test_doctor_with_a_wrong_configuration_is_refused(bench):
    path = bench.config(camera={"widht": 640})
    assert_refused(bench.run("passerby", "doctor", "--config", path), 2, path, '"widht"')


# --- passerby identity, the desk's keys -----------------------------------------------------------


def test_identity_makes_keys_once_and_writes_the_public_half(bench):
    path = bench.config()
    first = bench.run("passerby", "identity", "--config", path, "--out", "device.pub")
    second = bench.run("passerby", "identity", "--config", path)
    assert first.returncode == second.returncode == 0
    fingerprint = decode_public_keys((bench.folder / "device.pub").read_bytes()).fingerprint
    assert fingerprint in first.stdout
    assert fingerprint in second.stdout
    assert (bench.state / "identity.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "does not exist"), (b"", "public keys"), (b"x" * 10_000, "too long")],
)
def test_run_without_good_keys_of_a_desk_is_refused_before_anything_is_opened(bench, content, said):
    path = bench.config()
    (bench.folder / "desk.pub").unlink()
    if content is not None:
        (bench.folder / "desk.pub").write_bytes(content)
    result = bench.run("passerby", "run", "--config", path)
    assert_refused(result, 2, "desk.public_keys", said)


def test_run_with_a_damaged_identity_is_refused_and_does_not_replace_it(bench, clip):
    path = bench.config()
    bench.state.mkdir(exist_ok=True)
    (bench.state / "identity.key").write_bytes(b"damaged")
    assert_refused(bench.run("passerby", "run", "--config", path), 9, "identity.key", "restore")
    assert (bench.state / "identity.key").read_bytes() == b"damaged"


def test_run_with_a_damaged_outbox_goes_on_and_says_so(bench, clip):
    path = bench.config()
    bench.state.mkdir(exist_ok=True)
    (bench.state / "outbox.sqlite").write_bytes(b"damaged" * 1000)
    result = bench.run("passerby", "run", "--config", path)
    assert result.returncode == 0
    assert "outbox is damaged" in result.stderr
    assert "Traceback" not in result.stderr
    assert (bench.state / "outbox.sqlite.saved-1").exists()


def test_run_with_damaged_orders_is_refused(bench, clip):
    path = bench.config()
    bench.state.mkdir(exist_ok=True)
    (bench.state / "orders.json").write_text("{")
    assert_refused(bench.run("passerby", "run", "--config", path), 9, "orders.json", "suspended")


def test_doctor_shows_both_fingerprints_and_the_outbox(bench, clip):
    path = bench.config()
    result = bench.run("passerby", "doctor", "--config", path)
    desk = decode_public_keys((bench.folder / "desk.pub").read_bytes())
    lines = {line.split()[1]: line for line in result.stdout.splitlines() if " " in line}
    assert desk.fingerprint in lines["desk"]
    assert "none yet" in lines["outbox"]
    (bench.folder / "desk.pub").unlink()
    result = bench.run("passerby", "doctor", "--config", path)
    assert any(line.startswith("FIX   desk ") for line in result.stdout.splitlines())


# --- passerby-desk enrol --------------------------------------------------------------------------


def enrol(bench, photos, out, *more):
    return bench.run("passerby-desk", "enrol", "--photos", photos, "--out", out, *more)


@pytest.fixture
def photos(bench):
    folder = bench.folder / "photos"
    folder.mkdir()
    return folder


@pytest.fixture
def out(bench):
    return bench.folder / "new.list"


def make_garbage(folder):
    (folder / "r-1.jpg").write_text("This is a letter.\n")
    (folder / "r-2.jpg").touch()
    cut(noise(folder / "r-3.jpg"))
    noise(folder / "r-4.png", 1, 1)
    noise(folder / "r-5.png")


def test_enrol_without_its_folder_is_refused(bench, out):
    result = enrol(bench, bench.folder / "none", out)
    assert_refused(result, 6, bench.folder / "none", "is no folder")
    assert not out.exists()


def test_enrol_of_an_empty_folder_is_refused(bench, photos, out):
    assert_refused(enrol(bench, photos, out), 6, photos, "holds no photographs")
    assert not out.exists()


def test_enrol_of_garbage_reports_every_file_and_writes_no_list(bench, photos, out):
    make_garbage(photos)
    result = enrol(bench, photos, out)
    assert_refused(result, 6, photos, "no list was written")
    rejected = [line for line in result.stdout.splitlines() if line.startswith("rejected ")]
    assert [line.split()[1] for line in rejected] == [
        "r-1.jpg:",
        "r-2.jpg:",
        "r-3.jpg:",
        "r-4.png:",
        "r-5.png:",
    ]
    assert "no face was found" in rejected[-1]
    assert not out.exists()


def test_enrol_leaves_garbage_out_and_the_list_finds_who_is_on_it(bench, photos, out):
    make_garbage(photos)
    draw_face(photos / "r-6.png")
    result = enrol(bench, photos, out)
    assert result.returncode == 0, result.stderr
    assert [reference.reference_id for reference in load_list(out).references] == ["r-6"]
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    found = bench.match("--json", f"--watchlist={out}", photos / "r-6.png")
    (candidate,) = json.loads(found.stdout)["candidates"]
    assert candidate["reference_id"] == "r-6"


def test_strict_enrolment_writes_no_list_when_anything_was_rejected(bench, photos, out):
    draw_face(photos / "r-1.png")
    (photos / "r-2.jpg").touch()
    result = enrol(bench, photos, out, "--strict")
    assert_refused(result, 6, "1 photographs were rejected", "no list was written")
    assert not out.exists()


def test_enrol_into_a_folder_that_cannot_be_written_is_refused(bench, photos):
    draw_face(photos / "r-1.png")
    (bench.folder / "file").touch()
    out = bench.folder / "file/new.list"
    assert_refused(enrol(bench, photos, out), 9, out, "does not exist; make it first")


def test_enrol_with_a_report_that_cannot_be_written_is_refused(bench, photos, out):
    make_garbage(photos)
    (bench.folder / "file").touch()
    report = bench.folder / "file/report.json"
    result = enrol(bench, photos, out, "--report", report)
    assert_refused(result, 9, report, "cannot be written")
    assert not out.exists()


def test_the_report_of_an_enrolment_is_json(bench, photos, out):
    make_garbage(photos)
    report = bench.folder / "report.json"
    enrol(bench, photos, out, "--report", report)
    data = msgspec.json.decode(report.read_bytes())
    assert data["enrolled"] == []
    assert [name for name, _ in data["rejected"]] == sorted(path.name for path in photos.iterdir())


def test_enrol_of_a_photograph_whose_name_is_not_utf8_ends_with_a_sentence(bench, photos, out):
    draw_face(photos / "r-1.png").rename(photos / os.fsdecode(b"M\xfcller.png"))
    result = enrol(bench, photos, out)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert not out.exists()


def test_enrol_with_an_unknown_model_is_refused(bench, photos, out):
    draw_face(photos / "r-1.png")
    result = enrol(bench, photos, out, "--embedder", "omz-95")
    assert_refused(result, 5, 'No embedder is called "omz-95"')
    assert not out.exists()

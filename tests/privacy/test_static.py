"""What the source itself promises: no writers of pictures, no uploads, no guessing about people."""

import ast
import re
import subprocess
import sys

import pytest

from device.files import sha256_of
from device.vision import Catalogue
from tests.conftest import ROOT

DEVICE = sorted((ROOT / "device").rglob("*.py"))
# The matrix quotes the requirement that forbids the word.
DOCUMENTS = sorted(
    path
    for path in [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "models").rglob("*.md"),
    ]
    if path.name != "compliance.md"
)
ALL = sorted([*DEVICE, *(ROOT / "tools").rglob("*.py")])


def _names(path):
    """Every name, attribute and imported module of a file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
            found.update(alias.name for alias in node.names)
    return found


@pytest.mark.parametrize("path", DEVICE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_appliance_can_write_no_picture_and_no_video(path):
    forbidden = {
        "VideoWriter",
        "imwrite",
        "imwritemulti",
        "imsave",
        "tofile",
        "savez",
        "pickle",
        "shelve",
        "start_recording",
        "start_and_record_video",
        "start_encoder",
        "start_and_capture_file",
        "capture_file",
        "FfmpegOutput",
    }
    assert not _names(path) & forbidden


def test_only_an_alert_encodes_a_face():
    users = [path.name for path in DEVICE if "imencode" in _names(path)]
    assert users == ["sighting.py"]
    callers = [path.name for path in DEVICE if ".portrait(" in path.read_text("utf-8")]
    assert callers == ["appliance.py"]


def test_only_a_candidate_is_asked_about_as_an_attack():
    # Both ask after the comparison; nobody who is not near a reference is judged (R33).
    callers = [path.name for path in DEVICE if "is_attack" in _names(path)]
    assert callers == ["recognition.py", "search.py"]
    scorers = [path.name for path in DEVICE if "live_score" in _names(path)]
    assert scorers == ["attack.py"]


def test_files_are_written_in_two_places_only():
    writers = {
        str(path.relative_to(ROOT))
        for path in DEVICE
        if re.search(
            r"fdopen|\.write_(text|bytes)\(|open\([^)]*[\"'][wa]b?[\"']", path.read_text("utf-8")
        )
    }
    assert writers == {"device/files.py", "device/audit/log.py"}


HTTP = {"urllib", "http", "requests", "httpx", "aiohttp"}


def _speaks_http(path):
    return any(name.split(".")[0] in HTTP for name in _names(path))


def test_the_appliance_has_no_http_client_and_enrolment_neither():
    for path in [*DEVICE, *sorted((ROOT / "tools/desk").glob("*.py"))]:
        assert not _speaks_http(path), path
    # The gateway hands opened alerts to the desk's own webhook; its settings check the address.
    speakers = [
        p.name for p in sorted((ROOT / "tools/desk/gateway").glob("*.py")) if _speaks_http(p)
    ]
    assert speakers == ["configuration.py", "webhook.py"]


def test_the_gateway_does_not_carry_the_room_that_sees_faces():
    code = "import sys, tools.desk.main, tools.desk.serve; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    assert "sqlalchemy" in loaded
    assert not {"cv2", "numpy", "device.vision", "device.capture"} & set(loaded)


def _words(name):
    """The words of an identifier: `EmotionModel` and `guess_emotion` both hold "emotion"."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


# An evaluation must tell for whom the device is wrong (R30), so the lab reads what people said of
# themselves from a manifest; and the renderer draws people of an age that it is told. Neither looks
# at a face to guess it, and neither runs on a device, at a desk or in the field.
_TOLD_NOT_GUESSED = ("tools/lab/evaluate/", "tools/lab/people/", "tools/lab/manifest.py")


def test_nothing_infers_what_people_are():
    always = {"emotion", "sex", "race", "gait", "cluster"}
    told = {"gender", "ethnicity", "age"}
    for path in ALL:
        exempt = str(path.relative_to(ROOT)).startswith(_TOLD_NOT_GUESSED)
        forbidden = always if exempt else always | told
        found = {name for name in _names(path) if _words(name) & forbidden}
        assert not found, (path, found)


def test_only_the_lab_may_name_what_people_said_of_themselves():
    assert all(place.startswith("tools/lab/") for place in _TOLD_NOT_GUESSED)


def test_the_words_of_an_identifier_are_seen():
    assert "emotion" in _words("guess_emotion") & _words("EmotionModel")
    assert "age" in _words("estimate_age")
    assert "age" not in _words("message")


@pytest.mark.parametrize("path", ALL, ids=lambda path: str(path.relative_to(ROOT)))
def test_nobody_is_called_identified_or_a_suspect(path):
    text = path.read_text("utf-8").lower()
    assert "suspect" not in text.replace("suspects", "suspect")
    assert not re.search(r"\bidentified\b", text)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_documents_keep_to_the_words(path):
    text = path.read_text("utf-8").lower()
    assert "suspect" not in text
    assert not re.search(r"\bidentified\b", text)


SMALL_PICTURE_BYTES = 400_000


def _is_ours(path):
    """A model trained here and named by its hash, or a small picture of rendered people."""
    place = path.relative_to(ROOT)
    if place.parent.as_posix() == "docs/pictures" and path.suffix == ".png":
        return path.stat().st_size <= SMALL_PICTURE_BYTES
    entries = Catalogue.read(ROOT / "models").entries
    hashes = {entry.file: entry.sha256 for entry in entries if entry.collection == "built-in"}
    name = f"built-in/{path.name}"
    return (
        place.parent.as_posix() == "models/built-in"
        and path.suffix == ".tflite"
        and name in hashes
        and sha256_of(path) == hashes[name]
    )


def test_the_repository_holds_no_photograph_and_no_foreign_weights():
    suffixes = {".jpg", ".jpeg", ".png", ".mp4", ".mkv", ".tflite", ".onnx", ".pth", ".bin", ".pb"}
    ignored = {".git", "models/operational"}
    found = [
        path
        for path in ROOT.rglob("*")
        if path.suffix.lower() in suffixes
        and not any(
            part.startswith(".venv") or part.endswith("-output")
            for part in path.relative_to(ROOT).parts
        )
        and not any(str(path.relative_to(ROOT)).startswith(folder) for folder in ignored)
        and not _is_ours(path)
    ]
    assert found == []


def test_a_model_that_the_catalogue_does_not_name_is_not_ours():
    assert not _is_ours(ROOT / "models/built-in/stranger.tflite")
    assert not _is_ours(ROOT / "models/operational/stranger.tflite")
    assert not _is_ours(ROOT / "docs/face.png")
    assert not _is_ours(ROOT / "docs/pictures/face.jpg")


def test_no_actuation_topic_exists():
    text = (ROOT / "device/protocol/topics.py").read_text("utf-8")
    kinds = re.search(r"Kind = Literal\[(.*?)\]", text, re.DOTALL).group(1)
    known = {"alert", "status", "receipt", "command", "record", "request", "bundle"}
    assert set(re.findall(r'"(\w+)"', kinds)) == known

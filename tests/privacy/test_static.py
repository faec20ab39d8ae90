"""What the source itself promises: no writers of pictures, no uploads, no guessing about people."""

import ast
import re

import pytest

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
    callers = [path.name for path in DEVICE if ".portrait()" in path.read_text("utf-8")]
    assert callers == ["appliance.py"]


def test_files_are_written_in_two_places_only():
    writers = {
        str(path.relative_to(ROOT))
        for path in DEVICE
        if re.search(
            r"fdopen|\.write_(text|bytes)\(|open\([^)]*[\"'][wa]b?[\"']", path.read_text("utf-8")
        )
    }
    assert writers == {"device/files.py", "device/audit/log.py"}


def test_the_appliance_has_no_http_client_and_enrolment_neither():
    for path in [*DEVICE, *sorted((ROOT / "tools/desk").rglob("*.py"))]:
        assert not any(
            name.split(".")[0] in {"urllib", "http", "requests", "httpx", "aiohttp"}
            for name in _names(path)
        ), path


def _words(name):
    """The words of an identifier: `EmotionModel` and `guess_emotion` both hold "emotion"."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def test_nothing_infers_what_people_are():
    forbidden = {"emotion", "gender", "sex", "ethnicity", "race", "gait", "cluster", "age"}
    for path in ALL:
        found = {name for name in _names(path) if _words(name) & forbidden}
        assert not found, (path, found)


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


def test_the_repository_holds_no_photograph_and_no_weights():
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
    ]
    assert found == []


def test_no_actuation_topic_exists():
    text = (ROOT / "device/protocol/topics.py").read_text("utf-8")
    kinds = re.search(r"Kind = Literal\[(.*?)\]", text, re.DOTALL).group(1)
    assert set(re.findall(r'"(\w+)"', kinds)) == {"alert", "status", "receipt", "command", "record"}

"""Every log line that the appliance can write is in a table, and no word of it comes from a face.

The table is the closed list: file, level, message, and what each argument is. A call that is not in
it, or an argument of a kind that is not harmless, fails; so does a line of another shape in a run.
"""

import ast
import logging
import subprocess
import sys

import pytest

from device import recognition
from device.alerts.outbox import DamagedOutboxError
from device.bundles.refusal import BundleError
from device.errors import PasserbyError
from tests.conftest import ROOT
from tests.simulators.run_small import Trouble, run_small
from tests.simulators.street import Person

LEVELS = {"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"}
CASTS = {"exception": "ERROR", "warn": "WARNING", "fatal": "CRITICAL"}

KINDS = {
    "sentence": "made by this program for a technician; who makes it puts no face's data in",
    "type": "name of an exception's class",
    "frames": "how many frames were processed: those of an empty street too, and no face is in it",
    "version": "of MQTT",
    "name": "of a source or a file, from the configuration",
    "foreign": "text of a library's exception: it may hold shapes, so numbers of faces",
    "checker": "what the process that checks bundles wrote; it never sees a face",
}

TABLE = {
    ("alerts/courier.py", "INFO", "connected to the broker, MQTT %s", ("self.version",)): "version",
    ("alerts/courier.py", "WARNING", "%s", ("fault",)): "sentence",
    # Its thread handles sealed cells only: whatever fails there has seen no face and no count.
    (
        "alerts/courier.py",
        "ERROR",
        "courier: %s: %s",
        ("type(error).__name__", "error"),
    ): "type foreign",
    ("alerts/post.py", "ERROR", "a letter is given up: %s", ("reason",)): "sentence",
    ("alerts/post.py", "ERROR", "%s", ("error",)): "sentence",
    # Read by the benchmark (tools/lab/bench.py) to see that a process runs. It stays: only with
    # --verbose, on this device, and the audit log beside it holds the counts of every minute.
    ("appliance.py", "DEBUG", "frames=%d", ("self.ledger.frames",)): "frames",
    # The class alone: the text of NumPy's own exceptions holds how many faces there were.
    ("appliance.py", "ERROR", "frame not processed: %s", ("type(error).__name__",)): "type",
    ("appliance.py", "WARNING", "%s", ("error",)): "sentence",
    ("arrivals.py", "ERROR", "%s", ("self.refused",)): "sentence",
    (
        "bundles/client.py",
        "DEBUG",
        "device.bundles.verify: %s",
        ("done.stderr.decode('utf-8', 'replace')",),
    ): "checker",
    ("bundles/parts.py", "WARNING", "%s", ("sentence",)): "sentence",
    (
        "bundles/parts.py",
        "WARNING",
        "%s is damaged (%s): the bundle is fetched again.",
        ("OFFER", "error"),
    ): "name foreign",
    # The camera's thread: it has looked for no face yet.
    (
        "capture/camera.py",
        "WARNING",
        "%s could not be closed: %s",
        ("self._source.name", "error"),
    ): "name foreign",
    ("capture/camera.py", "WARNING", "%s", ("error",)): "sentence",
    ("capture/camera.py", "ERROR", "capture failed", ()): "",
    ("capture/factory.py", "WARNING", "%s", ("error",)): "sentence",
    ("charge.py", "ERROR", "%s", ("why",)): "sentence",
    ("cli/closing.py", "WARNING", "%s", ("refused",)): "sentence",
    (
        "cli/closing.py",
        "WARNING",
        "small pieces of freed memory are not overwritten by this C library",
        (),
    ): "",
    ("cli/closing.py", "WARNING", "%s", ("unlocked",)): "sentence",
    ("custody.py", "ERROR", "%s", ("reason",)): "sentence",
    ("notebook.py", "ERROR", "%s", ("error",)): "sentence",
    # One of a closed list, for heat alone: what late frames cause tells that somebody is there.
    ("pacing.py", "WARNING", "%s", ("sentence",)): "sentence",
    ("obedience.py", "ERROR", "%s", ("error",)): "sentence",
}
"""(file, level, message, arguments): the kind of each argument."""

NEAR_FACES = ("appliance.py", "recognition.py", "search.py", "vision/", "matching/")
"""Where a library's exception may have seen a face: there its text is never logged."""

SOURCES = {
    path.relative_to(ROOT / "device").as_posix(): path.read_text("utf-8")
    for path in sorted((ROOT / "device").rglob("*.py"))
}
PRINTERS = {"print_exc", "print_exception", "print_stack", "excepthook", "dump_traceback", "pprint"}


def calls(text):
    """Return level, message, arguments, keywords, classes caught around it, of a file's logging."""
    tree = ast.parse(text)
    found = []
    for caught, call in _calls_in(tree, None):
        place = call.func
        if isinstance(place, ast.Attribute) and place.attr in LEVELS and _is_logger(place.value):
            message, *arguments = call.args or [None]
            level = CASTS.get(place.attr, place.attr.upper())
            words = message.value if isinstance(message, ast.Constant) else None
            keywords = [keyword.arg for keyword in call.keywords]
            found.append((level, words, tuple(map(ast.unparse, arguments)), keywords, caught))
    return found


def _calls_in(node, caught):
    for child in ast.iter_child_nodes(node):
        around = ast.unparse(child.type) if _names_its_class(child) else caught
        if isinstance(child, ast.Call):
            yield caught, child
        yield from _calls_in(child, around)


def _names_its_class(node):
    return isinstance(node, ast.ExceptHandler) and node.type is not None


def _is_logger(node):
    # `math.log` and `np.log` are no loggers; whatever else logs must be seen.
    return ast.unparse(node) not in {"math", "np"}


def faults(file, text, table=TABLE):
    """Return what a file's logging does that the table does not allow, in words."""
    found = []
    for level, message, arguments, keywords, caught in calls(text):
        if message is None:
            found.append("a message that is no constant")
        elif keywords:
            found.append(f"{message!r} hands on {keywords}")
        elif (file, level, message, arguments) not in table:
            found.append(f"{message!r} with {arguments} is not in the table")
        elif "error" in arguments and caught is not None:
            kinds = table[file, level, message, arguments].split()
            if not _classes(caught) <= OURS and "foreign" not in kinds:
                found.append(f"{message!r} logs the text of {caught}")
    return found


def _classes(caught):
    return {name.strip("() ").split(".")[-1] for name in caught.split(",")}


def _below(kind):
    return {kind.__name__}.union(*map(_below, kind.__subclasses__()))


OURS = _below(PasserbyError)
"""Their texts are sentences of this program."""


def test_our_own_exceptions_are_known():
    assert {DamagedOutboxError.__name__, BundleError.__name__, "CameraError"} <= OURS
    assert "OSError" not in OURS


@pytest.mark.parametrize("file", SOURCES)
def test_every_logging_call_is_in_the_table(file):
    assert faults(file, SOURCES[file]) == []


def test_every_line_of_the_table_is_logged_somewhere():
    logged = {(f, *call[:3]) for f, text in SOURCES.items() for call in calls(text)}
    assert set(TABLE) <= logged


@pytest.mark.parametrize("shape", TABLE, ids=lambda shape: f"{shape[0]}: {shape[2]}")
def test_every_argument_is_of_a_harmless_kind(shape):
    file, _, message, arguments = shape
    kinds = TABLE[shape].split()
    assert len(kinds) == len(arguments) == message.count("%s") + message.count("%d")
    assert set(kinds) <= set(KINDS)
    assert "foreign" not in kinds or not file.startswith(NEAR_FACES)
    assert message.count("%d") == kinds.count("frames")


@pytest.mark.parametrize(
    "line",
    [
        'log.debug("faces=%d", observation.faces)',
        'log.debug("template %s", probe.template)',
        'log.debug(f"{frame.number} frames")',
        "log.debug(sentence)",
        'log.debug("frames=%d", self.ledger.faces)',
        'log.debug("frames=%d", self.ledger.frames, extra={"faces": 3})',
        'logging.getLogger("x").warning("box %s", box)',
        'logging.info("seen")',
        'self._log.error("seen %d", n)',
    ],
)
def test_a_line_that_is_not_in_the_table_is_found(line):
    assert faults("appliance.py", line)


def test_the_text_of_a_foreign_exception_is_found():
    line = 'try: f()\nexcept {}: log.warning("%s", error)'
    assert not faults("appliance.py", line.format("MessageError as error"))
    assert faults("appliance.py", line.format("Exception as error"))
    assert faults("appliance.py", line.format("(MessageError, Exception) as error"))


def _prints(text):
    return sorted(
        {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in {"print", *PRINTERS}
        }
    )


def test_only_a_command_prints():
    printing = {file for file, text in SOURCES.items() if _prints(text)}
    commands = {file for file in printing if file.startswith("cli/")}
    # The process that checks bundles says why it gave up; it never sees a face.
    assert printing - commands == {"bundles/verify.py"}
    assert _prints("import sys\nprint(1)\nsys.excepthook(1)") == ["print", "sys.excepthook"]


def test_what_libraries_log_is_not_turned_on():
    # Paho's lines would name every letter, its topic, and when it left.
    for text in SOURCES.values():
        assert "enable_logger" not in text
        assert "on_log" not in text


def test_verbose_turns_on_the_appliances_own_lines_alone():
    # Pillow writes what stands in a photograph's header at DEBUG: names of people, places.
    code = (
        "import logging, sys; from device.cli.main import main\n"
        "main(['--verbose', 'status', '--config', '/nowhere/device.toml'])\n"
        "on = lambda name: logging.getLogger(name).isEnabledFor(logging.DEBUG)\n"
        "print(on('device.appliance'), on('PIL.TiffImagePlugin'), on('paho'), on('tuf'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.split() == ["True", "False", "False", "False"]


# --- What a run really says -----------------------------------------------------------------------


def shape_of(record):
    """Return the table's key of an emitted line, but for its arguments."""
    if not record.name.startswith("device."):
        return None
    file = record.name.removeprefix("device.").replace(".", "/") + ".py"
    return file, record.levelname, record.msg


def strange(records):
    """Return the emitted lines that no shape of the table fits."""
    known = {(file, level, message): args for file, level, message, args in TABLE}
    found = []
    for record in records:
        shape = shape_of(record)
        if shape not in known or len(record.args or ()) != len(known[shape]):
            found.append((record.name, record.levelname, record.getMessage()))
    return found


def test_every_line_of_a_troubled_run_is_in_the_table(tmp_path):
    crowd = [Person(60 + 7 * i, 20 + 90 * i, y=40 + 90 * (i % 3), size=60) for i in range(6)]
    stages = ("camera", "driver", "detection", "alignment", "tracking")
    troubles = [Trouble(stage, 3 * at) for at, stage in enumerate(stages)]
    told = run_small(tmp_path, crowd, 110, [*troubles, Trouble("disk", 20, lasts=30)])
    assert strange(told.lines) == []
    logged = {shape_of(record)[0] for record in told.lines}
    assert logged == {"appliance.py", "capture/camera.py", "notebook.py"}
    assert "frames=100" in {record.getMessage() for record in told.lines}


def test_a_line_of_another_shape_is_found_in_a_run(tmp_path, monkeypatch):
    whole = recognition.compare

    def talkative(*arguments):
        logging.getLogger("device.recognition").debug("score=%f", 0.4)
        return whole(*arguments)

    monkeypatch.setattr(recognition, "compare", talkative)
    told = run_small(tmp_path, [Person(90, 100)], 3)
    assert strange(told.lines)[0] == ("device.recognition", "DEBUG", "score=0.400000")

"""A program that sees faces closes its own memory first; seen from outside it."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from device.cli import closing, main
from tests.conftest import ROOT

CLOSED = """
import codecs, ctypes, os, resource, sys
import numpy as np
from device.cli.closing import close_memory
if sys.argv[1] == "limited":
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536))
    if os.getuid() == 0:
        codecs.lookup("ascii")  # loaded now: nobody may not read where this Python lies
        os.setresuid(65534, 65534, 65534)
print(close_memory())
large = np.ones(20_000_000, np.uint8)
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), resource.getrlimit(resource.RLIMIT_CORE))
status = {}
if sys.argv[1] != "limited":
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(status.get("VmLck", "").split(), status.get("VmRSS", "").split())
"""


def closed(mode):
    return subprocess.run(
        [sys.executable, "-c", CLOSED, mode], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_no_core_dump_no_reading_and_no_swap():
    done = closed("all")
    said, doors, locked = done.stdout.splitlines()
    assert doors == "0 (0, 0)"
    if said != "None":
        pytest.skip(f"this user may not lock memory: {said}")
    (amount, unit), (resident, _) = (part.split(", ") for part in locked.strip("[]").split("] ["))
    assert unit == "'kB'"
    assert int(amount.strip("'")) >= 20_000
    assert int(resident.strip("'")) < 200_000, "what is not used is not made resident"


def test_who_may_lock_little_hears_what_to_do_and_still_grows():
    done = closed("limited")
    said, doors, _ = done.stdout.splitlines()
    assert said.startswith("Frames and faces in memory may be swapped to the disk (it may lock 64")
    assert "LimitMEMLOCK=infinity" in said
    assert doors == "0 (0, 0)"
    assert done.returncode == 0


@pytest.mark.parametrize("refusal", [None, "Core dumps cannot be turned off."])
def test_what_the_system_refuses_is_said_and_swap_is_policys(monkeypatch, caplog, refusal):
    monkeypatch.setattr(closing, "harden_process", lambda: refusal)
    monkeypatch.setattr(closing, "overwrite_what_is_freed", lambda: True)
    monkeypatch.setattr(closing, "lock_process", lambda: "Swapped.")
    monkeypatch.setattr(closing, "swap_is_on", lambda: False)
    assert closing.close_memory() == "Swapped."
    assert [record.message for record in caplog.records] == ([refusal] if refusal else [])
    monkeypatch.setattr(closing, "swap_is_on", lambda: True)
    caplog.clear()
    closing.close_memory()
    assert caplog.records[-1].message == "Swapped."


@pytest.mark.parametrize(("command", "sees"), [("run", True), ("match", True), ("status", False)])
def test_memory_is_closed_before_the_command_is_even_loaded(monkeypatch, command, sees):
    events = []
    arguments = {"run": ["--config", "x"], "match": ["--purpose", "p", "--case", "c", "x.jpg"]}
    monkeypatch.setattr(sys, "argv", ["passerby", command, *arguments.get(command, [])])
    monkeypatch.setattr(main, "_start_forgetful", lambda: events.append("restarted"))
    monkeypatch.setattr(main, "_close_memory", lambda: events.append("closed") or "why")

    def load(name):
        events.append(name)
        return SimpleNamespace(run=lambda options: events.append(options.unlocked) or 0)

    monkeypatch.setattr(main, "import_module", load)
    assert main.main() == 0
    first = ["restarted", "closed"] if sees else []
    assert events == [*first, f"device.cli.{command}", "why" if sees else None]


def test_a_callers_process_is_not_closed(monkeypatch):
    monkeypatch.setattr(main, "_start_forgetful", pytest.fail)
    monkeypatch.setattr(main, "_close_memory", pytest.fail)
    monkeypatch.setattr(main, "import_module", lambda _: SimpleNamespace(run=lambda _: 3))
    assert main.main(["run", "--config", "x"]) == 3

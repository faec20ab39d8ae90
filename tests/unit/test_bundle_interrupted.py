"""An installation that is killed, or whose disk is full, at every single step.

Each attempt runs in a fork of its own; the interpreter's audit events are the steps.
"""

import errno
import os
import resource
import shutil
import signal
import sys
from pathlib import Path

import pytest

from device.bundles import BundleError, work
from device.errors import StorageError
from device.protocol.bundle import METADATA, TARGETS
from tests.simulators.repository import NOW_NS, Repository, an_authorisation, contents

STEPS = ("open", "os.", "shutil.", "tempfile.")
WRITES = ("os.mkdir", "os.rename", "os.symlink", "os.link", "tempfile.mkstemp", "tempfile.mkdtemp")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A state directory with a bundle, the next stick, and what each is."""
    folder = tmp_path_factory.mktemp("interrupted")
    desk = Repository(folder / "desk")
    before = work.install(desk.folder, folder / "state", desk.pinned, NOW_NS)
    desk.publish(contents(an_authorisation(version=2), watchlist=bytes(60_000)))
    shutil.copytree(folder / "state", folder / "trial", symlinks=True)
    work.install(desk.folder, folder / "trial", desk.pinned, NOW_NS)
    return folder, desk, before


def forked(attempt):
    """Run in a fork; return its wait status."""
    child = os.fork()
    if child == 0:
        try:
            attempt()
        except StorageError:
            os._exit(9)
        except BundleError:
            os._exit(11)
        except BaseException:  # noqa: BLE001 - the fork must not go on as a test
            os._exit(99)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def trial(scene, name="trial"):
    folder, _, _ = scene
    shutil.rmtree(folder / name, ignore_errors=True)
    shutil.copytree(folder / "state", folder / name, symlinks=True)
    return folder / name


def install(scene, state):
    _, desk, _ = scene
    return work.install(desk.folder, state, desk.pinned, NOW_NS)


def check(scene, state):
    _, desk, _ = scene
    return work.check(state, desk.pinned, NOW_NS)


def holds(scene, state):
    """What is installed is whole: the old bundle or the new one; then the new one goes in."""
    found = check(scene, state)
    assert found is not None
    assert found.targets_version in {1, 2}
    if found.targets_version == 1:
        assert found == scene[2]
    assert install(scene, state).targets_version == 2
    names = sorted(path.name.partition("-")[0] for path in (state / "bundle").iterdir())
    assert names == ["current", "release"]
    return found.targets_version


def at_step(number, event_happens, do):
    """Let `do` happen at the n-th event that counts, and at every one after it."""
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event_happens(event, arguments):
            seen += 1
            if seen >= number:
                do()

    sys.addaudithook(hook)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def full():
    raise OSError(errno.ENOSPC, "No space left on device")


def is_step(event, _arguments):
    return event.startswith(STEPS) and event != "os.kill"


def is_write(event, arguments):
    if event == "open":
        # What is there already can be overwritten on a full disk.
        return bool(arguments[2] & os.O_CREAT) or bool(arguments[2] & os.O_TMPFILE == os.O_TMPFILE)
    return event in WRITES


def test_a_kill_at_any_step_leaves_the_old_bundle_or_the_new_one(scene):
    found, step = [], 0
    while True:
        step += 1
        state = trial(scene)

        def attempt(step=step, state=state):
            at_step(step, is_step, kill)
            install(scene, state)

        status = forked(attempt)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        assert os.WTERMSIG(status) == signal.SIGKILL
        found.append(holds(scene, state))
    assert step > 100
    # The change from old to new happens at one step, and never back.
    assert found == sorted(found)
    assert {1, 2} == set(found)


def test_a_kill_while_the_first_bundle_comes_leaves_none_or_all(scene):
    folder, desk, _ = scene
    for step in range(1, 400, 5):
        state = folder / "first"
        shutil.rmtree(state, ignore_errors=True)

        def attempt(step=step, state=state):
            at_step(step, is_step, kill)
            install(scene, state)

        if os.WIFEXITED(forked(attempt)):
            break
        found = work.check(state, desk.pinned, NOW_NS)
        assert found is None or found.targets_version == 2
        assert install(scene, state).targets_version == 2
    assert step > 100


def test_a_disk_that_fills_up_at_any_step_leaves_the_old_bundle(scene):
    step, refused = 0, 0
    while True:
        step += 1
        state = trial(scene)

        def attempt(step=step, state=state):
            at_step(step, is_write, full)
            install(scene, state)

        status = os.WEXITSTATUS(forked(attempt))
        if status == 0:
            break
        assert status == 9
        refused += 1
        found = check(scene, state)
        assert found == scene[2]
        # Nothing half-written stays, full as the disk is.
        left = [path.name for path in (state / "bundle").iterdir()]
        assert [name for name in left if name.startswith("staging-")] == []
        assert holds(scene, state) == 1
    assert refused > 20


@pytest.mark.parametrize("largest", [0, 100, 700, 2000, 30_000, 59_999])
def test_a_write_that_does_not_fit_leaves_the_old_bundle(scene, largest):
    state = trial(scene)

    def attempt():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        install(scene, state)

    assert os.WEXITSTATUS(forked(attempt)) == 9
    assert check(scene, state) == scene[2]
    assert len(list((state / "bundle").iterdir())) == 2
    assert holds(scene, state) == 1


def test_everything_is_on_the_disk_before_the_one_step_that_counts(scene, monkeypatch):
    state = trial(scene)
    synced, order = set(), []
    real_fsync, real_rename = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda at: (synced.add(os.fstat(at).st_ino), real_fsync(at)))

    def replace(source, target):
        if os.path.basename(target) == "current":  # noqa: PTH119 - as os.replace is given it
            release = state / "bundle" / Path(source).readlink()
            whole = {release, release / METADATA, release / TARGETS, *release.rglob("*")}
            inodes = {path.stat().st_ino for path in whole}
            order.append(inodes | {(state / "bundle").stat().st_ino} <= synced)
        return real_rename(source, target)

    monkeypatch.setattr(os, "replace", replace)
    install(scene, state)
    assert order == [True]

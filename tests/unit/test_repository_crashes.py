"""Whatever happens while a list is published, the old or the new one is whole afterwards."""

import contextlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest
from securesystemslib.signer import CryptoSigner

from device.errors import PasserbyError, StorageError
from device.protocol.bundle import TARGET_NAMES, WATCHLIST
from tests.conftest import ROOT
from tests.unit.test_repository import DAY_S, END_NS, NOW_NS, Office, bundle, public_files, taken
from tools.desk.repository import Repository, staging, stick

PUBLISHER = """
import sys, time
from pathlib import Path
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tests.unit.test_repository import DAY_S, END_NS, bundle
from tools.desk.repository import Repository

repository = Repository(Path(sys.argv[1]))
keys = [CryptoSigner(load_pem_private_key(Path(p).read_bytes(), None)) for p in sys.argv[2:5]]
for number in range(1, 10**6):
    repository.stage(bundle(b"%06d" % number), int(sys.argv[5]), time.time_ns())
    repository.sign(keys[0])
    repository.sign(keys[1])
    repository.publish(keys[2], time.time_ns(), DAY_S)
    print("published", flush=True)
"""


def one_of(found):
    """The word of a list that is whole."""
    assert found[WATCHLIST] == found[WATCHLIST][:6] * 1000
    assert found.keys() == set(TARGET_NAMES)
    return int(found[WATCHLIST][:6])


def test_kill_9_while_it_publishes_leaves_a_whole_list(scratch):
    office, folder = Office(), scratch / "r"
    office.publish(office.repository(folder), b"000000")
    keys = []
    for name in ("officer", "custodian", "publishing"):
        keys.append(scratch / f"{name}.pem")
        keys[-1].write_bytes(office.signers[name].private_bytes)
    chance = random.Random(1)
    command = [sys.executable, "-c", PUBLISHER, folder, *keys, str(END_NS)]
    for number in range(6):
        child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
        child.stdout.readline()
        begun = time.monotonic()
        child.stdout.readline()
        # Two lists are out. Somewhere in the next one, however slow this machine is.
        time.sleep(chance.uniform(0, time.monotonic() - begun))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        # A client that is new, and one that has followed since the first kill.
        assert one_of(taken(folder, office.roots[0], scratch / f"cache-{number}")) >= 2
        one_of(taken(folder, office.roots[0], scratch / "cache"))
    office.publish(Repository(folder), b"999999", time.time_ns())
    assert one_of(taken(folder, office.roots[0], scratch / "cache")) == 999_999
    assert len(list((folder / "targets").iterdir())) <= 2 * len(TARGET_NAMES)
    assert not [path for path in (folder / "metadata").iterdir() if path.name.startswith(".")]


def changes_the_disk(event, arguments):
    """Whether Python is about to change the disk, by its audit events."""
    if event == "open":
        return bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
    return event in {"os.rename", "os.remove", "os.mkdir", "os.chmod"}


def die_before(change):
    """Kill this process before its change number so and so of the disk."""
    left = [change]

    def hook(event, arguments):
        if changes_the_disk(event, arguments):
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(hook)


def die_before_each(folder):
    """Publish in a child that dies before its first change of the disk, its second, and so on.

    Prints what a client finds then. Called in a process of its own, which may fork.
    """
    # A killed process loses nothing that the kernel has; only a power cut would.
    os.fsync = lambda _: None
    office = Office()
    office.published(folder / "before", b"000001")
    for change in range(1000):
        place = folder / f"r{change}"
        shutil.copytree(folder / "before", place)
        repository = Repository(place)
        child = os.fork()
        if child == 0:
            die_before(change)
            office.publish(repository, b"000002", NOW_NS + 10**9)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        word = one_of(taken(place, office.roots[0], place / "cache"))
        sys.stdout.write(f"{word}\n")
        office.publish(repository, b"000003", NOW_NS + 2 * 10**9)
        assert one_of(taken(place, office.roots[0], place / "cache")) == 3
        shutil.rmtree(place)
        if status == 0:
            return


def test_death_before_any_change_of_the_disk_leaves_a_whole_list(scratch):
    code = (
        "import sys; from pathlib import Path; from tests.unit.test_repository_crashes import "
        "die_before_each; die_before_each(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, scratch], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [int(line) for line in done.stdout.split()]
    assert set(found) == {1, 2}
    assert found == sorted(found), "once the new list is out, it stays"
    assert len(found) > 20


class Disk:
    """Lets so many writes through, then every one fails as on a full disk."""

    def __init__(self, patch, writes):
        self.left = writes
        self.written = []
        for module in (stick, staging):
            patch.setattr(module, "write_atomically", self.guard(module.write_atomically))

    def guard(self, write):
        def guarded(path, content, mode):
            if not self.left:
                raise StorageError(f"{path} cannot be written (No space left on device)")
            self.left -= 1
            self.written.append(path.name)
            write(path, content, mode)

        return guarded


def test_a_disk_that_fills_at_any_write_leaves_a_whole_list(scratch):
    office = Office()
    outcomes = []
    for writes in range(20):
        folder = scratch / f"r{writes}"
        repository = office.published(folder, b"000001")
        with pytest.MonkeyPatch.context() as patch:
            disk = Disk(patch, writes)
            with contextlib.suppress(StorageError):
                office.publish(repository, b"000002", NOW_NS + 10**9)
                outcomes.append("done")
        word = one_of(taken(folder, office.roots[0], scratch / f"cache-{writes}"))
        assert word == (2 if "timestamp.json" in disk.written else 1)
        outcomes.append(word)
        # With space again, the same command ends the work.
        office.publish(repository, b"000002", NOW_NS + 2 * 10**9)
        assert one_of(taken(folder, office.roots[0], scratch / f"cache-{writes}")) == 2
    assert {1, 2, "done"} == set(outcomes)


def test_the_timestamp_is_written_last(scratch):
    office = Office()
    repository = office.published(scratch / "r")
    with pytest.MonkeyPatch.context() as patch:
        disk = Disk(patch, 1000)
        repository.stage(bundle(b"second"), END_NS, NOW_NS)
        for name in ("officer", "custodian"):
            repository.sign(office.signers[name])
        disk.written.clear()
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)
    public = repository.verify()
    assert disk.written[-3:] == [
        f"{public.version}.targets.json",
        f"{public.snapshot.signed.version}.snapshot.json",
        "timestamp.json",
    ]


def test_a_file_that_may_not_grow_is_one_sentence_and_changes_nothing(scratch):
    """The kernel itself refuses: a limit for files stands for a full disk."""
    office = Office()
    repository = office.published(scratch / "r")
    before = public_files(scratch / "r")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(StorageError, match=r"cannot be written.*check the disk"):
            repository.stage(bundle(b"x" * 500), END_NS, NOW_NS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert public_files(scratch / "r") == before
    assert repository.staged() is None


@contextlib.contextmanager
def as_somebody_else():
    """Without root's right to write everywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_read_only_folder_is_one_sentence(scratch):
    office = Office()
    repository = office.staged(scratch / "r")
    folders = [scratch, *(path for path in scratch.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        with as_somebody_else():
            for attempt in (
                lambda: repository.stage(bundle(), END_NS, NOW_NS),
                lambda: repository.sign(office.signers["officer"]),
                lambda: repository.publish(office.signers["publishing"], NOW_NS, DAY_S),
                lambda: office.repository(scratch / "other"),
            ):
                with pytest.raises(StorageError, match="cannot be"):
                    attempt()
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert repository.signed_by() == []


def test_a_signer_that_breaks_is_one_sentence(scratch):
    class Unplugged(CryptoSigner):
        def sign(self, payload):
            raise RuntimeError("CKR_DEVICE_REMOVED")

    office = Office()
    repository = office.staged(scratch / "r")
    key = office.signers["officer"]
    with pytest.raises(PasserbyError, match=r"CKR_DEVICE_REMOVED.*plugged in"):
        repository.sign(Unplugged(key._private_key, key.public_key))
    assert repository.signed_by() == []

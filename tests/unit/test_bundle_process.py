"""The short-lived process that verifies: no network, no other program, and never a silent end."""

import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

from device.bundles import BundleError, client, current_release, install, installed, pack, verify
from device.bundles.findings import Answer, encode_answer
from device.errors import StorageError
from device.protocol.bundle import AUTHORISATION, CONFIGURABLE, TARGETS, WATCHLIST
from tests.conftest import ROOT
from tests.simulators.repository import (
    DAY_NS,
    DEVICE,
    NOW_NS,
    Repository,
    an_authorisation,
    contents,
)


@pytest.fixture
def desk(tmp_path):
    desk = Repository(tmp_path / "desk")
    (tmp_path / "root.json").write_bytes(desk.pinned)
    return desk


@pytest.fixture
def place(tmp_path):
    """Where a device keeps its state, and its root of trust."""
    return tmp_path / "state", tmp_path / "root.json"


def test_install_and_installed_give_all_that_a_bundle_says(desk, place):
    state, root = place
    authorisation = an_authorisation(version=2)
    desk.publish(contents(authorisation, configuration=b"[matching]\nshots = 3\n"))
    found = install(desk.folder, state, root, NOW_NS, device=DEVICE)
    assert found.authorisation == authorisation
    assert found.configuration == "[matching]\nshots = 3\n"
    assert found.models.models == authorisation.models
    assert found.local_keys.wrapped == {}
    assert found.watchlist_path.read_bytes() == desk.files[WATCHLIST]
    assert found.folder.name == current_release(state)
    assert (found.root_version, found.targets_version) == (1, 2)
    assert found.fresh_until_ns == NOW_NS + 7 * DAY_NS
    assert installed(state, root, NOW_NS) == found


def test_where_nothing_is_installed_there_is_nothing(place):
    state, root = place
    assert installed(state, root, NOW_NS) is None
    assert current_release(state) is None
    assert not state.exists()


def test_a_refusal_comes_back_as_its_sentence(desk, place):
    state, root = place
    with pytest.raises(BundleError, match="expired on 2031-05-13T12:00:00Z"):
        install(desk.folder, state, root, NOW_NS + 7 * DAY_NS)
    with pytest.raises(BundleError, match="not for this device"):
        install(desk.folder, state, root, NOW_NS, device="urn:passerby:site-2:device-9")
    assert installed(state, root, NOW_NS) is None


def test_an_archive_installs_as_its_folder_does(desk, place, tmp_path):
    state, root = place
    (tmp_path / "bundle.tar").write_bytes(pack(desk.folder))
    found = install(tmp_path / "bundle.tar", state, root, NOW_NS)
    assert found == install(desk.folder, state, root, NOW_NS)
    assert len(list((state / "bundle").iterdir())) == 2


def test_a_cut_archive_is_refused(desk, place, tmp_path):
    state, root = place
    whole = pack(desk.folder)
    for length in (0, 511, len(whole) // 2, len(whole) - 1):
        (tmp_path / "bundle.tar").write_bytes(whole[:length])
        with pytest.raises(BundleError, match="archive is cut"):
            install(tmp_path / "bundle.tar", state, root, NOW_NS)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[" * 9000, b"x" * 300_000])
def test_a_root_of_trust_that_is_none_is_named(desk, place, content):
    state, root = place
    root.unlink()
    if content is not None:
        root.write_bytes(content)
    with pytest.raises(BundleError, match=r"root of trust|cut or damaged"):
        install(desk.folder, state, root, NOW_NS)


def test_a_state_directory_that_cannot_be_written_is_the_disks_fault(desk, place):
    state, root = place
    state.write_text("a file where the folder should be")
    with pytest.raises(StorageError):
        install(desk.folder, state, root, NOW_NS)


# No network (the walls stand in the process itself)


def test_no_socket_can_be_made_and_no_program_started_where_bundles_are_verified():
    code = """
import socket, subprocess, os, sys
from device.bundles.verify import forbid_network
forbid_network()
import tuf.ngclient
attempts = [
    lambda: socket.socket(),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: socket.getaddrinfo("localhost", 80),
    lambda: socket.socketpair(),
    lambda: subprocess.run(["true"]),
    lambda: os.system("true"),
    lambda: os.fork(),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.posix_spawn("/bin/true", ["true"], {}),
    lambda: tuf.ngclient.urllib3_fetcher.Urllib3Fetcher().fetch("http://127.0.0.1:9/x").__next__(),
]
for attempt in attempts:
    try:
        attempt()
    except (PermissionError, tuf.api.exceptions.DownloadError):
        continue
    sys.exit("went through")
print("refused", len(attempts))
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.stdout == "refused 10\n", done.stderr


def test_the_process_puts_up_its_walls_before_it_loads_tuf(desk, place):
    state, root = place
    # The first socket of this process would be urllib3's, when it is imported.
    code = """
import sys
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event.startswith("socket.") else None)
from device.bundles import verify
assert "tuf" not in sys.modules and "urllib3" not in sys.modules
try:
    verify.main(sys.argv[1:])
finally:
    assert "tuf" in sys.modules
    import socket
    try:
        socket.socket()
    except PermissionError:
        print("\\nwalls stand")
"""
    arguments = ["install", f"--source={desk.folder}", f"--state={state}", f"--root={root}"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *arguments, f"--now-ns={NOW_NS}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.endswith("\nwalls stand\n"), done.stderr
    assert '"targets_version":1' in done.stdout


def test_a_listener_on_this_machine_hears_nothing_of_a_verification(desk, place, monkeypatch):
    state, root = place
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        install(desk.folder, state, root, NOW_NS)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_the_appliance_never_loads_tuf():
    code = (
        "import sys, device.appliance, device.cli.run, device.cli.update, device.bundles;"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('tuf', 'securesystemslib', 'urllib3', 'requests')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"


# Whatever happens to it


@pytest.mark.parametrize(
    "output", [b"", b"x", b"{", b"[]", b'{"found":1}', b'{"other":1}', b"\xff", b"{}{}"]
)
def test_no_answer_is_a_refusal(output):
    with pytest.raises(BundleError, match="without an answer"):
        client._read(output, -9)


def test_the_disks_fault_and_the_bundles_are_told_apart():
    with pytest.raises(StorageError, match="full"):
        client._read(encode_answer(Answer(refused="The disk is full.", fault="storage")), 0)
    with pytest.raises(BundleError, match="old"):
        client._read(encode_answer(Answer(refused="The bundle is old.")), 0)


def test_a_fault_of_the_program_is_a_refusal_without_a_traceback(desk, place, monkeypatch):
    state, root = place
    from device.bundles import work  # noqa: PLC0415

    def broken(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(work, "install", broken)
    # The process that it is made for has its temporary files there, and nobody else.
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)
    options = verify._parser().parse_args(
        ["install", "--source=x", f"--state={state}", f"--root={root}", "--now-ns=1"]
    )
    answer = verify.answer(options)
    assert answer.found is None
    assert "ZeroDivisionError" in answer.refused
    assert "Traceback" not in answer.refused


def test_an_install_that_found_nothing_is_a_refusal(desk, place, monkeypatch):
    monkeypatch.setattr(client, "_ask", lambda *_: None)
    with pytest.raises(BundleError, match="without an answer"):
        install(desk.folder, *place, NOW_NS)


def test_a_target_that_changes_after_its_check_is_refused(desk, place, monkeypatch):
    state, root = place
    install(desk.folder, state, root, NOW_NS)
    real = client._ask

    def asked(*arguments):
        findings = real(*arguments)
        (state / "bundle/current" / TARGETS / AUTHORISATION).write_bytes(
            contents(an_authorisation(version=9))[AUTHORISATION]
        )
        return findings

    monkeypatch.setattr(client, "_ask", asked)
    with pytest.raises(BundleError, match="changed after its check"):
        installed(state, root, NOW_NS)


def test_a_check_that_takes_for_ever_is_stopped(desk, place, monkeypatch):
    monkeypatch.setattr(client, "_LONGEST_S", 0.01)
    with pytest.raises(BundleError, match="take another stick"):
        install(desk.folder, *place, NOW_NS)


def test_killed_at_random_moments_it_leaves_a_whole_bundle(desk, place, tmp_path):
    state, root = place
    install(desk.folder, state, root, NOW_NS)
    desk.publish(contents(an_authorisation(version=2), watchlist=bytes(2_000_000)))
    started = time.monotonic()
    shutil.copytree(state, tmp_path / "timed", symlinks=True)
    install(desk.folder, tmp_path / "timed", root, NOW_NS)
    lasts_s = time.monotonic() - started
    chance = random.Random(11)
    killed = 0
    for number in range(6):
        trial = tmp_path / f"trial-{number}"
        shutil.copytree(state, trial, symlinks=True)
        arguments = [f"--source={desk.folder}", f"--state={trial}", f"--root={root}"]
        command = [sys.executable, "-P", "-m", "device.bundles.verify", "install", *arguments]
        process = subprocess.Popen([*command, f"--now-ns={NOW_NS}"], stdout=subprocess.DEVNULL)
        # Most of the time it loads tuf; the second half is when the disk changes.
        time.sleep(lasts_s * chance.uniform(0.4, 1))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        found = installed(trial, root, NOW_NS)
        assert found.targets_version in {1, 2}
        assert install(desk.folder, trial, root, NOW_NS).targets_version == 2
        assert len(list((trial / "bundle").iterdir())) == 2
    assert killed > 0


def test_installations_at_the_same_time_do_not_mix(desk, place, tmp_path):
    state, root = place
    sticks = []
    for version in range(1, 6):
        desk.publish(contents(an_authorisation(version=version)))
        sticks.append(tmp_path / f"stick-{version}")
        shutil.copytree(desk.folder, sticks[-1])
    outcomes = {}

    def offer(stick):
        try:
            outcomes[stick] = install(stick, state, root, NOW_NS).authorisation.version
        except BundleError as error:
            outcomes[stick] = str(error)

    random.Random(3).shuffle(sticks)
    threads = [threading.Thread(target=offer, args=(stick,)) for stick in sticks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = installed(state, root, NOW_NS)
    assert found.authorisation.version == 5
    assert found.targets_version == 6
    for stick, outcome in outcomes.items():
        version = int(stick.name[-1])
        # Installed in its turn; or it came too late, or was replaced before its answer was read.
        assert outcome == version or "older" in outcome or "replaced meanwhile" in outcome
    assert len(list((state / "bundle").iterdir())) == 2


def test_what_lies_beside_the_releases_is_left_alone(desk, place):
    state, root = place
    incoming = state / "bundle/incoming/some.part"
    incoming.parent.mkdir(parents=True)
    incoming.write_bytes(b"half")
    install(desk.folder, state, root, NOW_NS)
    desk.publish()
    install(desk.folder, state, root, NOW_NS)
    assert incoming.read_bytes() == b"half"


def test_a_link_that_leads_out_of_the_state_directory_is_not_followed(desk, place):
    state, root = place
    install(desk.folder, state, root, NOW_NS)
    link = state / "bundle/current"
    target = state / "bundle" / link.readlink()
    link.unlink()
    link.symlink_to(target)
    with pytest.raises(StorageError, match="points elsewhere"):
        installed(state, root, NOW_NS)
    with pytest.raises(StorageError, match="points elsewhere"):
        install(desk.folder, state, root, NOW_NS)


def test_what_is_installed_is_for_this_device_only(desk, place):
    state, root = place
    install(desk.folder, state, root, NOW_NS)
    for path in (state / "bundle").rglob("*"):
        if not path.is_symlink():
            assert path.stat().st_mode & 0o077 == 0, path


def test_the_signed_configuration_has_the_tables_of_the_contract():
    from device.bundles.configuration import SignedConfiguration  # noqa: PLC0415

    assert SignedConfiguration.__struct_fields__ == CONFIGURABLE

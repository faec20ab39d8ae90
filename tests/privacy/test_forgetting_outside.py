"""What the proof of forgetting sees from outside: every write, every peer, every byte on the wire.

Each detector is shown what it must detect; then the real appliance runs before it.
"""

import base64
import contextlib
import errno
import json
import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import paho.mqtt.client as mqtt
import pytest
from msgspec.structs import replace
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.protocol.keys import encode_keys
from tests.conftest import ROOT, absent
from tests.privacy.forgetting import disk, surroundings, texts, trace, wire
from tests.privacy.forgetting.appliance import Appliance
from tests.privacy.forgetting.needles import Form, Needles
from tests.privacy.forgetting.people import CanaryFrame
from tests.privacy.forgetting.provision import environment
from tests.privacy.forgetting.shadow import Shadow
from tests.simulators.correspondents import TOPICS, Correspondents, FarEnd
from tests.simulators.mosquitto import PROGRAM, Mosquitto, wait_until
from tools.lab.people.person import Person
from tools.lab.people.rendered import render
from tools.lab.people.scene import scene
from tools.lab.people.view import View
from tools.setup.vectors.examples import examples

CANARY = np.random.default_rng(6).bytes(512)
NEEDLES = Needles([Form("seed 6", "crop, uint8", CANARY)])
DETECTOR, EMBEDDER = "passerby-detector-640x480", "passerby-embedder"

KNOWN = """
import os, socket, subprocess, sys, tempfile, threading
from multiprocessing import shared_memory
from pathlib import Path
base, port, canary = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]).read_bytes()
(base / "read").read_bytes()
list(base.iterdir())
(base / 'odd "name" <1>').write_text("connect(3, {sa_family=AF_INET, sin_port=htons(1)")
os.close(os.open(base / "touched", os.O_RDONLY | os.O_CREAT))
nameless = os.open(base, os.O_TMPFILE | os.O_RDWR)
os.write(nameless, canary[:100])
with tempfile.NamedTemporaryFile(dir=base, prefix="gone") as gone:
    gone.write(canary)
os.rename(base / "touched", base / "renamed")
os.symlink("/etc/hostname", base / "symbolic")
memory = os.memfd_create("kept in memory")
shared = shared_memory.SharedMemory(create=True, size=100)
shared.close()
shared.unlink()
def talk():
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(b"hello")
        sock.recv(1)
threads = [threading.Thread(target=talk) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.2", 53))
try:
    socket.socket(socket.AF_UNIX).connect("/run/nobody-there")
except OSError:
    pass
os.chdir(base)
os.mkdir("folder")
own = socket.create_server(("127.0.0.1", 0))
other = socket.create_connection(own.getsockname())
other.sendall(b"x")
subprocess.run(["true"], check=True)
print("end")
"""


@pytest.fixture(scope="module")
def strace():
    reason = trace.why_not()
    if reason is not None:
        absent(reason)


@pytest.fixture(scope="module")
def known(strace, tmp_path_factory):
    """A program whose writes, peers and programs are known: its folder, and what was traced."""
    folder = tmp_path_factory.mktemp("known")
    (folder / "base").mkdir()
    (folder / "base/read").write_text("read only")
    (folder / "canary").write_bytes(CANARY)
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    program = [sys.executable, "-c", KNOWN, folder / "base", str(port), folder / "canary"]
    line = [*trace.prefix(folder / "trace", contents=True), *program]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, cwd=folder, text=True)
    kept = []
    for _ in range(3):
        kept.append(server.accept()[0])
        kept[-1].send(b"1")
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (0, "end\n")
    server.close()
    return folder / "base", port, trace.Traced.read(folder / "trace", cwd=folder)


def test_every_write_is_listed_and_no_reading(known):
    base, _, traced = known
    written = {one.path for one in traced.writes if one.path.startswith(str(base))}
    names = {Path(path).name for path in written}
    assert {'odd "name" <1>', "touched", "renamed", "symbolic", "folder"} <= names
    assert any(name.startswith("gone") for name in names)
    assert any(name.startswith("#") for name in names)  # the file that never had a name
    assert "read" not in names
    assert base.name not in names
    others = {one.path for one in traced.writes_outside([base])}
    assert all(path.startswith("/dev/shm/psm_") for path in others)
    assert others
    assert traced.memory_files() == {"memfd:kept in memory"}


def test_every_peer_and_program_is_listed(known):
    _, port, traced = known
    strangers = {str(peer) for peer in traced.peers if not peer.itself}
    assert strangers == {
        f"AF_INET 127.0.0.1:{port}",
        "AF_INET 127.0.0.2:53",
        "AF_UNIX /run/nobody-there",
    }
    assert sum(peer.itself for peer in traced.peers) >= 1
    path, *words = traced.commands()[-1]
    assert (Path(path).name, words) == ("true", [])
    assert traced.processes()
    assert traced.copies() == []
    assert not traced.odd()


def test_what_was_written_to_a_file_that_is_gone_is_found(known):
    _, _, traced = known
    finds = traced.search(NEEDLES)
    assert {find.length for find in finds} == {512, 100}
    assert any("gone" in find.where for find in finds)
    assert traced.bytes_kept() > 600


def test_a_killed_program_and_broken_lines_are_read():
    text = (
        '7 openat(AT_FDCWD</w>, "one", O_RDWR|O_CREAT, 0600 <unfinished ...>\n'
        '8 openat(AT_FDCWD</w>, "two", O_RDONLY) = 4</w/two>\n'
        "7 <... openat resumed>) = 3</w/one>\n"
        '8 rename("two", "/elsewhere/three" <unfinished ...>\n'
        "7 +++ killed by SIGKILL +++\n8 +++ killed by SIGKILL +++\n"
    )
    traced = trace.Traced(text, cwd="/w")
    assert [one.path for one in traced.writes] == ["/w/one", "/w/two", "/elsewhere/three"]
    assert {one.path for one in traced.writes_outside(["/w"])} == {"/elsewhere/three"}
    assert {one.path for one in traced.writes_outside(["/w/on"])} >= {"/w/one"}


def test_devices_and_ways_around_the_list_are_told():
    text = (
        '7 write(2</dev/null<char 1:3>>, "x"..., 5) = 5\n'
        '7 write(4</dev/sda<block 8:0>>, "x"..., 5) = 5\n'
        '7 write(5<pipe:[77]>, "3</etc/passwd>"..., 5) = 5\n'
        '7 openat(AT_FDCWD</w>, "O_RDWR|O_CREAT", O_RDONLY) = 4</w/O_RDWR|O_CREAT>\n'
        '7 sendto(6<UDP:[7]>, "x", 1, 0, {sa_family=AF_INET6, sin6_port=htons(53), '
        'sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "fe80::1", &sin6_addr)}, 28) = 1\n'
        "7 io_uring_setup(8, {flags=0}) = 9<anon_inode:[io_uring]>\n"
        "7 +++ exited with 0 +++\n"
    )
    traced = trace.Traced(text, cwd="/w")
    assert [one.path for one in traced.writes_outside([])] == ["/dev/sda"]
    assert [str(one) for one in traced.peers] == ["AF_INET6 fe80::1:53"]
    assert [one.name for one in traced.odd()] == ["io_uring_setup"]


def test_programs_and_copies_of_a_process_are_told():
    text = (
        '7 execve("/bin/python", ["python", "-m", "a \\"b\\""], 0x7ffd /* 9 vars */) = 0\n'
        '7 execve("/bin/none", ["none"], 0x7ffd /* 9 vars */) = -1 ENOENT (No such file)\n'
        "7 vfork() = 8\n"
        "7 clone(child_stack=0x7f00, flags=CLONE_VM|CLONE_VFORK|SIGCHLD) = 9\n"
        "7 clone3({flags=CLONE_VM|CLONE_THREAD, exit_signal=0} => {parent_tid=[10]}, 88) = 10\n"
        "7 clone(child_stack=NULL, flags=CLONE_CHILD_SETTID|SIGCHLD) = 11\n"
        "7 fork() = 12\n"
        "7 fork() = -1 ENOMEM (Cannot allocate memory)\n"
        "7 +++ exited with 0 +++\n"
    )
    traced = trace.Traced(text, cwd="/w")
    assert traced.commands() == [["/bin/python", "-m", 'a "b"']]
    assert [call.result for call in traced.copies()] == ["11", "12"]


PRODUCT = """
import device
import hashlib
import numpy as np
rng = np.random.default_rng(1)
one, other = (rng.normal(size=size).astype(np.float32) for size in ((3, 514), (514, 256)))
print(hashlib.sha256(one @ other).hexdigest())
"""


@pytest.mark.parametrize("kernels", ["Haswell", "Nehalem"])
def test_the_program_multiplies_as_the_proof_does_to_the_last_bit(scratch, monkeypatch, kernels):
    monkeypatch.setenv("OPENBLAS_CORETYPE", kernels)
    line = [sys.executable, "-c", PRODUCT]
    proof, program = (
        subprocess.run(line, env=one, capture_output=True, check=True, text=True, cwd=ROOT).stdout
        for one in (os.environ, environment(scratch, {}))
    )
    assert proof == program


def test_changed_files_are_seen_everywhere(tmp_path):
    for name in ("changed", "removed", "quiet"):
        (tmp_path / name).write_text("before")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/removed").write_text("before")
    watch = disk.Watch(tmp_path)
    watch.places = [tmp_path, Path("/dev/shm")]
    stamp = (tmp_path / "changed").stat()
    (tmp_path / "changed").write_text("behind")  # of one length, and with its old times
    os.utime(tmp_path / "changed", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (tmp_path / "new").write_text("new")
    (tmp_path / "inner/removed").unlink()
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed/new").write_text("new")
    shared = Path(f"/dev/shm/of-{os.getpid()}")
    shared.touch()
    changes = {one.path: one.kind for one in watch.changes([tmp_path / "allowed"])}
    shared.unlink()
    watch.close()
    assert changes.pop(str(shared)) in {"new", "changed"}
    here = {path: kind for path, kind in changes.items() if path.startswith(str(tmp_path))}
    assert set(here) == {str(tmp_path / "changed"), str(tmp_path / "new"), str(tmp_path / "inner")}
    assert here[str(tmp_path / "inner")] == "emptied"


def test_a_deleted_row_of_a_database_is_found(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "outbox.sqlite")) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE letters (content BLOB)")
        database.execute("INSERT INTO letters VALUES (?)", (CANARY,))
        database.commit()
        database.execute("DELETE FROM letters")
        database.commit()
        assert not database.execute("SELECT * FROM letters").fetchall()
        finds = disk.search(tmp_path, NEEDLES)
    assert any("-wal" in find.where for find in finds)
    assert disk.canaries_in(finds) == ["seed 6"]


def test_names_attributes_and_seams_are_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "_CHUNK", 4096)
    monkeypatch.setattr(disk, "_OVERLAP", 1024)
    (tmp_path / "seam").write_bytes(bytes(4096 - 200) + CANARY + bytes(5000))
    (find,) = disk.search_file(tmp_path / "seam", NEEDLES)
    assert (find.at, find.length) == (3896, 512)
    plain = b"a name of forty-odd known characters 0123456"
    (tmp_path / plain.decode()).touch()
    assert disk.search(tmp_path, Needles([Form("a name", "name", plain)]))
    assert not disk.search(tmp_path, Needles([Form("x", "x", np.random.default_rng(7).bytes(99))]))


def test_open_files_without_a_name_are_searched(tmp_path):
    gone = (tmp_path / "gone").open("w+b")
    gone.write(CANARY)
    gone.flush()
    (tmp_path / "gone").unlink()
    memory = os.memfd_create("caught")
    os.write(memory, CANARY[100:300])
    finds = disk.search_descriptors(os.getpid(), NEEDLES)
    gone.close()
    os.close(memory)
    assert {find.length for find in finds} == {512, 200}
    assert not disk.search_descriptors(os.getpid(), NEEDLES)
    assert disk.swap(os.getpid()).swapped_kb == 0


@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        lambda v: json.dumps(v.tolist()),
        lambda v: str(list(v[:6])),
        lambda v: " ".join(f"{x:.3f}" for x in v),
        lambda v: "\n".join(f"{x:.2f}" for x in v),
        lambda v: str(v.astype(np.float16)),
        lambda v: str(np.frombuffer(texts._stored(v)["int8"], np.int8)),
    ],
)
def test_a_template_is_found_however_a_text_prints_it(written):
    template = np.random.default_rng(1).normal(0, 1 / 16, 256).astype(np.float32)
    other = np.random.default_rng(2).normal(0, 1 / 16, 256).astype(np.float32)
    numbers = disk.Numbers({"seed 1": template, "seed 2": other})
    text = f"DEBUG device: looked at {written(template)} in 3 ms"
    assert {find.canary for find in numbers.search(text)} == {"seed 1"}
    assert not numbers.search(
        "2026-01-02 12:13:14.125 frames=100 faces=4 0.00 0.01 0.00 0.02 7 8 9"
    )


@pytest.mark.parametrize("stored", ["float32", "float16", "int8"])
@pytest.mark.parametrize("before", ["", "x", "xy"])
def test_a_template_is_found_in_base64_at_any_offset(tmp_path, stored, before):
    template = np.random.default_rng(1).normal(0, 1 / 16, 256).astype(np.float32)
    content = texts._stored(template)[stored]
    printed = [base64.b64encode(before.encode() + content + b"tail").decode(), content.hex()]
    needles = Needles(disk.text_forms(template))
    for text in printed:
        (tmp_path / "log").write_text(f"a line {text}\n")
        assert disk.search_file(tmp_path / "log", needles), text[:40]
    (tmp_path / "log").write_text(np.random.default_rng(3).bytes(4000).hex())
    assert not disk.search_file(tmp_path / "log", needles)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")
    running = Mosquitto(tmp_path_factory.mktemp("broker")).start()
    yield running
    running.stop()


@pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311])
def test_the_tap_keeps_every_byte_of_a_conversation(broker, version):
    between = Correspondents()
    will = between.device.cell(farewell_of(between))
    with wire.Tap(broker.port) as tap:
        client = mqtt.Client(CallbackAPIVersion.VERSION2, "device", protocol=version)
        client.will_set(TOPICS.of("status"), will, qos=1, retain=True)
        client.connect("127.0.0.1", tap.port)
        client.loop_start()
        told = [between.device.cell(examples_of(between, "status")), CANARY]
        for payload in told:
            client.publish(TOPICS.of("status"), payload, qos=1).wait_for_publish(10)
        client.disconnect()
        client.loop_stop()
        heard = tap.told()
    assert [one.payload for one in heard] == [will, *told]
    assert [one.will for one in heard] == [True, False, False]
    assert len(wire.said(heard[:2], between.desk)) == 2
    assert wire.faults(heard[:2], between.desk) == []
    assert "no cell" in wire.faults(heard, between.desk)[0]
    assert [find.length for find in tap.search(NEEDLES)] == [512]
    assert wire.shapes(tap)[wire.FROM_DEVICE, TOPICS.of("status"), 12288] == 2


def examples_of(between, kind):
    """Return an example of a message, from the device of the tests."""
    return replace(examples()[kind].message, source=between.topics.source)


def farewell_of(between):
    status = examples_of(between, "status")
    return replace(status, data=replace(status.data, link="offline"))


def told_by(between, kind, message):
    if kind == "status":
        cell = between.device.cell(message)
    else:
        cell = between.device.dispatch(between.device.letter(message), 0, delayed=False)
    return wire.Told(0, wire.FROM_DEVICE, between.topics.of(kind), cell)


@pytest.mark.parametrize("kind", ["alert", "record"])
def test_an_alert_or_a_record_is_a_fault(kind):
    between = Correspondents()
    told = told_by(between, kind, examples_of(between, kind))
    assert "may not leave" in wire.faults([told], between.desk)[0]
    assert wire.faults([told], between.desk, allowed=(kind,)) == []


def test_a_count_in_a_sentence_tells_two_runs_apart():
    between = Correspondents()
    status = examples_of(between, "status")
    leaky = replace(status, data=replace(status.data, reasons=["3 faces passed."]))
    quiet, loud = (
        wire.said([told_by(between, "status", one)], between.desk) for one in (status, leaky)
    )
    later = [replace_time(one) for one in quiet]
    assert wire.differences(quiet, later) == []
    assert len(wire.differences(quiet, loud)) == 2


def replace_time(said):
    event = said.event | {"time": "2030-01-01T00:00:00.000Z", "id": "another"}
    return wire.Said(9, said.topic, event, said.will)


def test_the_tap_refuses_and_hangs(broker):
    with wire.Tap(broker.port) as tap:
        with surroundings.broker_down(tap):
            wait_until(lambda: refused(tap.port))
        with surroundings.broker_down(tap, "hang"):
            sock = socket.create_connection(("127.0.0.1", tap.port))
            sock.settimeout(0.3)
            sock.sendall(b"\xc0\x00")
            with pytest.raises(TimeoutError):
                sock.recv(1)
        assert sock.recv(1) == b""
        socket.create_connection(("127.0.0.1", tap.port)).close()


def refused(port):
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def test_a_small_disk_is_really_full(tmp_path):
    if surroundings.no_small_disk():
        pytest.skip(surroundings.no_small_disk())
    (tmp_path / "state").mkdir()
    (tmp_path / "state/identity.key").write_text("kept")
    with surroundings.SmallDisk(tmp_path / "state", 1) as small:
        assert (tmp_path / "state/identity.key").read_text() == "kept"
        assert not small.refuses()
        with small.full(), pytest.raises(OSError, match="No space left"):
            (tmp_path / "state/more").write_bytes(CANARY)
        (tmp_path / "state/more").write_bytes(CANARY)
    assert not (tmp_path / "state/more").exists()


HUNGRY = """
import sys
kept = []
print("ready", flush=True)
for line in sys.stdin:
    try:
        kept.append(bytearray(50_000_000))
        print("taken", flush=True)
    except MemoryError:
        print("none left", flush=True)
    try:
        with open(line.strip(), "ab", buffering=0) as file:
            file.write(b"x" * 100)
        print("written", flush=True)
    except OSError as error:
        print(error.strerror, flush=True)
"""


def test_memory_and_files_can_be_limited_from_outside(tmp_path):
    line = [sys.executable, "-c", HUNGRY]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:

        def answer():
            process.stdin.write(f"{tmp_path}/file\n")
            return [process.stdout.readline().strip() for _ in range(2)]

        assert process.stdout.readline() == "ready\n"
        with surroundings.no_memory(process.pid, 1000):
            assert answer() == ["none left", "written"]
        with surroundings.file_limit(process.pid):
            assert answer() == ["taken", "File too large"]
        assert answer() == ["taken", "written"]
        process.stdin.close()


def unlimited_core():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)


def test_an_ordinary_program_leaves_a_core_file(tmp_path):
    if surroundings.core_pattern().startswith("|"):
        pytest.skip("core files are handed to a program here")
    line = [sys.executable, "-c", "print('ready', flush=True); input()"]
    with subprocess.Popen(
        line,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=unlimited_core,  # noqa: PLW1509 - this process has no threads that hold locks
    ) as process:
        process.stdout.readline()
        cores = surroundings.crash(process.pid, wait=process.wait)
    assert cores
    for core in cores:
        core.unlink()


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Clips of a street with strangers and without anybody, and a list with somebody else."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "photos").mkdir()
    shot = render(Person.from_seed(11), View.frontal(11), 240)
    cv2.imwrite(str(folder / "photos/p1.png"), shot.image)
    program = Path(sys.executable).with_name("passerby-desk")
    models = ["--detector", DETECTOR, "--embedder", EMBEDDER]
    line = [program, "enrol", "--photos", folder / "photos", "--out", folder / "list", *models]
    subprocess.run(line, check=True, capture_output=True)
    people = [scene([Person.from_seed(900 + 3 * n + k) for k in range(3)], n).image for n in (0, 1)]
    noise = np.random.default_rng(5).integers(40, 200, (12, 16, 3)).astype(np.uint8)
    nobody = [cv2.resize(np.roll(noise, n, 1), (640, 480)) for n in (0, 3)]
    for name, pictures in (("people", people), ("nobody", nobody)):
        out = cv2.VideoWriter(
            str(folder / f"{name}.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 15, (640, 480)
        )
        for n in range(24):
            out.write(np.roll(pictures[n // 12], 3 * n, 1))
        out.release()
    return folder


class Life:
    """A real `passerby run` with a tap before its broker."""

    def __init__(self, folder, stage, clip, tap, *, loop=False, traced=False, core=False):  # noqa: PLR0913
        self.folder, self.state, self.between = folder, folder / "state", Correspondents()
        self.state.mkdir(parents=True)
        (folder / "desk.pub").write_bytes(encode_keys(self.between.desk_keys.public))
        (self.state / "identity.key").write_bytes(encode_keys(self.between.device_keys))
        self.config = folder / "device.toml"
        self.config.write_text(
            f"""
            device = {{site = "s1", id = "d1", state_directory = "state", demonstration = true}}
            camera = {{kind = "video", path = "{stage}/{clip}.avi", loop = {str(loop).lower()}}}
            models = {{detector = "{DETECTOR}", embedder = "{EMBEDDER}"}}
            watchlist = {{path = "{stage}/list"}}
            broker = {{host = "127.0.0.1", port = {tap.port}, tls = false, keepalive_s = 5}}
            desk = {{public_keys = "desk.pub"}}
            alerts = {{cover = "off", drain_s = 1}}
            """
        )
        program = Path(sys.executable).with_name("passerby")
        self.prefix = trace.prefix(folder / "trace", contents=True) if traced else []
        self.line = [program, "--verbose", "run", "--config", self.config, "--ledger"]
        self.log = folder / "log"
        self.core = core

    def start(self):
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *self.line],
                cwd=self.folder,
                stdout=log,
                stderr=log,
                preexec_fn=unlimited_core if self.core else None,  # noqa: PLW1509
            )
        wait_until(lambda: "ready after" in self.log.read_text() or self.process.poll() is not None)
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@pytest.fixture(scope="module")
def lives(strace, stage, broker, tmp_path_factory):
    """Two traced lives, one that saw many faces and one that saw nobody."""
    found = {}
    for clip in ("people", "nobody"):
        folder = tmp_path_factory.mktemp(clip)
        with wire.Tap(broker.port) as tap:
            life = Life(folder, stage, clip, tap, traced=True)
            far = FarEnd(broker.port, life.between)
            life.start()
            assert life.process.wait(60) == 0, life.log.read_text()
            life.traced = trace.Traced.read(folder / "trace", cwd=folder)
            life.tap, life.told = tap, tap.told()
            far.close()
        found[clip] = life
    return found


def seen(life):
    return int(life.log.read_text().partition("faces seen")[2].split()[0])


def test_the_appliance_writes_to_its_state_directory_only(lives):
    life = lives["people"]
    assert seen(life) > 2
    assert life.traced.writes_outside([life.state, life.log]) == []
    assert any(one.path == str(life.state / "audit.jsonl") for one in life.traced.writes)
    assert life.traced.memory_files() <= {"memfd:notices"}
    assert life.traced.processes() == []
    assert life.traced.odd() == []


def test_the_appliance_contacts_its_broker_only(lives):
    for life in lives.values():
        strangers = {str(peer) for peer in life.traced.peers if not peer.itself}
        assert strangers == {f"AF_INET 127.0.0.1:{life.tap.port}"}


def test_nobody_can_tell_from_the_wire_whether_people_passed(lives):
    many, none = lives["people"], lives["nobody"]
    assert seen(none) == 0
    assert wire.faults(many.told, many.between.desk) == []
    first, second = (wire.said(life.told, life.between.desk) for life in (many, none))
    assert len(first) >= 3
    assert wire.differences(first, second) == []
    assert set(wire.shapes(many.tap)) == set(wire.shapes(none.tap))


def test_a_full_disk_is_noticed_and_a_broker_that_left_is_found_again(stage, broker, tmp_path):
    if surroundings.no_small_disk():
        pytest.skip(surroundings.no_small_disk())
    with wire.Tap(broker.port) as tap:
        life = Life(tmp_path / "life", stage, "people", tap, loop=True)
        far = FarEnd(broker.port, life.between)
        with surroundings.SmallDisk(life.state) as small:
            life.start()
            wait_until(lambda: states(far)[-1:] == ["comparing"], 20)
            time.sleep(0.5)  # the device has subscribed
            with small.full():
                far.send("command", life.between.command("suspend", 1))
                wait_until(lambda: states(far)[-1] == "not comparing", 20)
                wait_until(lambda: "cannot be written" in str(far.statuses[-1].data.reasons), 20)
            far.send("command", life.between.command("resume", 2))
            wait_until(lambda: states(far)[-1] == "comparing", 20)
            with surroundings.no_memory(life.process.pid, 100):
                time.sleep(0.5)
            assert life.process.poll() is None
            with surroundings.broker_down(tap):
                time.sleep(1)
            connections = len({one.connection for one in tap.bytes})
            wait_until(lambda: len({one.connection for one in tap.bytes}) > connections, 20)
            wait_until(lambda: wire.connections_of(life.process.pid) == {("tcp", tap.port)}, 20)
            assert life.end() == 0, life.log.read_text()
        far.close()
    assert "Traceback" not in life.log.read_text()


def states(far):
    return [status.data.state for status in far.statuses]


def test_a_crash_of_the_appliance_leaves_no_core_file(stage, broker, tmp_path):
    with wire.Tap(broker.port) as tap:
        life = Life(tmp_path / "life", stage, "people", tap, loop=True, core=True).start()
        assert surroundings.dump_limits(life.process.pid) == (0, 0)
        assert surroundings.crash(life.process.pid, wait=life.process.wait) == []
        assert life.process.returncode == -signal.SIGSEGV
    assert not list(tmp_path.rglob("*core*"))


class CanaryFrames:
    """A few frames of strangers, as the fake camera takes them; the proof's own are dear."""

    def __init__(self):
        people = [Person.from_seed(700 + k) for k in range(4)]
        self._image = scene(people, 3, (1280, 720)).image

    def __iter__(self):
        for number in range(3):
            image = np.roll(self._image, 12 * number, 1)
            planes = [self._planes(one) for one in (image, cv2.resize(image, (640, 360)))]
            yield CanaryFrame(seed=3, number=number, main=planes[0], lores=planes[1], faces=())

    @staticmethod
    def _planes(image):
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2YUV_I420)


@pytest.mark.parametrize("leak", [None, "a template logged", "an alert for a non-match"])
def test_a_leaky_build_is_caught_from_outside_and_a_sound_one_is_not(
    strace, broker, tmp_path, leak
):
    frames = list(CanaryFrames())
    with wire.Tap(broker.port) as tap:
        appliance = Appliance(
            tmp_path / "life",
            leak=leak,
            verbose=True,
            port=tap.port,
            wrapper=trace.prefix(tmp_path / "trace", contents=True),
        )
        with appliance:
            far = FarEnd(broker.port, appliance.between)
            assert sum(appliance.show(frame).faces for frame in frames) > 3
            appliance.stop()
            far.close()
        told = tap.told()
    traced = trace.Traced.read(tmp_path / "trace", cwd=appliance.folder)
    assert traced.writes_outside([appliance.state, appliance.stderr, appliance.stdout]) == []
    shadow = Shadow("built-in", appliance.watchlist)
    forms = [form for frame in frames for form in shadow.few(frame)]
    numbers = disk.Numbers(
        {
            f"{form.canary}, {form.kind}": np.frombuffer(form.content, np.float32)
            for form in forms
            if form.kind == "template, float32"
        }
    )
    in_log = numbers.search_file(appliance.stderr)
    on_wire = wire.faults(told, appliance.between.desk)
    caught = {"a template logged": in_log, "an alert for a non-match": on_wire}
    assert {name for name, found in caught.items() if found} == ({leak} if leak else set())
    needles = Needles(forms)
    assert needles.words
    assert disk.search(appliance.state, needles) == []
    assert tap.search(needles) == []
    assert traced.search(needles) == []

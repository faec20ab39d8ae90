"""`passerby-field models fetch`: verified or not there; what broke off goes on where it stopped."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import socket
import struct
import termios
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tools.field.main import main

ENTRY = """
[[model]]
name = "{name}"
role = "detector"
file = "operational/{name}.tflite"
sha256 = "{sha256}"
collection = "operational"
licence = "MIT"
training_data = "none"
card = "cards/{name}.md"
{more}
[model.contract]
input_shape = [1, 4, 4, 3]
input_dtype = "uint8"
colour = "BGR"
output_shapes = [[1, 2]]
"""
LARGE = os.urandom(400_000)
SMALL = os.urandom(1_000)
FILES = {"large.tflite": LARGE, "small.tflite": SMALL}


class Mirror(ThreadingHTTPServer):
    """A web server with files, honest or broken in the ways that a network is.

    cuts: for each of the next requests, the byte of the body at which the connection ends.
    cut_by: "close" ends it politely, "reset" hard, "chunk" in the middle of a chunk. ranges:
    whether it knows Range. asked: (path, Range header) of every request so far.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.ranges = True
        self.cuts = []
        self.cut_by = "close"
        self.asked = []
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Keep broken connections out of the output; the client's side is what is tested."""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.asked.append((self.path, wanted))
        data = server.files.get(self.path.rpartition("/")[2])
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if server.ranges and wanted else 0
        if data is None:
            self.send_error(404)
        elif wanted and server.ranges and start >= len(data):
            self.send_error(416)
        else:
            self.send_file(data[start:], 206 if server.ranges and wanted else 200)

    def send_file(self, body, status):
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.send_response(status)
        if cut is not None and self.server.cut_by == "chunk":
            self.protocol_version = "HTTP/1.1"
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"%x\r\n" % len(body) + body[:cut])
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        if cut is not None and self.server.cut_by == "reset":
            self.reset()

    def reset(self):
        """End the connection as a failing link does, once the client has what was sent."""
        while fcntl.ioctl(self.connection, termios.TIOCOUTQ, b"\0" * 4) != b"\0" * 4:
            time.sleep(0.001)
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()
        self.connection.close()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    mirror = Mirror()
    thread = threading.Thread(target=mirror.serve_forever, args=(0.01,))
    thread.start()
    yield mirror
    mirror.shutdown()
    thread.join()
    mirror.server_close()


@pytest.fixture
def directory(tmp_path):
    """A folder with a catalogue of two models, of which no file is here."""
    folder = tmp_path / "models"
    folder.mkdir()
    catalogue(folder)
    return folder


def catalogue(folder, more=""):
    """Write `models.toml`; more: further keys of every model."""
    entries = [
        ENTRY.format(
            name=name.removesuffix(".tflite"), sha256=hashlib.sha256(data).hexdigest(), more=more
        )
        for name, data in FILES.items()
    ]
    (folder / "models.toml").write_text("".join(entries), "utf-8")


@pytest.fixture
def mirror(tmp_path):
    """A mirror folder with both files, one of them further down."""
    folder = tmp_path / "mirror"
    (folder / "deeper").mkdir(parents=True)
    (folder / "large.tflite").write_bytes(LARGE)
    (folder / "deeper/small.tflite").write_bytes(SMALL)
    return folder


@pytest.fixture
def fetch(directory, capsys):
    """`fetch(names…, mirror=…)` → exit code and what was said; never a traceback."""

    def call(*names, mirror=None):
        source = [] if mirror is None else ["--from", str(mirror)]
        code = main(["models", "fetch", "--directory", str(directory), *source, *names])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def here(directory):
    """What is in the folder of models: name → content."""
    folder = directory / "operational"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


def part_of(directory, name="large.tflite"):
    return directory / "operational" / f"{name}.part"


def leave_part(directory, content):
    part_of(directory).parent.mkdir()
    part_of(directory).write_bytes(content)


def test_all_models_come_from_a_folder_and_from_below_it(fetch, directory, mirror):
    code, said = fetch(mirror=mirror)
    assert code == 0
    assert here(directory) == FILES
    assert said.count("SHA-256 right") == 2


def test_all_models_come_from_a_server(fetch, directory, server):
    code, _ = fetch(mirror=server.address + "/some/folder/")
    assert code == 0
    assert here(directory) == FILES
    assert [path for path, _ in server.asked] == [f"/some/folder/{name}" for name in FILES]


def test_only_the_named_model_is_fetched(fetch, directory, server):
    code, _ = fetch("small", mirror=server.address)
    assert code == 0
    assert here(directory) == {"small.tflite": SMALL}


def test_without_a_mirror_the_catalogues_address_is_used(fetch, directory, server):
    catalogue(directory, f'url = "{server.address}/upstream.bin"')
    server.files["upstream.bin"] = LARGE
    code, _ = fetch("large")
    assert code == 0
    assert here(directory) == {"large.tflite": LARGE}


def test_without_a_mirror_and_an_address_it_asks_for_one(fetch, directory):
    code, said = fetch()
    assert code == 5
    assert "large is a conversion that no upstream publishes" in said
    assert "large.tflite, with --from" in said
    assert here(directory) == {}


@pytest.mark.parametrize("cut_by", ["close", "reset", "chunk"])
def test_a_fetch_that_broke_off_says_so_and_the_next_goes_on_there(
    fetch, directory, server, cut_by
):
    server.cuts, server.cut_by = [200_000], cut_by
    code, said = fetch("large", mirror=server.address)
    assert code == 5
    assert "large could not be fetched" in said
    assert "it goes on where it stopped" in said
    assert list(here(directory)) == ["large.tflite.part"]
    came = part_of(directory).stat().st_size
    assert 0 < came <= 200_000

    code, said = fetch("large", mirror=server.address)
    assert code == 0
    assert server.asked[-1][1] == f"bytes={came}-"
    assert len(server.asked) == 2
    assert here(directory) == {"large.tflite": LARGE}


def test_a_link_that_breaks_every_time_still_gets_there(fetch, directory, server):
    server.cuts = [90_000] * 4
    codes = [fetch("large", mirror=server.address)[0] for _ in range(5)]
    assert codes == [5, 5, 5, 5, 0]
    assert here(directory) == {"large.tflite": LARGE}


def test_a_server_that_knows_no_range_sends_it_all_again(fetch, directory, server):
    server.ranges = False
    leave_part(directory, LARGE[:150_000])
    code, _ = fetch("large", mirror=server.address)
    assert code == 0
    assert server.asked == [("/large.tflite", "bytes=150000-")]
    assert here(directory) == {"large.tflite": LARGE}


def test_a_fetch_from_a_folder_goes_on_where_it_stopped(fetch, directory, mirror):
    # The part is right, so what is before it in the mirror no longer matters.
    leave_part(directory, LARGE[:150_000])
    (mirror / "large.tflite").write_bytes(b"\0" * 150_000 + LARGE[150_000:])
    code, _ = fetch("large", mirror=mirror)
    assert code == 0
    assert here(directory) == {"large.tflite": LARGE}


@pytest.mark.parametrize("stale", [b"x", b"x" * 200_000, b"x" * 400_000, b"x" * 500_000])
def test_a_part_of_another_file_is_fetched_again_from_the_start(fetch, directory, server, stale):
    leave_part(directory, stale)
    code, _ = fetch("large", mirror=server.address)
    assert code == 0
    assert here(directory) == {"large.tflite": LARGE}


@pytest.mark.parametrize("stale", [b"x", b"x" * 200_000, b"x" * 400_000, b"x" * 500_000])
def test_a_part_of_another_file_is_copied_again_from_the_start(fetch, directory, mirror, stale):
    leave_part(directory, stale)
    code, _ = fetch("large", mirror=mirror)
    assert code == 0
    assert here(directory) == {"large.tflite": LARGE}


@pytest.mark.parametrize("wrong", [b"<html>login</html>", LARGE[:-1], LARGE + b"x"])
def test_a_wrong_file_from_a_server_is_refused_and_deleted(fetch, directory, server, wrong):
    server.files["large.tflite"] = wrong
    code, said = fetch("large", mirror=server.address)
    assert code == 5
    assert f"large from {server.address} is not the file that models.toml names" in said
    assert here(directory) == {}


def test_a_wrong_file_in_a_folder_is_refused_and_deleted(fetch, directory, mirror):
    (mirror / "large.tflite").write_bytes(b"something else")
    code, said = fetch(mirror=mirror)
    assert code == 5
    assert f"large from {mirror} is not the file" in said
    assert here(directory) == {}


def test_a_wrong_file_under_the_right_name_is_replaced(fetch, directory, server):
    (directory / "operational").mkdir()
    (directory / "operational/large.tflite").write_bytes(b"something else")
    code, _ = fetch("large", mirror=server.address)
    assert code == 0
    assert here(directory) == {"large.tflite": LARGE}


def test_a_wrong_file_is_not_replaced_by_another_wrong_one(fetch, directory, server):
    (directory / "operational").mkdir()
    (directory / "operational/large.tflite").write_bytes(b"something else")
    server.files["large.tflite"] = b"another"
    code, _ = fetch("large", mirror=server.address)
    assert code == 5
    assert here(directory) == {"large.tflite": b"something else"}


def test_what_is_already_here_is_not_asked_for(fetch, directory, server, mirror):
    fetch(mirror=mirror)
    code, said = fetch(mirror=server.address)
    assert code == 0
    assert server.asked == []
    assert said.count("already here") == 2


def test_a_mirror_without_the_file_is_said(fetch, directory, mirror):
    (mirror / "large.tflite").unlink()
    code, said = fetch(mirror=mirror)
    assert code == 5
    assert f"The mirror {mirror} does not hold large.tflite." in said


def test_a_server_without_the_file_is_said(fetch, directory, server):
    del server.files["large.tflite"]
    code, said = fetch(mirror=server.address)
    assert code == 5
    assert "large could not be fetched (Not Found)" in said
    assert here(directory) == {}


@pytest.mark.parametrize("name", ["none", "large.tflite"])
def test_a_mirror_that_is_no_folder_is_said(fetch, mirror, name):
    code, said = fetch(mirror=mirror / name)
    assert code == 5
    assert f"The mirror {mirror / name} is no folder." in said


def test_a_server_that_cannot_be_reached_is_said(fetch, directory, server):
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, said = fetch(mirror=address)
    assert code == 5
    assert "large could not be fetched" in said
    assert "Connection refused" in said


@pytest.mark.parametrize(
    "address", ["http://", "http://127.0.0.1:port", "http://[::1", "http://a b/"]
)
def test_an_address_that_is_none_is_said(fetch, address):
    code, said = fetch("large", mirror=address)
    assert code == 5
    assert "large could not be fetched" in said


def test_an_unknown_model_is_named_with_those_that_there_are(fetch, directory, mirror):
    code, said = fetch("small", "huge", mirror=mirror)
    assert code == 5
    assert 'No model is called "huge"; there are: large, small.' in said
    assert here(directory) == {}


def test_a_folder_without_a_catalogue_is_said(tmp_path, capsys):
    assert main(["models", "fetch", "--directory", str(tmp_path)]) == 5
    assert str(tmp_path / "models.toml") in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_said(fetch, directory, mirror):
    (directory / "operational").write_text("a file where the folder should be")
    code, said = fetch(mirror=mirror)
    assert code == 9
    assert f"{directory / 'operational/large.tflite'} cannot be written" in said


def test_a_full_disk_is_said_and_what_came_stays(fetch, directory, mirror, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr("tools.field.download.os.fsync", full)
        code, said = fetch("large", mirror=mirror)
    assert code == 9
    assert "cannot be written (No space left on device)" in said
    assert list(here(directory)) == ["large.tflite.part"]
    assert fetch("large", mirror=mirror)[0] == 0


def test_the_list_says_what_is_missing_and_what_is_wrong(fetch, directory, mirror, capsys):
    def listed():
        code = main(["models", "list", "--directory", str(directory)])
        return code, capsys.readouterr().out

    code, said = listed()
    assert code == 1
    assert "large" in said
    fetch(mirror=mirror)
    assert listed()[0] == 0
    (directory / "operational/small.tflite").write_bytes(b"something else")
    assert listed()[0] == 1

"""`passerby run` as a user starts it: real models, real clip, real broker."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from device.protocol.alert import decode_alert
from device.protocol.status import decode_status
from tests.simulators.mosquitto import wait_until

MEMORY_MB = 200


@pytest.fixture(scope="module")
def watchlist(faces, models, command, tmp_path_factory):
    work = tmp_path_factory.mktemp("list")
    (work / "photos").mkdir()
    for photo in (faces / "video").glob("enrol_*.jpg"):
        shutil.copy(photo, work / "photos" / photo.name.removeprefix("enrol_"))
    line = [command("passerby-desk"), "enrol", "--photos", work / "photos", "--out", work / "list"]
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return work / "list"


@pytest.fixture
def passerby(scratch, watchlist, command):
    """Start `passerby run` on a clip; killed at the end of the test if it still runs."""
    started = []

    def start(clip, port, *, pace="realtime", loop=False, wait=True):
        (scratch / "device.toml").write_text(
            f"""
            [device]
            site = "s1"
            id = "d1"
            state_directory = "state"
            demonstration = true
            [camera]
            kind = "video"
            path = "{clip}"
            pace = "{pace}"
            loop = {str(loop).lower()}
            [watchlist]
            path = "{watchlist}"
            [broker]
            host = "127.0.0.1"
            port = {port}
            tls = false
            """
        )
        line = [command("passerby"), "run", "--config", scratch / "device.toml", "--ledger"]
        with (scratch / "log").open("w") as log:
            process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=log, text=True)
        started.append(process)
        if wait:
            wait_until(lambda: "ready after" in (scratch / "log").read_text())
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def _rss_mb(process):
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_a_clip_of_an_enrolled_person_becomes_an_alert(passerby, mosquitto, listen, faces, scratch):
    broker = mosquitto()
    listener = listen(broker.port)
    process = passerby(faces / "video/asl_A_help.mkv", broker.port)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    (message,) = listener.of("alert")
    assert decode_alert(bytes(message.payload)).data.reference_id == "asl_A"
    assert "alerts                    1" in output
    states = [decode_status(bytes(m.payload)).data.state for m in listener.of("status")]
    assert states[-1] == "stopped"
    assert "comparing" in states


def test_sigterm_ends_it_cleanly(passerby, mosquitto, listen, faces, scratch):
    broker = mosquitto()
    listen(broker.port)  # an alert that nobody takes would rightly end it with 8
    process = passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "frames processed" in output
    assert (scratch / "state/audit.jsonl").read_text().splitlines()[-1].count('"event":"stop"') == 1
    assert "Traceback" not in (scratch / "log").read_text()


def test_a_second_one_beside_it_is_refused(passerby, mosquitto, faces, scratch, command):
    passerby(faces / "video/asl_A_help.mkv", mosquitto().port, loop=True)
    line = [command("passerby"), "run", "--config", scratch / "device.toml"]
    second = subprocess.run(line, capture_output=True, text=True, check=False)
    assert second.returncode == 9
    assert "Another passerby runs" in second.stderr


def test_kill_9_lets_the_broker_tell(passerby, mosquitto, listen, faces):
    broker = mosquitto()
    listener = listen(broker.port)
    process = passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True)
    wait_until(lambda: any(b'"comparing"' in m.payload for m in listener.of("status")))
    process.kill()
    wait_until(lambda: b"vanished" in listener.of("status")[-1].payload)


def test_status_tells_how_it_is_while_it_runs_and_after(
    passerby, mosquitto, faces, scratch, command
):
    process = passerby(faces / "video/asl_A_help.mkv", mosquitto().port, loop=True)
    line = [command("passerby"), "status", "--config", scratch / "device.toml"]

    def status():
        return subprocess.run(line, capture_output=True, text=True, check=False)

    wait_until(lambda: status().returncode == 0)
    assert "comparing" in status().stdout
    process.kill()
    process.wait()
    assert "died" in status().stdout
    assert status().returncode == 1


def test_a_clip_that_was_cut_ends_with_a_sentence(passerby, mosquitto, listen, faces, scratch):
    whole = (faces / "video/asl_A_help.mkv").read_bytes()
    (scratch / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    broker = mosquitto()
    listener = listen(broker.port)
    process = passerby(scratch / "cut.mkv", broker.port, pace="fast", wait=False)
    process.communicate(timeout=300)
    assert process.returncode == 3
    assert len(listener.of("alert")) == 1
    log = (scratch / "log").read_text()
    assert "cut or damaged" in log
    assert "Traceback" not in log


def test_a_broker_that_never_comes_leaves_the_alert_undelivered_and_says_so(
    passerby, faces, scratch
):
    process = passerby(faces / "video/asl_A_help.mkv", 9, pace="fast", wait=False)
    process.communicate(timeout=300)
    assert process.returncode == 8
    assert "One alert was not delivered" in (scratch / "log").read_text()


def test_memory_stays_within_its_limit_and_flat(passerby, mosquitto, faces):
    process = passerby(faces / "video/asl_A_help.mkv", mosquitto().port, pace="fast", loop=True)
    time.sleep(3)
    early = _rss_mb(process)
    time.sleep(6)
    assert process.poll() is None
    assert _rss_mb(process) < MEMORY_MB
    assert _rss_mb(process) - early < 5

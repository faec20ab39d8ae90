"""`passerby run` as a user starts it: real models, real clip, real broker."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from device.protocol.keys import encode_keys
from tests.simulators.correspondents import Correspondents, FarEnd
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
def between():
    return Correspondents()


@pytest.fixture
def desk(between):
    """The far end: `desk(port)` opens what the device sends and gives receipts."""
    started = []

    def start(port):
        started.append(FarEnd(port, between))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def passerby(scratch, watchlist, command, between):
    """Start `passerby run` on a clip; killed at the end of the test if it still runs."""
    started = []

    def start(clip, port, *, pace="realtime", loop=False, wait=True, watchlist=watchlist):  # noqa: PLR0913
        (scratch / "desk.pub").write_bytes(encode_keys(between.desk_keys.public))
        (scratch / "state").mkdir(exist_ok=True)
        (scratch / "state/identity.key").write_bytes(encode_keys(between.device_keys))
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
            [desk]
            public_keys = "desk.pub"
            [alerts]
            cover = "off"
            delayed_after_s = 1
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


def test_a_clip_of_an_enrolled_person_becomes_an_alert(passerby, mosquitto, desk, faces, scratch):
    broker = mosquitto()
    far = desk(broker.port)
    process = passerby(faces / "video/asl_A_help.mkv", broker.port)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    (alert,) = far.alerts
    assert alert.data.reference_id == "asl_A"
    assert alert.data.crop.data.startswith(b"\xff\xd8")
    assert "alerts                    1" in output
    states = [status.data.state for status in far.statuses]
    assert states[-1] == "stopped"
    assert "comparing" in states
    said = (scratch / "log").read_text()
    assert "The material has ended." in said
    assert "Stopped" not in said


def test_sigterm_ends_it_cleanly(passerby, mosquitto, desk, faces, scratch):
    broker = mosquitto()
    desk(broker.port)  # an alert without a receipt would rightly end it with 8
    process = passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "frames processed" in output
    lines = (scratch / "state/audit.jsonl").read_text().splitlines()
    # A stop has its checkpoint behind it.
    assert [json.loads(line)["event"] for line in lines[-2:]] == ["stop", "checkpoint"]
    said = (scratch / "log").read_text()
    assert "Traceback" not in said
    assert "Stopped on request." in said
    assert "ended" not in said, "a clip that goes round and round has no end"


def test_a_second_one_beside_it_is_refused(passerby, mosquitto, faces, scratch, command):
    passerby(faces / "video/asl_A_help.mkv", mosquitto().port, loop=True)
    line = [command("passerby"), "run", "--config", scratch / "device.toml"]
    second = subprocess.run(line, capture_output=True, text=True, check=False)
    assert second.returncode == 9
    assert "Another passerby runs" in second.stderr


def test_kill_9_lets_the_broker_tell(passerby, mosquitto, desk, faces):
    broker = mosquitto()
    far = desk(broker.port)
    process = passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True)
    wait_until(lambda: any(status.data.state == "comparing" for status in far.statuses))
    process.kill()
    wait_until(lambda: "vanished" in str(far.statuses[-1].data.reasons))


def test_an_alert_outlives_kill_9_and_arrives_after_the_next_start(
    passerby, mosquitto, desk, faces, scratch
):
    process = passerby(faces / "video/asl_A_help.mkv", 9, loop=True)
    log = scratch / "state/audit.jsonl"
    wait_until(lambda: '"event":"alert"' in log.read_text())
    time.sleep(3.0)  # the line is written before the alert is sealed and kept
    process.kill()
    process.wait()
    broker = mosquitto()
    far = desk(broker.port)
    passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True)
    wait_until(lambda: far.alerts)
    assert far.alerts[0].data.delayed
    assert far.alerts[0].data.sequence == 1


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


def test_a_clip_that_was_cut_ends_with_a_sentence(passerby, mosquitto, desk, faces, scratch):
    whole = (faces / "video/asl_A_help.mkv").read_bytes()
    (scratch / "cut.mkv").write_bytes(whole[: len(whole) // 2])
    broker = mosquitto()
    far = desk(broker.port)
    process = passerby(scratch / "cut.mkv", broker.port, pace="fast", wait=False)
    process.communicate(timeout=300)
    assert process.returncode == 3
    assert len(far.alerts) == 1
    log = (scratch / "log").read_text()
    assert "cut or damaged" in log
    assert "Traceback" not in log


def test_a_broker_that_never_comes_leaves_the_alert_in_the_outbox_and_says_so(
    passerby, faces, scratch
):
    process = passerby(faces / "video/asl_A_help.mkv", 9, pace="fast", wait=False)
    process.communicate(timeout=300)
    assert process.returncode == 8
    assert "One alert waits in the outbox" in (scratch / "log").read_text()


def test_memory_stays_within_its_limit_and_flat(passerby, mosquitto, faces):
    process = passerby(faces / "video/asl_A_help.mkv", mosquitto().port, pace="fast", loop=True)
    time.sleep(3)
    early = _rss_mb(process)
    time.sleep(6)
    assert process.poll() is None
    assert _rss_mb(process) < MEMORY_MB
    assert _rss_mb(process) - early < 5


def test_orders_of_the_desk_are_obeyed_by_the_running_device(  # noqa: PLR0913, PLR0917 - fixtures
    passerby, mosquitto, desk, faces, scratch, watchlist, between
):
    broker = mosquitto()
    far = desk(broker.port)
    shutil.copy(watchlist, scratch / "list.bin")
    process = passerby(faces / "video/asl_A_help.mkv", broker.port, loop=True, watchlist="list.bin")
    wait_until(lambda: any(status.data.state == "comparing" for status in far.statuses))
    time.sleep(1.0)  # the device has subscribed

    suspend = between.command("suspend", 1)
    far.send("command", suspend)
    wait_until(lambda: far.statuses[-1].data.last_order == suspend.id)
    assert far.statuses[-1].data.state == "not comparing"
    far.send("command", between.command("resume", 2))
    wait_until(lambda: far.statuses[-1].data.state == "comparing")

    far.send("command", between.command("end", 3))
    wait_until(lambda: any(kind == "record" for kind, _ in far.heard))
    wait_until(lambda: not (scratch / "list.bin").exists())
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)

    # As after a power cut just behind the order: neither the list erased nor the record sent.
    shutil.copy(watchlist, scratch / "list.bin")
    orders = json.loads((scratch / "state/orders.json").read_text())
    assert orders["record_owed"] is False
    (scratch / "state/orders.json").write_text(json.dumps(orders | {"record_owed": True}))
    again = passerby(faces / "video/asl_A_help.mkv", broker.port, watchlist="list.bin", wait=False)
    again.communicate(timeout=60)
    assert again.returncode == 7
    assert not (scratch / "list.bin").exists()
    records = [message.data for kind, message in far.heard if kind == "record"]
    assert [record.alerts for record in records][1:] == ["unknown"]
    log = (scratch / "log").read_text()
    assert "The desk has ended this deployment (drill)" in log
    assert "Traceback" not in log
    audit = (scratch / "state/audit.jsonl").read_text()
    assert audit.count('"event":"order obeyed"') == 3

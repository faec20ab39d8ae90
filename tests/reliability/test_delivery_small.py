"""The proofs of delivery, small: what they claim holds, and they themselves still work."""

import argparse
import os
import signal
import subprocess
import sys

import pytest

from device.protocol.identifiers import utc_text
from device.protocol.keys import encode_keys
from device.protocol.topics import Topics
from tests.conftest import absent
from tests.reliability import amnesia, fleet, publisher, throughput
from tests.simulators import small_mqtt
from tests.simulators.desk import Desk
from tests.simulators.mosquitto import PROGRAM, Mosquitto, free_port, wait_until


@pytest.fixture(autouse=True)
def _broker():
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")


@pytest.fixture
def options(scratch):
    return argparse.Namespace(work=scratch, seed=1, quick=True)


def test_all_alerts_arrive_after_the_broker_has_forgotten_them(options, monkeypatch):
    monkeypatch.setattr(amnesia, "QUICK_COUNT", 50)
    proof = amnesia.prove(options)
    assert proof.held, proof.line()
    assert proof.figures["queues hold all"]["acknowledged"] >= 50


@pytest.mark.parametrize("tls", [False, True])
def test_a_fleet_comes_back_and_loses_nothing(options, monkeypatch, tls):
    monkeypatch.setattr(fleet, "QUICK_DEVICES", 20)
    options.tls = tls
    proof = fleet.prove(options)
    assert proof.held, proof.line()
    figures = proof.figures["tls-1.3" if tls else "plain-tcp"]
    assert (figures["alerts"], figures["online_at_the_end"]) == (40, 20)


def test_a_journey_over_tls_loses_nothing(scratch):
    road = throughput.Road(scratch / "road")
    try:
        one = road.send(30, 0)
    finally:
        road.close()
    assert (one["count"], one["lost"], one["phantom"], one["rows_twice"]) == (30, 0, 0, 0)
    assert len(one["received_ms"]) == len(one["emitted_ms"]) == len(one["submit_ms"]) == 30


class TestPublisher:
    """It is killed with -9 by other proofs: what it says it has done must be true."""

    def command(self, folder, port, *more):
        arguments = ["--folder", str(folder), "--port", str(port), *more]
        return [sys.executable, "-m", "tests.reliability.publisher", *arguments]

    def test_killed_it_has_lost_no_line_and_goes_on_with_its_outbox(self, scratch):
        port = free_port()
        desk_folder, folder = scratch / "desk", scratch / "device"
        desk_folder.mkdir()
        desk = Desk(desk_folder, port)
        keys = publisher.make_folder(folder, encode_keys(desk.keys.public))
        desk.register.add(Topics("s1", "d1"), keys, utc_text(0))
        for _ in range(2):
            process = subprocess.Popen(self.command(folder, port, "--rate", "200"))
            before = len(publisher.read_journal(folder)[1])
            wait_until(lambda n=before: len(publisher.read_journal(folder)[1]) > n + 10)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        broker = Mosquitto(scratch / "broker", port=port).start()
        desk.gateway(on_event=lambda _: None)
        subprocess.run(self.command(folder, port, "--drain"), check=True, timeout=60)
        begun, kept = publisher.read_journal(folder)
        arrived = {row.id for row in desk.rows()}
        desk.close()
        broker.stop()
        assert set(kept) <= arrived <= set(begun)
        assert len(kept) > 20

    def test_a_count_ends_it_when_all_receipts_are_there(self, scratch):
        broker = Mosquitto(scratch / "broker").start()
        (scratch / "desk").mkdir()
        desk = Desk(scratch / "desk", broker.port)
        keys = publisher.make_folder(scratch / "device", encode_keys(desk.keys.public))
        desk.register.add(Topics("s1", "d1"), keys, utc_text(0))
        desk.gateway(on_event=lambda _: None)
        report = scratch / "report.json"
        command = self.command(scratch / "device", broker.port, "--count", "5", "--rate", "0")
        subprocess.run([*command, "--report", str(report)], check=True, timeout=60)
        arrived = {row.id for row in desk.rows()}
        desk.close()
        broker.stop()
        assert arrived == set(publisher.read_journal(scratch / "device")[1])
        assert '"waiting": 0' in report.read_text()


class TestSmallMqtt:
    def test_what_it_writes_it_reads(self):
        packet = small_mqtt.publish(7, "a/b", b"x" * 300, content_type="t", retain=True)
        ((kind, flags, body),) = small_mqtt.split(bytearray(packet))
        assert (kind, flags) == (small_mqtt.PUBLISH, 0b0011)
        assert small_mqtt.read_publish(flags, body) == ("a/b", 7, b"x" * 300)

    @pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384])
    def test_packets_are_whole_however_the_bytes_come(self, size):
        packet = small_mqtt.publish(1, "t", bytes(size), content_type="t")
        buffer, found = bytearray(), []
        for at in range(0, 2 * len(packet), 97):
            buffer += (packet * 2)[at : at + 97]
            found += small_mqtt.split(buffer)
        assert [len(body) for _, _, body in found] == [len(found[0][2])] * 2
        assert not buffer

    def test_a_connack_says_the_window_among_other_properties(self):
        properties = b"\x22\x00\x05" + b"\x12\x00\x02id" + b"\x21\x00\x14" + b"\x24\x01"
        answer = small_mqtt.read_connack(b"\x01\x00" + bytes((len(properties),)) + properties)
        assert answer == small_mqtt.Accepted(0, True, 20)

    def test_an_answer_without_a_code_is_success(self):
        assert small_mqtt.read_puback(b"\x01\x02") == (258, 0)
        assert small_mqtt.read_puback(b"\x00\x02\x10\x00") == (2, 16)


def test_percentiles_and_their_interval():
    samples = list(range(1, 1001))
    assert throughput.percentile(samples, 0.5) == 501
    low, high = throughput.interval(samples, 0.99, seed=1)
    assert low <= throughput.percentile(samples, 0.99) <= high


def test_the_journal_is_written_line_by_line(scratch):
    journal = publisher.Journal(scratch / "journal")
    journal.write("I 1")
    journal.write("C 1")
    assert publisher.read_journal(scratch) == (["1"], ["1"])

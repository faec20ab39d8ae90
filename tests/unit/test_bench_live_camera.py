"""The live bench's camera: what the appliance's own source gets of it."""

import inspect
import os
import socket
import threading
import time

import numpy as np
import pytest

from device.capture.picamera import PiCameraSource
from device.errors import CameraError
from tests.simulators import picamera2 as simulated
from tools.lab.bench.live import sensor
from tools.lab.bench.live.fake import picamera2 as camera
from tools.lab.bench.live.schedule import BUFFERS, Schedule, Stretch

WIDTH, HEIGHT = 64, 32
LORES = 32, 16


@pytest.fixture
def clip(tmp_path):
    """Twelve frames, each of one brightness; the streams differ."""
    for name, (width, height), first in (("main", (WIDTH, HEIGHT), 1), ("lores", LORES, 101)):
        frames = np.arange(first, first + 12, dtype=np.uint8)[:, None, None]
        np.save(tmp_path / f"{name}.npy", np.tile(frames, (1, height * 3 // 2, width)))
    return tmp_path


class Bench:
    """A sensor in a thread, and the cable to it."""

    def __init__(self, clip, rate=100.0):
        size = (WIDTH * HEIGHT + LORES[0] * LORES[1]) * 3 // 2
        self.memory = os.memfd_create("test")
        os.ftruncate(self.memory, BUFFERS * size)
        ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        schedule = Schedule([Stretch("a", str(clip), 60)], rate)
        self.sensor = sensor.Sensor(schedule, ours, self.memory)
        self.ours = ours
        self.thread = threading.Thread(target=self.sensor.run)
        self.thread.start()

    def variable(self, width=WIDTH):
        numbers = [os.dup(self.theirs.fileno()), self.memory, width, HEIGHT, *LORES, BUFFERS]
        return ",".join(map(str, numbers))

    def stop(self):
        self.sensor.stop()
        self.thread.join()
        self.ours.close()

    def close(self):
        self.stop()
        self.theirs.close()
        os.close(self.memory)


@pytest.fixture
def bench(clip, monkeypatch):
    one = Bench(clip)
    monkeypatch.setenv(camera.VARIABLE, one.variable())
    monkeypatch.setattr(camera, "_cable", None)
    yield one
    one.close()


@pytest.fixture
def source(bench):
    one = PiCameraSource(
        width=WIDTH, height=HEIGHT, lores_width=LORES[0], frames_per_second=15, module=camera
    )
    yield one
    one.close()
    one.discard()


def test_the_appliances_own_source_gets_the_frames_of_the_clip(source):
    source.open()
    seen = []
    for _ in range(8):
        frame = source.read(2.0)
        assert frame.main.pixels.shape == (HEIGHT * 3 // 2, WIDTH)
        assert frame.lores.pixels.shape == (LORES[1] * 3 // 2, LORES[0])
        assert len(np.unique(frame.main.pixels)) == len(np.unique(frame.lores.pixels)) == 1
        assert int(frame.lores.pixels[0, 0]) - int(frame.main.pixels[0, 0]) == 100
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - frame.seconds
        assert 0 <= age_s < 60
        seen.append(frame.seconds)
        frame.release()
    assert seen == sorted(set(seen))
    source.close()


def test_frames_that_are_not_released_starve_it_and_released_ones_come_back(source, bench):
    source.open()
    held = [source.read(2.0) for _ in range(BUFFERS)]
    with pytest.raises(CameraError, match="gave no frame"):
        source.read(0.2)
    assert bench.sensor.counts.starved > 0
    for frame in held:
        frame.release()
        assert not frame.main.pixels.any()
    again = source.read(2.0)
    assert again.main.pixels.any()
    again.release()
    source.close()


def test_a_frame_that_nobody_asked_for_goes_back_at_once(source, bench):
    source.open()
    source.read(2.0).release()
    deadline = time.monotonic() + 30
    while bench.sensor.counts.unasked < 3 * BUFFERS and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bench.sensor.counts.unasked >= 3 * BUFFERS
    assert bench.sensor.counts.starved == 0
    source.close()


def test_it_starts_again_after_a_stop(source):
    for _ in range(3):
        source.open()
        frame = source.read(2.0)
        assert frame.main.pixels.any()
        frame.release()
        source.close()


def test_a_second_instance_finds_the_same_cable(source, bench):
    source.open()
    source.read(2.0).release()
    source.discard()
    source.open()
    source.read(2.0).release()
    source.close()


def _read_all(source):
    while True:
        source.read(0.3).release()


def test_a_sensor_that_is_gone_is_a_camera_that_stalls(source, bench):
    source.open()
    source.read(2.0).release()
    bench.stop()
    # One may have been on its way.
    with pytest.raises(CameraError, match="gave no frame"):
        _read_all(source)


def test_a_clip_of_another_size_is_refused(clip, monkeypatch):
    one = Bench(clip)
    monkeypatch.setattr(camera, "_cable", None)
    monkeypatch.setenv(camera.VARIABLE, one.variable(width=WIDTH // 2))
    source = PiCameraSource(
        width=WIDTH, height=HEIGHT, lores_width=LORES[0], frames_per_second=15, module=camera
    )
    try:
        with pytest.raises(CameraError, match=r"the bench's main stream is \(32, 32\)"):
            source.open()
    finally:
        one.close()


def test_without_the_bench_there_is_no_such_camera(monkeypatch):
    monkeypatch.delenv(camera.VARIABLE, raising=False)
    assert camera.Picamera2.global_camera_info() == []


def test_its_calls_are_those_of_picamera2():
    names = ("configure", "set_controls", "start", "stop", "close", "cancel_all_and_flush")
    for name in (*names, "capture_request", "create_video_configuration"):
        ours = inspect.signature(getattr(camera.Picamera2, name)).parameters
        theirs = inspect.signature(getattr(simulated.Picamera2, name)).parameters
        named = {key for key, one in ours.items() if one.kind is not one.VAR_KEYWORD}
        assert named <= set(theirs), name
    ours, theirs = (
        inspect.signature(module.MappedArray.__init__) for module in (camera, simulated)
    )
    assert list(ours.parameters) == list(theirs.parameters)


def test_a_sensor_that_slept_leaves_ticks_out(clip):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    memory = os.memfd_create("test")
    os.ftruncate(memory, BUFFERS * (WIDTH * HEIGHT + LORES[0] * LORES[1]) * 3 // 2)
    one = sensor.Sensor(Schedule([Stretch("a", str(clip), 60)], 10.0), ours, memory)
    theirs.send(camera.ORDER.pack(camera.START, 1))
    assert one._obey()
    one.counts.origin_ns -= 350_000_000
    one._tick()
    assert (one.counts.ticks, one.counts.slept) == (4, 3)
    generation, buffer, _ = camera.FRAME.unpack(theirs.recv(camera.FRAME.size))
    assert (generation, buffer) == (1, 0)
    # The frame of the tick that it woke up in, not the first one.
    assert one._buffers[0][0][0] == 4
    theirs.close()
    assert not one._obey()
    ours.close()
    os.close(memory)

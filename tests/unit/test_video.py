"""Clips as frame sources. Every clip is made here: a coloured square that moves to the right."""

import itertools

import numpy as np
import pytest

from device.capture.buffers import POOL_SIZE
from device.capture.opencv_source import FrameMaker
from device.capture.video import VideoSource
from device.errors import CameraError
from device.opencv import cv2

WIDTH, HEIGHT, STEP_PX = 128, 96, 3
WAIT_S = 5.0


def _picture(number):
    picture = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    left = number * STEP_PX
    picture[40:56, left : left + 16] = (30, 60, 220)
    return picture


def _square_left(pixels):
    """Where the square's left edge is, in pixels of a picture of any width."""
    red = pixels[:, :, 2].max(axis=0) > 120
    return int(np.argmax(red)) * WIDTH / pixels.shape[1]


@pytest.fixture
def clip(tmp_path):
    """Makes a clip: `clip(frames=20, rate=10)` → its path."""

    def make(frames=20, rate=10, name="clip.avi"):
        path = tmp_path / name
        fourcc = cv2.VideoWriter.fourcc(*"MJPG")
        writer = cv2.VideoWriter(str(path), fourcc, rate, (WIDTH, HEIGHT))
        assert writer.isOpened()
        for number in range(frames):
            writer.write(_picture(number))
        writer.release()
        return path

    return make


def _read_all(source):
    """Read to the end, releasing each frame: [(number, seconds, where the square is)]."""
    seen = []
    while (frame := source.read(WAIT_S)) is not None:
        seen.append((frame.number, frame.seconds, _square_left(frame.main.pixels)))
        frame.release()
    return seen


def test_fast_reads_every_frame_in_order(clip):
    source = VideoSource(clip(frames=20, rate=10), fast=True)
    source.open()
    seen = _read_all(source)
    source.close()
    assert [number for number, _, _ in seen] == list(range(20))
    assert [s for _, s, _ in seen] == pytest.approx([n / 10 for n in range(20)], abs=1e-3)
    assert [left for _, _, left in seen] == pytest.approx([n * STEP_PX for n in range(20)], abs=1)


def test_the_small_stream_shows_the_same_moment(clip):
    source = VideoSource(clip(frames=5), fast=True, lores_width=64)
    source.open()
    for number in range(5):
        frame = source.read(WAIT_S)
        assert frame.lores.pixels.shape == (48, 64, 3)
        assert _square_left(frame.lores.pixels) == pytest.approx(number * STEP_PX, abs=3)
        frame.release()
    source.close()


def test_decoding_uses_our_buffers_only(clip, monkeypatch):
    adopted = []
    adopt = FrameMaker._adopt
    monkeypatch.setattr(FrameMaker, "_adopt", lambda *a: (adopted.append(1), adopt(*a)))
    source = VideoSource(clip(frames=20), fast=True)
    source.open()
    memory = set()
    while (frame := source.read(WAIT_S)) is not None:
        memory.add(frame.main.pixels.ctypes.data)
        frame.release()
    source.close()
    assert len(memory) <= POOL_SIZE
    assert len(adopted) == 1  # the frame from which `open` learned the size


def test_the_frame_that_open_decoded_is_wiped(clip):
    source = VideoSource(clip(), fast=True)
    source.open()
    peeked = source._first
    assert peeked.any()
    source.read(WAIT_S).release()
    assert not peeked.any()
    source.close()


def test_closing_before_reading_wipes_the_frame_that_open_decoded(clip):
    source = VideoSource(clip(), fast=True)
    source.open()
    peeked = source._first
    source.close()
    source.close()
    assert not peeked.any()


def test_only_fast_clips_lose_no_frames(clip):
    assert not VideoSource(clip(), fast=True).live
    assert VideoSource(clip(), fast=False).live


def test_a_loop_starts_again_with_later_seconds(clip):
    source = VideoSource(clip(frames=4, rate=10), fast=True, loop=True)
    source.open()
    seen = []
    for _ in range(10):
        frame = source.read(WAIT_S)
        seen.append((frame.number, frame.seconds, _square_left(frame.main.pixels)))
        frame.release()
    source.close()
    assert [number for number, _, _ in seen] == list(range(10))
    expected = [n % 4 * STEP_PX for n in range(10)]
    assert [left for _, _, left in seen] == pytest.approx(expected, abs=1)
    seconds = [s for _, s, _ in seen]
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds))
    pauses = [seconds[4] - seconds[3], seconds[8] - seconds[7]]
    assert min(pauses) >= 1.0  # tracks must end between two passes


def test_a_clip_that_is_opened_again_goes_on_later_on_its_own_clock(clip, clock):
    """As the capture thread does after a fault; time that runs backwards breaks tracking."""
    source = VideoSource(clip(frames=6, rate=10), fast=False)
    source.open()
    for _ in range(3):
        last = source.read(WAIT_S)
        last.release()
    source.close()
    source.open()
    assert source.read(WAIT_S).seconds > last.seconds
    source.close()


class Clock:
    """`time`, for `device.capture.video`: sleeping is the only thing that takes time."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def monotonic(self):
        return self.now

    def monotonic_ns(self):
        return round(self.now * 1e9)

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("device.capture.video.time", clock)
    return clock


def test_realtime_gives_each_frame_when_it_is_due(clip, clock):
    source = VideoSource(clip(frames=6, rate=10), fast=False)
    source.open()
    times = []
    while (frame := source.read(WAIT_S)) is not None:
        times.append(clock.now - 100.0)
        frame.release()
    source.close()
    assert times == pytest.approx([n / 10 for n in range(6)], abs=1e-3)


def test_in_real_time_a_frame_is_taken_when_it_is_due_not_when_it_was_decoded(clip, clock):
    source = VideoSource(clip(frames=4, rate=10), fast=False)
    source.open()
    begun_s = clock.now
    for _ in range(3):
        frame = source.read(1.0)
        assert frame.taken_ns == pytest.approx((begun_s + frame.seconds) * 1e9, abs=1e3)
        frame.release()
    source.close()


def test_realtime_catches_up_when_processing_was_slow(clip, clock):
    source = VideoSource(clip(frames=6, rate=10), fast=False)
    source.open()
    source.read(WAIT_S).release()
    clock.now += 0.35
    clock.slept.clear()
    for _ in range(3):  # due at 0.1, 0.2 and 0.3 s: already late
        source.read(WAIT_S).release()
    assert clock.slept == [0, 0, 0]
    source.read(WAIT_S).release()
    assert clock.now - 100.0 == pytest.approx(0.4, abs=1e-3)
    source.close()


def test_fast_never_sleeps(clip, clock):
    source = VideoSource(clip(frames=6, rate=10), fast=True)
    source.open()
    assert len(_read_all(source)) == 6
    assert clock.slept == []
    source.close()


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_a_cut_clip_says_how_much_could_be_read(clip, kept):
    path = clip(frames=30)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    source = VideoSource(path, fast=True)
    source.open()
    read = []
    with pytest.raises(
        CameraError, match="of about 30 frames: the file is cut or damaged"
    ) as error:
        _read_into(read, source)
    assert 5 < len(read) < 27
    assert f"ends after {len(read)} of" in str(error.value)
    source.close()


def _read_into(read, source):
    while (frame := source.read(WAIT_S)) is not None:
        read.append(frame.number)
        frame.release()


def test_a_whole_clip_is_not_called_cut(clip):
    source = VideoSource(clip(frames=30), fast=True)
    source.open()
    assert len(_read_all(source)) == 30
    assert source.read(WAIT_S) is None
    source.close()


def _nothing(path):
    path.write_bytes(b"")


def _text(path):
    path.write_text("This is not a film.\n" * 200)


def _header_only(path):
    path.write_bytes(b"RIFF\x00\x00\x00\x00AVI LIST")


@pytest.mark.parametrize("damage", [_nothing, _text, _header_only])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_what_is_no_clip_is_a_sentence(tmp_path, capfd, damage, name):
    path = tmp_path / name
    damage(path)
    with pytest.raises(CameraError, match=r"cannot be read as a clip: it is damaged, empty or"):
        VideoSource(path, fast=True).open()
    assert capfd.readouterr() == ("", "")


def test_a_clip_cut_within_its_header_is_a_sentence(clip, capfd):
    path = clip()
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(CameraError, match="cannot be read as a clip"):
        VideoSource(path, fast=True).open()
    assert capfd.readouterr() == ("", "")


def test_a_missing_clip_is_a_sentence(tmp_path):
    with pytest.raises(CameraError, match="does not exist; give the path of a clip"):
        VideoSource(tmp_path / "missing.mp4", fast=True).open()


def test_a_folder_is_no_clip_and_it_says_what_to_do(tmp_path):
    with pytest.raises(CameraError, match="is a folder: name a clip"):
        VideoSource(tmp_path, fast=True).open()


def test_reading_before_opening_is_a_sentence(clip):
    with pytest.raises(CameraError, match="is not open"):
        VideoSource(clip(), fast=True).read(WAIT_S)


def test_frames_that_are_not_released_are_an_error(clip):
    source = VideoSource(clip(), fast=True)
    source.open()
    kept = [source.read(WAIT_S) for _ in range(POOL_SIZE)]
    with pytest.raises(CameraError, match="No frame buffer came free"):
        source.read(0.01)
    for frame in kept:
        frame.release()
    source.read(WAIT_S).release()
    source.close()

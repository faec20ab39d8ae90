"""How many threads: the rule, the sweep that feeds it, and what is kept of it."""

import hashlib
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.board import Board
from device.measured import NAME, Kept
from device.settings import ModelSettings, Settings, VisionSettings
from device.vision import Catalogue, Eye, Surroundings, threads
from device.vision.choice import choose
from device.vision.inference import RuntimeInfo
from device.vision.threads import Place, Timing, chosen, measured, swept, wanted_ms
from tests.conftest import ROOT

BOARD = Board("a board", 4)
MODEL = "ab" * 32


def timings(*wall_ms):
    return [Timing(count, ms, ms) for count, ms in enumerate(wall_ms, 1)]


class Boards:
    """Networks whose passes take what a board would need; hears which were opened."""

    def __init__(self, *wall_ms, version="1"):
        self.wall_ms, self.version = wall_ms, version
        self.opened = []

    def __call__(self, count):
        self.opened.append(count)
        return self

    @property
    def runtime(self):
        return RuntimeInfo("stand-in", self.version, "CPU", self.opened[-1])

    def timed(self, network):
        count = network.opened[-1]
        return Timing(count, self.wall_ms[count - 1], self.wall_ms[count - 1] * count)


@pytest.mark.parametrize(
    ("wall_ms", "wanted", "count"),
    [
        ((40,), 50, 1),
        ((50, 10), 50, 1),
        ((60, 45, 20), 50, 2),
        ((60, 40, 30, 25), 10, 4),
        ((60, 52), 50, 1),  # not 15 % faster
        ((60, 51), 50, 2),  # just so
        ((60, 55, 20), 50, 1),  # what does not pay is not leapt over
        ((60, 90, 95, 99), 50, 1),
    ],
)
def test_the_fewest_that_are_quick_enough_else_the_fastest_that_pays(wall_ms, wanted, count):
    assert chosen(timings(*wall_ms), wanted) == count


MS = st.floats(0.1, 1000, allow_nan=False)


@given(st.lists(MS, min_size=1, max_size=4), MS)
def test_no_thread_is_taken_that_does_not_pay_or_is_not_needed(wall_ms, wanted):
    count = chosen(timings(*wall_ms), wanted)
    taken = wall_ms[:count]
    assert all(after <= 0.85 * before for before, after in pairwise(taken))
    assert all(before > wanted for before in taken[:-1])
    if count < len(wall_ms):
        assert taken[-1] <= wanted or wall_ms[count] > 0.85 * taken[-1]


@given(st.lists(MS, min_size=4, max_size=4), MS, st.integers(1, 4))
def test_a_sweep_that_stops_early_chooses_as_one_of_all_counts_would(wall_ms, wanted, cores):
    board = Boards(*wall_ms)
    found = swept(board, cores, wanted, board.timed)
    assert chosen(found, wanted) == chosen(timings(*wall_ms[:cores]), wanted)
    assert board.opened == list(range(1, len(found) + 1))


def test_a_sweep_ends_where_it_is_quick_enough_where_it_no_longer_helps_and_at_the_cores():
    for wall_ms, cores, wanted, opened in (
        ((40, 20, 10, 5), 4, 50, 1),
        ((60, 40, 10, 5), 4, 50, 2),
        ((60, 58, 10, 5), 4, 50, 2),
        ((60, 40, 30, 20), 3, 1, 3),
        ((60, 40, 30, 20, 10), 16, 1, 4),
        ((60, 40), 0, 1, 1),
    ):
        board = Boards(*wall_ms)
        assert len(swept(board, cores, wanted, board.timed)) == opened


@pytest.mark.parametrize(("searches", "follows"), [(7.5, 5), (5, 7.5)])
def test_a_detection_may_take_half_of_the_time_between_two(searches, follows):
    vision = VisionSettings(searches_per_s=searches, follows_per_s=follows)
    assert wanted_ms(vision) == pytest.approx(500 / 7.5)


@pytest.fixture
def keeping(tmp_path, monkeypatch):
    """Return what measures a board with figures of its own, kept in one folder."""

    def of(board, *, wanted=50.0, model=MODEL, place=BOARD, folder=tmp_path):
        monkeypatch.setattr(threads, "timing_of", board.timed)
        board.opened.clear()
        return measured(board, model, wanted, Place(place, Kept(folder)))

    return of


def test_what_was_measured_is_not_measured_again(keeping, tmp_path):
    board = Boards(60, 40, 30, 20)
    assert keeping(board) == (2, "threads measured here")
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600
    assert keeping(board) == (2, "threads measured here before")
    assert board.opened == [1]  # only to know which runtime it is


@pytest.mark.parametrize(
    "other",
    [
        {"place": Board("another board", 4)},
        {"place": Board("a board", 2)},
        {"model": "cd" * 32},
        {"wanted": 45.0},
    ],
)
def test_another_board_model_or_wish_is_measured_anew(keeping, other):
    keeping(Boards(60, 40, 30, 20))
    assert keeping(Boards(60, 58, 1, 1), **other) == (1, "threads measured here")


def test_figures_of_a_busy_moment_are_used_and_not_kept(keeping, tmp_path):
    board = Boards(60, 40, 30, 20)
    quiet = board.timed
    board.timed = lambda network: msgspec.structs.replace(quiet(network), cpu_ms=39.0)
    assert keeping(board) == (2, "threads measured here")
    assert list(tmp_path.iterdir()) == []
    board.timed = quiet
    assert keeping(board) == (2, "threads measured here")
    assert keeping(board) == (2, "threads measured here before")


def test_another_version_of_the_runtime_is_measured_anew(keeping):
    keeping(Boards(60, 40))
    assert keeping(Boards(40, 40, version="2")) == (1, "threads measured here")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[: len(text) // 2],
        lambda text: b"\xff" + text,
        lambda text: text.replace(b'"threads":2', b'"threads":7'),
        lambda text: text.replace(b"40", b"-40"),
        lambda text: text.replace(b'"timings":[', b'"timings":[[],'),
        lambda text: text[: text.index(b'"timings"')] + b'"timings":[]}',
        lambda _: b"[" * 60_000,
        lambda _: b" " * 100_000,
    ],
)
def test_a_damaged_file_is_measured_anew_and_replaced(keeping, tmp_path, spoil):
    board = Boards(60, 40, 30, 20)
    keeping(board)
    file = tmp_path / NAME
    sound = file.read_bytes()
    assert spoil(sound) != sound
    file.write_bytes(spoil(sound))
    assert keeping(board) == (2, "threads measured here")
    assert file.read_bytes() == sound


def test_a_folder_that_cannot_be_written_costs_another_measurement_and_no_error(keeping, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    for _ in range(2):
        found = keeping(Boards(60, 40, 30, 20), folder=blocked)
        assert found == (2, "threads measured here")


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(keeping, tmp_path):
    target = tmp_path / "precious"
    target.write_bytes(b"mine")
    (tmp_path / NAME).symlink_to(target)
    keeping(Boards(60, 40))
    assert target.read_bytes() == b"mine"
    assert not (tmp_path / NAME).is_symlink()


@pytest.fixture(scope="module")
def built_in():
    return Catalogue.read(ROOT / "models"), ModelSettings(
        detector="passerby-detector-320x256", embedder="passerby-embedder", threads=0
    )


def test_a_real_network_is_timed_with_the_threads_it_was_opened_with(built_in):
    catalogue, models = built_in
    entry = catalogue.entry(models.detector, "detector")
    found = swept(lambda count: catalogue.open_bare(entry, count), 2, 0.0)
    assert [timing.threads for timing in found] == list(range(1, len(found) + 1))
    assert all(timing.wall_ms > 0 and timing.cpu_ms > 0 for timing in found)


def test_the_eye_says_that_its_threads_were_measured_and_keeps_the_figures(
    built_in, tmp_path, monkeypatch
):
    catalogue, models = built_in

    def on_a_quiet_machine(network, real=threads.timing_of):
        found = real(network)
        return msgspec.structs.replace(found, wall_ms=found.cpu_ms)

    monkeypatch.setattr(threads, "timing_of", on_a_quiet_machine)
    around = Surroundings(kept=Kept(tmp_path))
    eye = Eye.open(catalogue, models, VisionSettings(), around)
    assert "(threads measured here)" in str(eye.runtime)
    assert eye.runtime.threads >= 1
    kept = Kept(tmp_path).read(threads.Sweep)
    assert kept.key.model == catalogue.entry(models.detector, "detector").sha256
    assert chosen(kept.timings, kept.key.wanted_ms) == eye.runtime.threads
    again = Eye.open(catalogue, models, VisionSettings(), around)
    assert "(threads measured here before)" in str(again.runtime)


def test_a_device_keeps_its_figures_in_its_state_directory(tmp_path):
    tables = {"device": {"site": "s", "id": "d", "state_directory": str(tmp_path / "state")}}
    settings = msgspec.convert(tables | {"camera": {"kind": "usb", "farthest_m": 3}}, Settings)
    around = Surroundings.of(settings)
    assert around.camera.farthest_m == 3
    assert around.authorised is None
    around.kept.keep(threads.Sweep(threads.Key("b", 1, "r", "1", MODEL, 1.0), timings(1)))
    assert [file.name for file in (tmp_path / "state").iterdir()] == [NAME]


def test_with_a_compiled_file_for_a_coral_nothing_is_measured(built_in, tmp_path):
    catalogue, models = built_in
    entry = catalogue.entry(models.detector, "detector")
    (tmp_path / "compiled.tflite").write_bytes(b"compiled")
    digest = hashlib.sha256(b"compiled").hexdigest()
    entry = msgspec.structs.replace(entry, edge_tpu_file="compiled.tflite", edge_tpu_sha256=digest)
    there = Catalogue(tmp_path, [entry])  # the portable file is not even here
    found = choose(there, models, VisionSettings(), Surroundings())
    assert (found.threads, found.notes) == (
        1,
        ("threads not measured: there is a model for an Edge TPU",),
    )


def test_a_count_that_is_set_is_neither_measured_nor_kept(built_in, tmp_path):
    catalogue, models = built_in
    models = type(models)(detector=models.detector, embedder=models.embedder, threads=2)
    eye = Eye.open(catalogue, models, VisionSettings(), Surroundings(kept=Kept(tmp_path)))
    assert str(eye.runtime).endswith("2 threads")
    assert list(tmp_path.iterdir()) == []

"""The live bench's schedule, clips and figures."""

import msgspec
import numpy as np
import pytest

from device.errors import StorageError
from tools.lab.bench.clip import Passage, Truth, write_truth
from tools.lab.bench.live import figures, observation, reels, said, sensor
from tools.lab.bench.live.appliance import Ended, Heard
from tools.lab.bench.live.notes import Letter, Processed
from tools.lab.bench.live.schedule import Schedule, Stretch
from tools.lab.bench.live.watch import Glance
from tools.lab.bench.live.workloads import figures as figures_of

# --- The schedule ---------------------------------------------------------------------------------


def test_a_schedule_goes_round_and_round():
    schedule = Schedule([Stretch("a", "x", 0.2), Stretch("b", "y", 0.3)], rate=10)
    assert [schedule.at(tick) for tick in range(6)] == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (1, 2),
        (0, 0),
    ]


def test_a_schedule_is_read_as_it_was_written(tmp_path):
    schedule = Schedule([Stretch("a", "x", 0.2)], rate=7.5)
    schedule.write(tmp_path / "one")
    assert Schedule.read(tmp_path / "one") == schedule


@pytest.mark.parametrize("content", [b"", b"{}", b'{"stretches": 3}', b"\xff"])
def test_what_is_no_schedule_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "one").write_bytes(content)
    with pytest.raises(StorageError, match="holds no schedule"):
        Schedule.read(tmp_path / "one")


# --- The clips ------------------------------------------------------------------------------------


def test_a_spliced_clip_shows_enrolled_people_only_and_is_made_once(tmp_path):
    folder = tmp_path / "walker-1"
    (folder / "references").mkdir(parents=True)
    for name in ("ref-1", "ref-2", "ref-3"):
        (folder / f"references/{name}.png").write_bytes(b"x")
    frames = np.arange(30, dtype=np.uint8)[:, None, None]
    np.save(folder / "main.npy", np.tile(frames, (1, 48, 64)))
    np.save(folder / "lores.npy", np.tile(frames + 100, (1, 24, 32)))
    np.save(folder / "seconds.npy", np.arange(30) / 15)
    passages = [
        Passage("stranger-1", enrolled=False, first=0, last=9),
        Passage("ref-2", enrolled=True, first=10, last=20),
        Passage("ref-1", enrolled=True, first=20, last=29),
    ]
    write_truth(folder, Truth("walker", (64, 32), (32, 16), passages))
    made = reels._spliced(folder)
    shown = np.load(made / "main.npy")[:, 0, 0].tolist()
    assert shown == [*range(13, 21), *range(23, 30)]
    assert np.load(made / "lores.npy")[:, 0, 0].tolist() == [100 + number for number in shown]
    before = (made / "main.npy").stat().st_mtime_ns
    assert reels._spliced(folder) == made
    assert (made / "main.npy").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    # Only those whom the clips show are enrolled.
    assert [photo.stem for photo in reels.photos({"returning": made})] == ["ref-1", "ref-2"]


# --- Figures --------------------------------------------------------------------------------------


def test_percentiles_of_known_samples():
    found = figures.spread([float(n) for n in range(1, 102)])
    assert (found.number, found.p50, found.p95, found.p99, found.most) == (101, 51, 96, 100, 101)
    assert figures.spread([]) == figures.Spread(0, 0, 0, 0, 0)


def test_the_interval_of_a_percentile_covers_the_truth():
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(40):
        found = figures.p99(rng.exponential(1.0, 1000).tolist())
        assert found.low <= found.value <= found.high
        covered += found.low <= -np.log(0.01) <= found.high
    assert covered >= 30
    with pytest.raises(ValueError, match="Without samples"):
        figures.p99([])


def test_growth_of_a_leak_is_found_and_noise_is_none():
    rng = np.random.default_rng(4)
    seconds = np.arange(1800.0)
    noise = rng.normal(0, 0.3, len(seconds))
    leak = figures.growth(seconds, 140 + 6 * seconds / 3600 + noise)
    assert leak.low <= 6 <= leak.high
    assert leak.low > 4
    steady = figures.growth(seconds, 140 + noise)
    assert steady.low <= 0.2
    assert steady.high >= -0.2
    assert steady.high - steady.low < 1
    with pytest.raises(ValueError, match="at least 20"):
        figures.growth([1.0] * 19, [1.0] * 19)


def _seen(**changes):
    """A run of 100 s: idle and busy stretches of 10 s, three alerts, one of which came twice."""
    glances = [
        Glance(100.0 + n, 150.0 + (n >= 5), 10.0, 151.0, 0.1 * n, 5, 16 + (n == 0), None)
        for n in range(100)
    ]
    frames = [
        Processed(n * 10**9, n * 10**9 + 2_000_000, n * 10**9 + 30_000_000, 25_000_000)
        for n in range(100, 200)
    ]
    ms = 1_000_000
    letters = [Letter(n, 0, 1000 * ms + 20 * ms, 1000 * ms + 90 * ms) for n in (1, 2)]
    letters.append(Letter(3, 0, 1000 * ms + 40 * ms, None))
    heard = [Heard(n, 1000 * ms, 1000 * ms + 60 * ms, "ref") for n in (1, 2, 3)]
    heard.append(Heard(2, 1000 * ms, 9000 * ms, "ref"))
    ledger = [
        "frames processed       100",
        "alerts                    3",
        "too old, unread           2",
    ]
    values = {
        "schedule": Schedule([Stretch("idle", "x", 10), Stretch("busy", "y", 10)], 10.0),
        "broker": "Mosquitto",
        "suite": "x25519",
        "cover": "off",
        "list_size": 2,
        "ready_s": (1.0, 1.1),
        "origin_ns": 100 * 10**9,
        "glances": glances,
        "frames": frames,
        "letters": letters,
        "waiting": [(1, 1), (2, 2), (3, 1)],
        "heard": heard,
        "ended": Ended(0, ledger, sensor.Counts(1, 1000)),
        "events": {},
        "load": 0.5,
    }
    return observation.Observation(**(values | changes))


def test_a_repetition_counts_once_and_the_first_one_counts():
    found = observation.delivery(_seen())
    assert (found.raised, found.received) == (3, 3)
    assert found.received_ms.most == 60
    assert (found.queued_ms.p50, found.queued_ms.most) == (20, 40)
    assert (found.receipted_ms.number, found.receipted_ms.most) == (2, 90)
    assert (found.waiting_most, found.waiting_end) == (2, 1)


def test_nothing_heard_is_no_figure():
    found = observation.delivery(_seen(heard=[], letters=[], waiting=[]))
    assert (found.received, found.received_ms.number, found.received_p99_ms) == (0, 0, None)


def test_memory_leaves_the_cameras_buffers_out():
    found = observation.memory(_seen())
    assert (found.start_mb, found.tenth_mb, found.end_mb, found.most_mb) == (140, 141, 141, 141)
    assert found.buffers_mb == 10
    # Too short for a slope.
    assert found.growth_mb_h is None
    longer = [msgspec.structs.replace(one, at_s=one.at_s * 10) for one in _seen().glances]
    assert observation.memory(_seen(glances=longer)).growth_mb_h.value == pytest.approx(0, abs=0.01)


def test_ages_and_work_go_to_the_stretch_that_was_shown():
    found = observation.stretches(_seen())
    assert set(found) == {"idle", "busy"}
    assert found["idle"].ended_ms.number == found["busy"].ended_ms.number == 50
    assert found["idle"].began_ms.p50 == 2
    assert found["idle"].ended_ms.most == 30
    assert found["busy"].work_ms.p99 == 25
    assert found["busy"].core == pytest.approx(0.1)


def test_figures_of_a_run_can_be_said_and_written():
    found = figures_of(_seen())
    assert (found.late, found.descriptors, found.threads, found.celsius) == (
        2,
        (16, 16),
        (5, 5),
        None,
    )
    words = "\n".join(said.lines(found))
    assert "alerts raised 3, received 3" in words
    assert "memory at the end 141.0 MB" in words
    assert msgspec.json.decode(msgspec.json.encode(found))["delivery"]["raised"] == 3


def test_a_ledger_without_a_line_says_so():
    assert observation.counted(_seen(ended=Ended(0, [], sensor.Counts())), "alerts") == -1

"""The contest: everybody in turn, nobody twice, and who cannot take part is named."""

import pytest

from device.errors import ConfigurationError
from tests.simulators.bench import clip, passage, run
from tools.lab.bench.contest import Conditions, Contested, RawRun, contest, turned
from tools.lab.bench.costs import Spread, costs, per_track, stage_shares
from tools.lab.bench.process import WorkerError


class Server:
    """A contestant's process that notes when it was shown what."""

    def __init__(self, name, said, absent="", fails_at=None):
        self.name, self.said, self.absent, self.fails_at = name, said, absent, fails_at
        self.closed = 0
        self.shown = 0

    def versions(self):
        return f"the {self.name}", {"library": "1.0"}

    def enrol(self, stills):
        return [still.stem for still in stills][:1]

    def show(self, folder):
        self.shown += 1
        if self.shown == self.fails_at:
            raise WorkerError(f"The process of {self.name} ended.")
        self.said.append((self.name, folder.name))
        return run(folder.name)

    def close(self):
        self.closed += 1


def contested(tmp_path, names, repeats=3, *, warm=False, clips=("c",), **odd):
    said, servers = [], {}
    folders = [clip(tmp_path / name, name=name, frames=2 + k) for k, name in enumerate(clips)]

    def start(name):
        servers[name] = Server(name, said, **odd.get(name, {}))
        return servers[name]

    return contest(names, folders, Conditions(repeats, warm=warm), start), said, servers


def test_repeats_are_interleaved_and_the_order_turns(tmp_path):
    result, said, servers = contested(tmp_path, ["a", "b", "c"])
    assert [name for name, _ in said] == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert [(r.contestant, r.repeat, r.place) for r in result.runs] == [
        *(("a", 0, 0), ("b", 0, 1), ("c", 0, 2)),
        *(("b", 1, 0), ("c", 1, 1), ("a", 1, 2)),
        *(("c", 2, 0), ("a", 2, 1), ("b", 2, 2)),
    ]
    assert all(server.closed == 1 for server in servers.values())


def test_in_each_repeat_every_clip_is_shown_to_all_before_the_next(tmp_path):
    _, said, _ = contested(tmp_path, ["a", "b"], 2, clips=("x", "y"))
    assert said == [
        *(("a", "x"), ("b", "x"), ("a", "y"), ("b", "y")),
        *(("b", "x"), ("a", "x"), ("b", "y"), ("a", "y")),
    ]


def test_the_warm_up_shows_the_shortest_clip_and_does_not_count(tmp_path):
    result, said, _ = contested(tmp_path, ["a"], 1, warm=True, clips=("short", "long"))
    assert said == [("a", "short"), ("a", "short"), ("a", "long")]
    assert len(result.runs) == 2


def test_who_is_absent_is_named_and_the_others_run(tmp_path):
    result, said, servers = contested(
        tmp_path, ["a", "b"], 1, b={"absent": "dlib is not installed."}
    )
    assert result.absent == {"b": "dlib is not installed."}
    assert result.names == {"a": "the a"}
    assert result.enrolled == {"a": 1}
    assert said == [("a", "c")]
    assert servers["b"].closed == 1


def test_who_fails_on_the_way_is_out_and_its_earlier_runs_are_kept(tmp_path):
    result, said, servers = contested(tmp_path, ["a", "b"], 3, b={"fails_at": 2})
    assert result.absent == {"b": "The process of b ended."}
    assert [name for name, _ in said] == ["a", "b", "a", "a"]
    assert [r.repeat for r in result.runs if r.contestant == "b"] == [0]
    assert servers["b"].closed == 1


def test_a_process_that_does_not_start_is_absent(tmp_path):
    def start(name):
        raise WorkerError(f"{name} cannot be started.")

    result = contest(["a"], [clip(tmp_path / "c")], Conditions(1), start)
    assert result.absent == {"a": "a cannot be started."}
    assert not result.runs


def test_clips_with_other_lists_do_not_take_part_together(tmp_path):
    folders = [clip(tmp_path / "c"), clip(tmp_path / "d", references=("ref-3",))]
    with pytest.raises(ConfigurationError, match="same references"):
        contest([], folders, Conditions(1))
    with pytest.raises(ConfigurationError, match="needs a clip"):
        contest([], [], Conditions(1))
    with pytest.raises(ConfigurationError, match='"nobody": ours'):
        contest(["nobody"], folders[:1], Conditions(1))


def test_turning_an_order():
    assert turned(["a", "b", "c"], 4) == ["b", "c", "a"]
    assert turned([], 4) == []


# Costs


def _told(seconds, clip_name="c"):
    """seconds: of each repeat, per contestant; 10 frames each."""
    runs = [
        RawRun(name, repeat, 0, run(clip_name, cpu_s))
        for name, each in seconds.items()
        for repeat, cpu_s in enumerate(each)
    ]
    return Contested(runs=runs)


def test_costs_are_medians_and_ratios_are_of_pairs():
    ours, other = costs(_told({"ours": [1.0, 2.0, 4.0], "other": [3.0, 10.0, 8.0]}), "ours")
    assert ours.cpu_ms == Spread(200, 100, 400)
    assert ours.ratio == Spread(1, 1, 1)
    assert other.cpu_ms == Spread(800, 300, 1000)
    # 3/1, 10/2 and 8/4: not the ratio of the medians, which would be 4.
    assert other.ratio == Spread(3, 2, 5)


def test_a_repeat_that_the_base_lacks_has_no_ratio():
    _, other = costs(_told({"ours": [2.0], "other": [3.0, 100.0]}), "ours")
    assert other.ratio == Spread(1.5, 1.5, 1.5)
    assert other.repeats == 2
    (alone,) = costs(_told({"other": [3.0]}), "ours")
    assert alone.ratio is None


def test_costs_come_clip_by_clip():
    both = _told({"a": [1.0], "b": [1.0]}, "x")
    both.runs += _told({"a": [1.0], "b": [1.0]}, "y").runs
    both.runs.sort(key=lambda raw: raw.contestant)
    assert [(c.clip, c.contestant) for c in costs(both, "a")] == [
        *(("x", "a"), ("x", "b")),
        *(("y", "a"), ("y", "b")),
    ]


def test_no_value_has_no_spread():
    with pytest.raises(ValueError, match="no value"):
        Spread.of([])


def test_templates_per_track_of_strangers_and_of_the_enrolled():
    passages = [
        passage("s1", {}, counts=(4, 1)),
        passage("s2", {}, counts=(6, 3)),
        passage("ref-1", {}, enrolled=True, counts=(9, 1)),
    ]
    result = Contested(runs=[RawRun("ours", 0, 0, run("c", passages=passages))])
    found = per_track(result, "ours", "c")
    assert found["strangers"].embedded_per_track == 2.5
    assert found["strangers"].passages == 2
    assert found["enrolled"].embedded_per_track == 9
    assert per_track(result, "ours", "other") == {}


def test_shares_of_stages_add_up_to_all():
    figures = {"stage: detect": 3.0, "stage: rest": 1.0, "tracks": 7.0}
    result = Contested(runs=[RawRun("ours-stages", 0, 0, run("c", figures=figures))])
    shares = stage_shares(result, "ours-stages", "c")
    assert {name: spread.median for name, spread in shares.items()} == {
        "detect": 0.75,
        "rest": 0.25,
    }

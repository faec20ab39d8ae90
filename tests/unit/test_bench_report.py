"""What a benchmark leaves: its record, a Pi's range, its page."""

import argparse
import json

import pytest

from device.errors import ConfigurationError, PasserbyError, StorageError
from device.vision import default_directory
from tools.lab.bench import command, page, page_device, page_live
from tools.lab.bench.arguments import bench_arguments
from tools.lab.bench.estimate import (
    PUBLISHED,
    Range,
    agreed,
    factors,
    of_code,
    of_network,
    total,
)
from tools.lab.bench.macs import mmac_of
from tools.lab.bench.markdown import number, spread, table
from tools.lab.bench.record import Record, read_record

DETECTOR = default_directory() / "built-in/passerby-detector-320x256.tflite"


def test_the_operations_of_a_network_are_those_of_its_convolutions():
    # Checked by hand: the same network at another size costs as its pixels.
    large = default_directory() / "built-in/passerby-detector-640x480.tflite"
    assert mmac_of(large) / mmac_of(DETECTOR) == pytest.approx(640 * 480 / (320 * 256), rel=1e-6)


def test_every_published_figure_makes_a_range_of_how_much_slower_a_pi_is():
    (name, anchor), *_ = PUBLISHED.items()
    (found,) = factors({name: [1.0, 2.0, 3.0], "unknown": [1.0]})
    assert found == Range(anchor.ms / 2, anchor.ms * anchor.threads / 2)
    assert factors({}) == []


def test_what_all_anchors_allow_is_taken_and_their_span_where_they_contradict():
    assert agreed([Range(5, 20), Range(10, 40)]) == Range(10, 20)
    assert agreed([Range(1, 2), Range(3, 4)]) == Range(1, 4)


def test_a_networks_range_spans_both_ways():
    by_operations = of_network(1.0, 221.0, [])
    assert by_operations.pi4_ms.high == pytest.approx(72.0)
    both = of_network(1.0, 221.0, [Range(100, 200)])
    assert both.pi4_ms == Range(by_operations.pi4_ms.low, 200)
    assert both.pi5_ms.high < both.pi4_ms.high
    assert both.pi5_ms.low < both.pi4_ms.low


def test_other_code_needs_an_anchor_and_stages_add_up():
    assert of_code(1.0, []) is None
    one = of_code(2.0, [Range(5, 10), Range(6, 20)])
    assert one.pi4_ms == Range(10, 40)
    assert total([one, one]).pi4_ms == Range(20, 80)
    assert total([one, one]).here_ms == 4.0


def test_numbers_show_three_digits_that_count():
    shown = [number(value) for value in (0, 0.01234, 0.1234, 1.234, 12.34, 1234.5)]
    assert shown == ["0.00", "0.0123", "0.123", "1.23", "12.3", "1,234"]
    assert spread([3.0, 1.0, 2.0]) == "2.00 (1.00–3.00)"
    assert table(["a"], []) == ""


def test_a_record_keeps_what_it_has_after_every_part(tmp_path):
    record = Record(tmp_path / "out")
    record.add("steps", {"gate": [1.0]})
    record.leave_out("dlib", "It is not installed.")
    found = read_record(record.path)
    assert found["steps"] == {"gate": [1.0]}
    assert found["absent"] == {"dlib": "It is not installed."}


@pytest.mark.parametrize("content", [None, b"", b"[]", b"\xff", b'{"a": '])
def test_what_is_no_record_is_one_sentence(tmp_path, content):
    file = tmp_path / "bench.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StorageError):
        read_record(file)


def _options(tmp_path, *words):
    parser = argparse.ArgumentParser()
    bench_arguments(parser)
    return parser.parse_args(["--out", str(tmp_path / "out"), *words])


def test_a_part_that_cannot_be_measured_is_named_and_the_others_are_written(tmp_path, monkeypatch):
    def fails(_):
        raise PasserbyError("The camera is away.")

    parts = {"machine": lambda _: {"board": "a board"}, "steps": fails, "idle": fails}
    monkeypatch.setattr(command, "PARTS", parts | {"search": lambda _: SEARCH})
    asked = ("--only", "steps", "--only", "search")
    assert command.run(_options(tmp_path, *asked)) == 1
    found = read_record(tmp_path / "out/bench.json")
    assert found["absent"] == {"steps": "The camera is away."}
    text = (tmp_path / "out/benchmarks.md").read_text("utf-8")
    assert "a board" in text
    assert "The camera is away." in text
    assert "comparison with 2,000 references, plain list: at most 0.1 ms | 0.050 ms | yes" in text


@pytest.mark.parametrize("words", [("--repeats", "0"), ("--soak", "nan"), ("--only", "nothing")])
def test_what_cannot_be_measured_is_refused_before_anything_is(tmp_path, words):
    with pytest.raises(ConfigurationError):
        command.run(_options(tmp_path, *words))
    assert not (tmp_path / "out").exists()


SEARCH = {"plain list": {2000: [50.0]}, "protected list": {2000: [150.0]}}
SPREAD = {"number": 10, "p50": 1.0, "p95": 2.0, "p99": 3.0, "most": 4.0}
RUN = {
    "minutes": 2.0,
    "late": 0,
    "descriptors": [10, 11],
    "stretches": {
        "twenty": {"core": 0.5, "began_ms": SPREAD, "ended_ms": SPREAD, "work_ms": SPREAD}
    },
    "memory": {
        "start_mb": 100,
        "end_mb": 110,
        "most_mb": 120,
        "buffers_mb": 10,
        "growth_mb_h": None,
    },
    "delivery": {
        "raised": 3,
        "received": 3,
        "received_ms": SPREAD,
        "receipted_ms": SPREAD,
        "received_p99_ms": {"value": 3.0, "low": 2.0, "high": 4.0},
        "waiting_most": 1,
        "waiting_end": 0,
    },
    "seen": {
        "suite": "x25519",
        "schedule": {"stretches": [{"name": "idle", "clip": "/home/somebody/clips/idle-1"}]},
        "cover": "off",
        "list_size": 2000,
        "frames": [[1, 2, 3]],
        "ended": {"camera": {"ticks": 100}},
    },
}


def test_the_page_answers_what_was_asked_and_says_no_where_it_is_no():
    found = {"search": SEARCH_AS_READ, "twenty": RUN, "memory": RUN, "latency": RUN, "machine": {}}
    text = page.page(found)
    assert "protected list: at most 0.1 ms | 0.150 ms | **no** |" in text
    assert "oldest 4 ms; 0 alerts waiting at the end | yes |" in text
    assert "at most 150 MB | 120 MB | yes |" in text
    assert "p99 from capture to alert received" in text


SEARCH_AS_READ = json.loads(json.dumps(SEARCH))


def test_parts_that_were_not_measured_are_left_out():
    assert page.page({"machine": {}}).count("##") == 0
    assert page_live.live({}) == ""


def test_the_search_section_leaves_the_protected_list_empty_above_its_cap():
    found = {"search": {"plain": {"2000": [1.0], "10000": [2.0]}, "protected": {"2000": [3.0]}}}
    assert "| 10,000 | 2.00 (2.00–2.00) |  |" in page_device.search(found)


def test_what_goes_into_the_repository_has_all_runs_and_no_single_frames():
    run = {"cpu_s": 1.0, "frame_ms": [1.0] * 10}
    kept = json.loads(
        command.published({"contest": {"runs": [{"run": run}]}, "soak": RUN, "at": "x"})
    )
    assert kept["contest"]["runs"] == [{"run": {"cpu_s": 1.0}}]
    assert "frames" not in kept["soak"]["seen"]
    assert kept["soak"]["seen"]["suite"] == "x25519"
    assert "somebody" not in json.dumps(kept)
    assert "frame_ms" in run


def test_records_of_parts_that_ran_apart_are_joined(tmp_path):
    paths = []
    for name, section in (("search", SEARCH), ("twenty", RUN)):
        record = Record(tmp_path / name)
        record.add(name, section)
        record.leave_out(f"not {name}", "It is away.")
        paths.append(str(record.path))
    assert command.run(_options(tmp_path, "--page", *paths)) == 0
    found = read_record(tmp_path / "out/bench.json")
    assert {"search", "twenty"} <= found.keys()
    assert found["absent"] == {"not search": "It is away.", "not twenty": "It is away."}
    assert "Twenty faces at once" in (tmp_path / "out/benchmarks.md").read_text("utf-8")

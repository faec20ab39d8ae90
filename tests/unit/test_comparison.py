import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import WatchlistError
from device.matching import Candidate, Gallery, Limits, compare, scores_of
from device.protocol.watchlist import DemonstrationList, Reference
from device.vision.sample import Probe
from tests.simulators.street import SHA, template, watchlist

LIMITS = Limits(0.8, 0.05, "test")


def _unit(values):
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


def _list(templates, dimension=8):
    references = [Reference(name, [t.tobytes() for t in rows]) for name, rows in templates.items()]
    return DemonstrationList("l", 1, "t", "e", SHA, dimension, references)


def test_the_nearest_reference_is_returned_with_its_lead():
    gallery = Gallery(watchlist([10, 60, 110]), SHA)
    candidate = compare(gallery, Probe(template(61)), LIMITS)
    assert candidate is not None
    assert candidate.reference_id == "ref-60"
    expected = np.sort(scores_of(gallery, template(61)[np.newaxis])[0])
    assert candidate.score == pytest.approx(expected[-1], abs=1e-6)
    assert candidate.margin == pytest.approx(expected[-1] - expected[-2], abs=1e-6)


def test_below_the_threshold_nothing_is_returned():
    assert compare(Gallery(watchlist([10, 60]), SHA), Probe(template(140)), LIMITS) is None


def test_two_look_alikes_are_no_candidate():
    gallery = Gallery(watchlist([60, 62]), SHA)
    assert compare(gallery, Probe(template(61)), LIMITS) is None
    assert compare(gallery, Probe(template(61)), Limits(0.8, 0.0, "test")) is not None


def test_several_templates_of_one_reference_count_as_their_mean_and_not_as_rivals():
    a, b = _unit([3, 4, 0, 0, 0, 0, 0, 0]), _unit([3, -4, 0, 0, 0, 0, 0, 0])
    gallery = Gallery(_list({"one": [a, b]}), SHA)
    assert gallery.matrix[0] == pytest.approx([1, 0, 0, 0, 0, 0, 0, 0])
    candidate = compare(gallery, Probe(a), Limits(0.5, 0.05, "test"))
    assert candidate == Candidate("one", pytest.approx(0.6), pytest.approx(1.6))


def test_a_longer_template_of_one_reference_counts_no_more_than_a_shorter_one():
    a, b = _unit([3, 4, 0, 0, 0, 0, 0, 0]), _unit([3, -4, 0, 0, 0, 0, 0, 0])
    matrix = Gallery(_list({"one": [7 * a, b]}), SHA).matrix
    assert matrix[0] == pytest.approx([1, 0, 0, 0, 0, 0, 0, 0], abs=1e-6)


def test_a_weak_photographs_scores_are_raised_and_a_strong_ones_lowered_by_half():
    one, two = np.eye(8, dtype="f4")[:2]
    matrix = Gallery(_list({"weak": [8 * one], "strong": [32 * two]}), SHA).matrix
    # The mean length is 20: the roots of 20/8 and 20/32.
    assert matrix[0, 0] == pytest.approx(1.5811388)
    assert matrix[1, 1] == pytest.approx(0.7905694)


def test_only_the_ratio_of_lengths_counts():
    one, two = np.eye(8, dtype="f4")[:2]
    small = Gallery(_list({"a": [one], "b": [2 * two]}), SHA).matrix
    large = Gallery(_list({"a": [50 * one], "b": [100 * two]}), SHA).matrix
    assert small == pytest.approx(large)


def test_a_list_of_one_has_no_rival():
    candidate = compare(Gallery(watchlist([60]), SHA), Probe(template(60)), LIMITS)
    assert candidate is not None
    assert candidate.margin == pytest.approx(2.0, abs=1e-5)


def test_a_probe_that_is_not_finite_is_no_candidate():
    probe = Probe(np.full(16, np.nan, np.float32))
    assert compare(Gallery(watchlist([60]), SHA), probe, LIMITS) is None


def test_a_wiped_gallery_matches_nobody():
    gallery = Gallery(watchlist([60]), SHA)
    gallery.wipe()
    assert compare(gallery, Probe(template(60)), LIMITS) is None


def test_the_matrix_is_contiguous_float32():
    matrix = Gallery(watchlist([10, 60]), SHA).matrix
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous
    assert matrix.flags.writeable


def test_a_list_of_another_embedder_is_refused():
    with pytest.raises(WatchlistError, match="another embedder"):
        Gallery(watchlist([10]), "cd" * 32)


@pytest.mark.parametrize("bad", [np.zeros(8), np.full(8, np.nan), np.full(8, np.inf)])
def test_templates_without_a_direction_are_refused(bad):
    with pytest.raises(WatchlistError, match="without a direction"):
        Gallery(_list({"one": [bad.astype("f4")]}), SHA)


def test_templates_that_cancel_each_other_out_are_refused():
    row = np.eye(8, dtype="f4")[0]
    with pytest.raises(WatchlistError, match="one contradict each other"):
        Gallery(_list({"one": [row, -row]}), SHA)


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_it_agrees_with_the_formula_one_by_one(seed, count):
    rng = np.random.default_rng(seed)
    rows = {
        f"r{i}": [_unit(rng.normal(size=8)) for _ in range(rng.integers(1, 4))]
        for i in range(count)
    }
    probe = _unit(rng.normal(size=8))
    limits = Limits(0.3, 0.02, "test")
    means = {name: _unit(np.mean(templates, axis=0)) for name, templates in rows.items()}
    best = sorted(((score, name) for name, score in _slowly(means, probe)), reverse=True)
    candidate = compare(Gallery(_list(rows), SHA), Probe(probe), limits)
    lead = best[0][0] - (best[1][0] if len(best) > 1 else -1.0)
    if abs(best[0][0] - 0.3) < 1e-4 or abs(lead - 0.02) < 1e-4:
        return
    expected = best[0][1] if best[0][0] >= 0.3 and lead >= 0.02 else None
    assert (candidate.reference_id if candidate else None) == expected


def _slowly(rows, probe):
    """Score a probe by the formula of `device.matching.cohort`, one reference at a time."""

    def level(template, name):
        others = sorted((float(row @ template) for other, row in rows.items() if other != name))
        return float(np.mean(others[-10:])) if others else 0.0

    levels = {name: level(row, name) for name, row in rows.items()}
    mean = np.mean(list(levels.values()))
    weight = (len(rows) - 1) / (len(rows) + 9)
    for name, row in rows.items():
        above = levels[name] - mean + level(probe, name) - mean
        yield name, float(row @ probe) - weight / 2 * above


def _looking(first, second):
    """Return a probe whose second crop is counted."""
    looks = []

    def again():
        looks.append(1)
        if second is None:
            raise ValueError("no second crop")
        return second.copy()

    return Probe(first.copy(), again), looks


def test_a_probe_that_comes_near_is_looked_at_once_more():
    gallery = Gallery(watchlist([60, 110]), SHA)
    first, second = template(66), template(60)
    plain = compare(gallery, Probe(first.copy()), Limits(0.1, 0.0, "test"))
    probe, looks = _looking(first, second)
    closer = compare(gallery, probe, Limits(0.1, 0.0, "test", second_crop_from=0.2))
    assert looks == [1]
    mean = _unit(first + second)
    assert closer.score == pytest.approx(float(scores_of(gallery, mean[np.newaxis]).max()))
    assert closer.score > plain.score


def test_a_probe_far_from_everybody_is_not_looked_at_again():
    probe, looks = _looking(template(140), template(60))
    limits = Limits(0.8, 0.0, "test", second_crop_from=0.9)
    assert compare(Gallery(watchlist([10, 60]), SHA), probe, limits) is None
    assert looks == []


def test_a_second_crop_that_fails_leaves_the_first():
    gallery = Gallery(watchlist([60, 110]), SHA)
    probe, looks = _looking(template(61), None)
    plain = compare(gallery, Probe(template(61)), LIMITS)
    assert compare(gallery, probe, Limits(0.8, 0.05, "test", second_crop_from=0.2)) == plain
    assert looks == [1]


def test_a_wiped_probe_lets_go_of_the_picture():
    probe, looks = _looking(template(61), template(60))
    probe.wipe()
    assert not probe.look_closer()
    assert looks == []
    assert not probe.template.any()


def _looking_twice(first, exact, second):
    """Return a probe that can be looked at in both ways, and which were asked for, in order."""
    asked = []

    def look(name, template):
        def give():
            asked.append(name)
            if isinstance(template, Exception):
                raise template
            return None if template is None else template.copy()

        return give

    return Probe(first.copy(), look("crop", second), look("look", exact)), asked


NEAR = Limits(0.8, 0.05, "test", second_crop_from=0.6, second_look_from=0.4)


def test_a_stranger_is_not_looked_at_again():
    probe, asked = _looking_twice(template(140), template(60), template(60))
    assert compare(Gallery(watchlist([10, 60]), SHA), probe, NEAR) is None
    assert asked == []


def test_a_probe_that_comes_near_is_looked_at_again_and_then_cut_out_another_way():
    gallery = Gallery(watchlist([60, 110]), SHA)
    probe, asked = _looking_twice(template(64), template(62), template(60))
    candidate = compare(gallery, probe, NEAR)
    assert asked == ["look", "crop"]
    # To the last bit what a look before the first comparison would have given.
    before, _ = _looking_twice(template(62), None, template(60))
    assert compare(gallery, before, NEAR) == candidate
    assert np.array_equal(probe.template, before.template)


def test_a_probe_that_is_far_at_its_exact_landmarks_gets_no_second_crop():
    gallery = Gallery(watchlist([60, 110]), SHA)
    probe, asked = _looking_twice(template(60), template(140), template(60))
    assert compare(gallery, probe, NEAR) is None
    assert asked == ["look"]
    assert np.array_equal(probe.template, template(140))


@pytest.mark.parametrize("found", [None, ValueError("outside")])
def test_a_second_look_that_finds_nothing_leaves_the_first_template(found):
    gallery = Gallery(watchlist([60, 110]), SHA)
    probe, asked = _looking_twice(template(61), found, ValueError("outside"))
    assert compare(gallery, probe, NEAR) == compare(gallery, Probe(template(61)), NEAR)
    assert asked == ["look", "crop"]
    assert np.array_equal(probe.template, template(61))


def test_a_second_look_that_breaks_leaves_no_scores(monkeypatch):
    made = []

    def kept(gallery, templates):
        made.append(scores_of(gallery, templates))
        return made[-1]

    monkeypatch.setattr("device.matching.comparison.scores_of", kept)
    probe, _ = _looking_twice(template(61), RuntimeError("fault injected"), None)
    with pytest.raises(RuntimeError, match="injected"):
        compare(Gallery(watchlist([60, 110]), SHA), probe, NEAR)
    assert len(made) == 1
    assert not made[0].any()


def test_each_look_is_taken_once_and_wipes_what_it_brought():
    brought = []

    def exact():
        brought.append(template(60))
        return brought[-1]

    probe = Probe(template(61), None, exact)
    assert probe.look_again()
    assert np.array_equal(probe.template, template(60))
    assert not brought[0].any()
    assert not probe.look_again()


def test_a_wiped_probe_is_not_looked_at_again():
    probe, asked = _looking_twice(template(61), template(60), template(60))
    probe.wipe()
    assert not probe.look_again()
    assert asked == []

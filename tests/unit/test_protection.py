"""Templates bound to a deployment's key: what stays exact, what cannot be linked (R55, R57)."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.errors import WatchlistError
from device.matching import protection
from device.matching import rotation as turning
from device.matching.protection import Session, Transformation, block_of, protect, width_of
from tests.conftest import ROOT
from tests.simulators.sealed import plain, probes, templates
from tools.lab.protection.accuracy import agreement, renewal
from tools.lab.protection.attacks import ATTACKS
from tools.lab.protection.command import lines, measure
from tools.lab.protection.cost import cost
from tools.lab.protection.linkage import (
    KEYS,
    Lists,
    auc,
    d_sys,
    link,
    linked_levels,
    whole,
)
from tools.lab.protection.people import rendered

SEED = bytes(range(32))
POWER = 4.0


@pytest.fixture(scope="module")
def people():
    return rendered(32)


def protected(rows, seed=SEED):
    gallery = plain(rows)
    transformation = Transformation(seed, rows.shape[1], len(rows))
    return gallery, transformation, protect(gallery.matrix, gallery.offsets(), transformation)


def as_stored(transformation, stored, seen):
    """Compare stored rows as they are: probes turned by each block's rotation."""
    size = block_of(transformation.dimension)
    padded = np.pad(seen, ((0, 0), (0, 2)))
    parts = [stored[start : start + size] for start in range(0, len(stored), size)]
    turned = [padded @ rotation for rotation in transformation.rotations]
    return np.hstack([probe @ part.T for probe, part in zip(turned, parts, strict=True)])


def test_rotations_are_the_keys_and_nothing_else():
    one, again = Transformation(SEED, 16, 40), Transformation(bytearray(SEED), 16, 40)
    other = Transformation(bytes(32), 16, 40)
    assert one.rotations.shape == (3, 18, 34)
    assert np.array_equal(one.rotations, again.rotations)
    assert np.abs(one.rotations - other.rotations).max() > 0.1
    assert np.abs(one.rotations[0] - one.rotations[1]).max() > 0.1
    for rotation in one.rotations:
        assert rotation @ rotation.T == pytest.approx(np.eye(18), abs=1e-6)


def test_rotations_stay_what_they_are_for_lists_that_are_out_there():
    made = Transformation(SEED, 8, 8)
    assert made.rotations[0, 0, :3] == pytest.approx(
        [-0.17108327, 0.00525393, -0.08896148], abs=1e-6
    )


def test_the_deviates_are_normal():
    found = turning.gaussians(SEED, 0, (1000, 1001)).ravel()
    assert abs(found.mean()) < 5 / 1000
    assert found.var() == pytest.approx(1, abs=0.01)
    shares = [(found < edge).mean() for edge in (-2, -1, 0, 1, 2)]
    assert shares == pytest.approx([0.02275, 0.15866, 0.5, 0.84134, 0.97725], abs=0.003)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 100), st.sampled_from([8, 31, 64]))
def test_scores_and_offsets_are_those_of_the_plain_list(seed, count, dimension):
    rows = templates(count, seed, dimension)
    gallery, transformation, stored = protected(rows)
    seen = probes(rows, seed)
    exact = seen @ gallery.matrix.T
    assert as_stored(transformation, stored, seen) == pytest.approx(exact, abs=2e-5)
    session = Session(SEED, dimension, stored)
    assert session.scores(seen) == pytest.approx(exact, abs=1e-5)
    assert session.offsets == pytest.approx(gallery.offsets(), abs=1e-5)


@pytest.mark.parametrize(("count", "dimension"), [(1, 8), (2, 64), (65, 64), (70, 31)])
def test_a_session_is_the_list_under_one_rotation(count, dimension):
    gallery, _, stored = protected(templates(count, 3, dimension))
    kept = stored.copy()
    session = Session(SEED, dimension, stored)
    ((rotation,),) = (session.rotations,)
    assert rotation @ rotation.T == pytest.approx(np.eye(dimension), abs=1e-5)
    of_block = Transformation(SEED, dimension, 1).rotations[0, :dimension, :dimension]
    assert np.abs(rotation - of_block).max() > 0.1
    assert session.rows == pytest.approx(gallery.matrix @ rotation, abs=1e-5)
    assert np.abs(session.rows - gallery.matrix).max() > 0.1
    assert np.array_equal(stored, kept)
    again = Session(bytearray(SEED), dimension, stored)
    assert np.array_equal(again.buffer.array, session.buffer.array)


def test_all_of_a_session_lies_in_its_locked_memory_and_is_wiped():
    _, _, stored = protected(templates(70))
    session = Session(SEED, 64, stored)
    kept = (session.rows, session.offsets, session.rotations, session._blocks)
    assert session.buffer.locked
    for array in kept:
        assert array.any()
        assert np.shares_memory(array, session.buffer.array)
    session.wipe()
    assert not any(array.any() for array in kept)
    assert session.buffer.wiped


@pytest.mark.parametrize("row", [3, 69])
def test_a_session_of_rows_that_do_not_fit_is_refused_and_wiped(monkeypatch, row):
    made = []
    buffers = protection.LockedBuffer

    def watched(size):
        made.append(buffers(size))
        return made[-1]

    monkeypatch.setattr(protection, "LockedBuffer", watched)
    _, _, stored = protected(templates(70))
    of_stored = len(made)
    stored[row] *= 1.01
    with pytest.raises(WatchlistError, match="do not fit its key"):
        Session(SEED, 64, stored)
    assert len(made) == of_stored + 2
    assert all(buffer.wiped for buffer in made[of_stored:])


# R55
def test_stored_rows_of_a_block_say_nothing_of_who_resembles_whom():
    rows = templates(150)
    gallery, _, stored = protected(rows)
    size = block_of(64)
    assert stored.shape == (150, width_of(64))
    for start in range(0, 150, size):
        part = stored[start : start + size].astype(np.float64)
        expected = POWER * size * np.eye(len(part))
        assert part @ part.T == pytest.approx(expected, abs=1e-3)
    assert np.abs(gallery.matrix @ gallery.matrix.T - np.eye(150)).max() > 0.3


def test_a_list_of_one_is_blinded_too():
    _, _, stored = protected(templates(1))
    assert np.linalg.norm(stored) == pytest.approx((POWER * 64) ** 0.5, rel=1e-5)


def test_templates_too_uneven_to_be_blinded_are_refused():
    rows = np.repeat(templates(1), 64, axis=0)
    rows[:63] *= 1e-2
    with pytest.raises(WatchlistError, match="differ too much in length"):
        protected(rows)


# R57
def test_whoever_has_the_key_has_the_templates():
    gallery, transformation, stored = protected(templates(64))
    undone = stored @ transformation.rotations[0][:64].T
    assert undone == pytest.approx(gallery.matrix, abs=1e-4)


TEXTS = sorted(
    path
    for place in ("device", "tools", "docs", "models", "firmware_config")
    for path in (ROOT / place).rglob("*")
    if path.suffix in {".py", ".md", ".toml", ".yaml"} and path.name != "compliance.md"
)


def promises(text):
    """Words that promise more than encryption does; "not irreversible" promises nothing."""
    return re.findall(
        r"(?<!not )(?<!never )(?<!no )\b(?:irreversibl\w+|irreversibility|non-invertibl\w+)", text
    )


def test_nothing_is_called_irreversible():
    assert promises("Templates are irreversible.") == ["irreversible"]
    assert promises("encrypted and keyed, not irreversible") == []
    found = {
        str(path.relative_to(ROOT)): said
        for path in [*TEXTS, *ROOT.glob("*.md")]
        if (said := promises(" ".join(path.read_text("utf-8").lower().split())))
    }
    assert found == {}
    account = (ROOT / "docs/watchlist-protection.md").read_text("utf-8")
    assert "encrypted and keyed, not irreversible" in " ".join(account.split())


# R55
@pytest.mark.parametrize("attack", ATTACKS)
def test_two_deployments_lists_of_the_same_photographs_cannot_be_linked(people, attack):
    lists = Lists("same", people.references, people.references)
    found = link("Passerby", attack, lists, np.random.default_rng(1))
    assert found.hits < 9  # one by chance: nine or more once in a million
    assert found.auc == pytest.approx(0.5, abs=5 * 0.29 / 32**0.5)
    assert found.d_sys < found.chance + 0.15


@pytest.mark.parametrize("count", [150, 400])
def test_nor_can_longer_lists_than_a_block(count):
    rows = templates(count, seed=count)
    for attack in ATTACKS:
        found = link("Passerby", attack, Lists("", rows, rows), np.random.default_rng(1))
        assert found.hits < 9, attack
        assert found.auc == pytest.approx(0.5, abs=5 * 0.29 / count**0.5), attack


def test_the_attack_links_what_is_only_rotated(people):
    lists = Lists("same", people.references, people.references)
    found = link("one rotation", "resemblances", lists, np.random.default_rng(1))
    assert found.hits == 32
    assert (found.auc, found.d_sys) == (1, pytest.approx(1))


def test_the_attack_strips_random_numbers_off_long_lists():
    rng = np.random.default_rng(4)
    rows = rng.normal(size=(1200, 128)).astype(np.float32)
    found = whole(rows, 600, "one rotation and 64 random numbers")
    assert found.correlation < 0.2
    assert found.stripped > 0.8
    assert found.learnt > 0.95


def test_levels_beside_the_rows_would_link_everybody(people):
    lists = Lists("same", people.references, people.references)
    assert linked_levels(lists, np.random.default_rng(1)).hits == 32


def test_two_versions_of_a_list_under_one_key_cannot_be_linked(people):
    lists = Lists("", people.references, people.references, (KEYS[0], KEYS[0]), (1, 2))
    rng = np.random.default_rng(1)
    assert link("one rotation", "stored rows", lists, rng).hits == 32
    assert link("Passerby", "stored rows", lists, rng).hits < 9


def test_even_the_order_of_two_whole_lists_and_half_their_templates_tell_nothing():
    found = whole(templates(400, seed=2), 200, "Passerby")
    assert abs(found.correlation) < 5 * found.sigma
    assert abs(found.stripped) < 6 * found.sigma
    assert abs(found.learnt) < 5 * (64 * 200) ** -0.5
    assert whole(templates(400, seed=2), 200, "one rotation").learnt > 0.99


# R55
def test_with_a_new_key_the_old_list_is_refused_and_its_rows_find_nobody(people):
    found = renewal(people.references, people.probes, people.owner)
    assert found.refused
    assert found.best < 9
    assert found.auc == pytest.approx(0.5, abs=5 * 0.29 / 32**0.5)


def test_protection_changes_no_candidate(people):
    found = agreement(people.references, people.probes, people.scale.threshold, people.margin)
    assert found.comparisons == 32 * 32
    assert found.largest < 1e-5
    assert found.same_best == found.same_candidates == 32


def test_unlinkability_is_measured_as_published():
    rng = np.random.default_rng(3)
    same = rng.normal(size=5000)
    assert d_sys(same, rng.normal(size=50_000)) < 0.06
    assert d_sys(same + 100, same) == pytest.approx(1)
    assert d_sys(np.zeros(10), np.ones(10)) == pytest.approx(1)
    # Two normals one apart: the integral of D over the mated ones, by numbers.
    grid = np.linspace(-8, 9, 20001)
    mated, non_mated = (np.exp(-((grid - k) ** 2) / 2) for k in (1, 0))
    above = np.maximum((mated - non_mated) / (mated + non_mated), 0)
    expected = float((above * mated).sum() / mated.sum())
    assert d_sys(same + 1, rng.normal(size=50_000)) == pytest.approx(expected, abs=0.05)
    assert auc(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == pytest.approx(0.875)


def test_the_command_measures_and_prints_everything(people, monkeypatch):
    monkeypatch.setattr("tools.lab.protection.cost._REPEATS", 2)
    figures = measure(people, (20, 32), np.random.default_rng(1))
    text = "\n".join(lines(figures))
    assert "whole lists of 32, Passerby" in text
    assert "another key: list refused" in text
    assert [each.references for each in figures.costs] == [20, 32]
    assert figures.costs[0].file_bytes == figures.costs[1].file_bytes
    assert len({(one.lists, one.scheme, one.attack, one.people) for one in figures.links}) == len(
        figures.links
    )


def test_a_cost_is_of_the_whole_way(monkeypatch):
    monkeypatch.setattr("tools.lab.protection.cost._REPEATS", 2)
    found = cost(templates(30))
    assert found.seal_s > 0
    assert found.open_s > 0
    assert found.locked
    assert found.ratio > 0

"""A little of `python -m tests.reliability.cover`; what it finds by statistics takes the whole."""

import numpy as np
import pytest

from tests.conftest import absent
from tests.reliability import cover
from tests.reliability.cover import aucs, ks_distances, ks_p, ranks_of
from tests.simulators.mosquitto import PROGRAM

SIZE = cover.Size(devices=4, blocks=4, block_s=4.0)
_SURELY = 1e-6
"""So that a test that is made at every change does not fail by chance."""


@pytest.fixture(autouse=True)
def _broker():
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")


def test_a_busy_device_and_an_idle_one_look_alike_at_the_broker(scratch):
    found = cover.look(scratch / "run", SIZE, seed=3)
    assert not [what for what in found.told if what not in found.verdicts]
    assert found.topics == [f"passerby/v1/s1/+/{kind}" for kind in ("alert", "receipt", "status")]
    cells = {name: v.asymptotic for name, v in found.verdicts.items() if name.startswith("alert")}
    assert min(cells.values()) > _SURELY, cells
    assert min(found.cells) > 100


def test_two_milliseconds_between_alert_and_dummy_are_seen(scratch):
    found = cover.look(scratch / "run", SIZE, seed=3, leak="late")
    assert found.verdicts["alert against dummy, offset from the beat"].ks < cover.LEVEL


def test_alerts_without_cover_are_seen(scratch):
    small = cover.Size(devices=2, blocks=2, block_s=2.0)
    assert "other counts" in cover.look(scratch / "run", small, seed=3, leak="off").told


def _distance(one, other):
    order = np.argsort(np.concatenate([one, other]), kind="stable")
    return ks_distances(np.arange(len(order))[order] < len(one))


class TestStatistics:
    def test_the_same_distribution_is_rarely_told_apart(self):
        rng = np.random.default_rng(1)
        ps = [
            ks_p(_distance(rng.normal(size=300), rng.normal(size=400)), 300, 400)
            for _ in range(300)
        ]
        assert 0.01 < sum(p < 0.05 for p in ps) / 300 < 0.09

    def test_the_distance_is_the_largest_between_the_two_distributions(self):
        assert _distance([1, 2, 3, 4], [3.5, 5, 6]) == 0.75
        assert _distance([1, 2], [3, 4]) == 1

    def test_p_is_that_of_the_published_distribution(self):
        # Kolmogorov's 5 % point is 1.358 for large samples.
        assert abs(ks_p(1.358 / np.sqrt(50_000), 100_000, 100_000) - 0.05) < 0.003

    def test_auc_counts_pairs_and_halves_ties(self):
        ranks, labels = ranks_of([1, 2, 2, 3]), np.array([False, False, True, True])
        assert aucs(ranks, labels) == (1 + 1 + 0.5 + 1) / 4

    @pytest.mark.parametrize("swap", [True, False])
    def test_a_small_shift_is_seen_and_none_is_not(self, swap):
        rng = np.random.default_rng(2)
        for shift, told in ((0.5, True), (0.0, False)):
            samples = [
                cover.Sample(
                    f"d{n % 8}", n // 80, bool(n % 2), None, rng.normal() + shift * (n % 2)
                )
                for n in range(1600)
            ]
            labels = [sample.busy for sample in samples]
            assert cover.compare(samples, labels, rng, swap=swap).told is told


class TestTap:
    def test_packets_are_cut_wherever_the_bytes_were(self):
        whole = b"\x40\x02\x00\x07" + b"\x32\x85\x01\x00\x01a\x00\x09" + b"x" * 128
        rest, found = bytearray(), []
        for at in range(0, len(whole), 3):
            rest.extend(whole[at : at + 3])
            found += cover._packets(rest)
        assert b"".join(found) == whole
        assert [cover._read(packet) for packet in found] == [(4, "", 7), (3, "a", 9)]

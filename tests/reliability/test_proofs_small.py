"""The proofs that have no test of their own, small: kill -9, power cuts, 72 hours offline."""

import argparse

import pytest

from tests.conftest import absent
from tests.reliability import chaos, outage, power
from tests.simulators.disk import CannotSimulate, Disk
from tests.simulators.mosquitto import PROGRAM


@pytest.fixture
def options(scratch):
    return argparse.Namespace(work=scratch, seed=1, quick=True)


@pytest.fixture
def _disk():
    try:
        Disk().close()
    except CannotSimulate as reason:
        pytest.skip(str(reason))


def test_kill_9_loses_nothing_and_makes_nothing_up(options):
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")
    proof = chaos.prove(options)
    assert proof.held, proof.line()


@pytest.mark.usefixtures("_disk")
@pytest.mark.parametrize("prove", [power.prove, outage.prove], ids=["power", "outage"])
def test_the_disk_keeps_what_was_promised(options, prove):
    proof = prove(options)
    assert proof.held, proof.line()

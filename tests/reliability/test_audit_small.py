"""The proofs of the audit log, small: what they claim holds, and they themselves still work."""

import argparse
import dataclasses

import pytest

from device.audit.tail import read_tail
from tests.reliability import audit


@pytest.fixture
def options(scratch):
    return argparse.Namespace(work=scratch, seed=1, quick=True)


@pytest.mark.parametrize("prove", [audit.kills, audit.cuts, audit.tampering])
def test_the_log_outlives_what_happens_to_it_and_shows_what_was_done_to_it(options, prove):
    proof = prove(options)
    assert proof.held, proof.line()


def test_the_proof_of_tampering_notices_a_verifier_that_looks_away(options, monkeypatch):
    monkeypatch.setattr("device.audit.verify.Verifier._continues", lambda *_: None)
    monkeypatch.setattr("device.audit.verify.authentic", lambda *_: True)
    assert not audit.tampering(options).held


def test_the_proof_of_cuts_notices_a_log_that_does_not_end_what_was_unfinished(
    options, monkeypatch
):
    monkeypatch.setattr("device.audit.log.read_tail", _careless)
    assert not audit.cuts(options).held


def _careless(file):
    return dataclasses.replace(read_tail(file), cut_bytes=0)

"""A short run of the outbox's stateful model; the long one is in `make proof-delivery`."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.reliability.outbox_model import OutboxModel
from tests.simulators.disk import CannotSimulate, Disk


def test_the_outbox_does_what_its_model_does():
    try:
        Disk().close()
    except CannotSimulate as reason:
        pytest.skip(str(reason))
    run_state_machine_as_test(
        OutboxModel,
        settings=settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

"""The outbox against its stateful model, for long: no divergence."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.reliability.outbox_model import OutboxModel
from tests.reliability.proof import Proof

RUNS, QUICK_RUNS, STEPS = 6000, 60, 50


def prove(options):
    runs = QUICK_RUNS if options.quick else RUNS
    OutboxModel.steps = 0
    rules = settings(
        max_examples=runs,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    divergence = "none"
    try:
        run_state_machine_as_test(OutboxModel, settings=rules)
    except AssertionError as error:
        divergence = str(error).splitlines()[0] if str(error) else "an assertion failed"
    return Proof(
        "outbox model",
        "the outbox does what a model of it does, faults and power cuts among the steps",
        divergence == "none",
        {"runs": runs, "steps on the outbox": OutboxModel.steps, "divergence": divergence},
    )

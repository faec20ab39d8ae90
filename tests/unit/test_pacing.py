"""What is said of a step: at once, in words of a closed list, and nothing of who passes."""

from itertools import product

import pytest

from device.capture.frame import Frame
from device.governor import HOT_DWELL_S, LATE_DWELL_S, PATIENCE_S, steps_for
from device.pacing import (
    BLIND,
    BLIND_AFTER_S,
    COOLED,
    HEAT,
    LOAD,
    SAID_FOR_S,
    TOO_HOT,
    UNKNOWN,
    WEAK_POWER,
    Pacing,
)
from device.settings import VisionSettings
from device.temperature import Thermometer
from device.vision.effort import full_effort
from tests.simulators.board import folder

S = 10**9
VISION = VisionSettings()
STEPS = {step.number: step for step in steps_for(full_effort(VISION), small_detector=True)}
SENTENCES = {
    " ".join(
        [
            step.sentence,
            *(text for text, said in zip((LOAD, HEAT, UNKNOWN), which, strict=True) if said),
        ]
    )
    for step in STEPS.values()
    for which in product((False, True), repeat=3)
}


class Case:
    """A pacing with a clock of the test's own and a folder for /sys."""

    def __init__(self, tmp_path, *, live=True, vision=VISION, celsius=45.0):
        self.now_ns = 1000 * S
        self.sys = folder(tmp_path, celsius, flags=0)
        self.notes = []
        self.pacing = Pacing(
            vision,
            small_detector=True,
            live=live,
            note=lambda event, **details: self.notes.append((event, details)),
            thermometer=Thermometer(self.sys),
            now_ns=lambda: self.now_ns,
        )

    def runs(self, seconds, age_s=0.05, rate=5):
        """Process frames of one age; return the different things that were said."""
        said = []
        for _ in range(round(seconds * rate)):
            self.now_ns += S // rate
            self.pacing.tend()
            self.pacing.done(self.now_ns - round(age_s * S))
            if not said or said[-1] != self.pacing.pace:
                said.append(self.pacing.pace)
        assert {pace.sentence for pace in said} <= SENTENCES
        return said


@pytest.fixture
def case(tmp_path):
    return Case(tmp_path)


def test_all_is_well_at_full_effort(case):
    (said,) = case.runs(60)
    assert (said.step, said.of, said.sentence) == (0, 4, "Full effort.")
    assert case.pacing.effort == full_effort(VISION)
    assert case.pacing.reasons == []
    assert case.notes == []


def test_a_temperature_that_is_not_known_is_said(tmp_path):
    (said,) = Case(tmp_path, celsius=None).runs(10)
    assert said.sentence == f"Full effort. {UNKNOWN}"


# --- Late frames ----------------------------------------------------------------------------------


def test_late_frames_are_said_at_once_and_for_an_hour_after(case):
    case.runs(LATE_DWELL_S + 2, age_s=0.5)
    assert case.pacing.pace.step == 1
    assert case.pacing.effort == STEPS[1].effort
    assert LOAD in case.pacing.pace.sentence
    case.runs(5 * PATIENCE_S)
    assert case.pacing.effort == full_effort(VISION)
    assert case.pacing.pace.step == 1
    case.runs(SAID_FOR_S)
    assert case.pacing.pace.step == 0
    assert case.pacing.pace.sentence == "Full effort."


def test_a_second_crowd_within_the_hour_is_not_said(case):
    case.runs(LATE_DWELL_S + 2, age_s=0.5)
    before = case.pacing.pace
    said = case.runs(5 * PATIENCE_S)
    said += case.runs(2, age_s=0.5)
    assert case.pacing.effort == STEPS[1].effort
    said += case.runs(5 * PATIENCE_S)
    assert [pace for pace in said if pace != before] == []


def test_late_frames_leave_no_line(case, caplog):
    case.runs(4 * LATE_DWELL_S + 2, age_s=0.5)
    assert case.pacing.pace.step == 4
    assert case.notes == []
    assert caplog.records == []


def test_of_a_file_no_frame_is_late_or_too_old(tmp_path):
    case = Case(tmp_path, live=False)
    case.runs(60, age_s=5.0)
    assert case.pacing.pace.step == 0
    assert not case.pacing.too_old(case.now_ns - 3600 * S)


# --- Heat -----------------------------------------------------------------------------------------


def test_heat_is_said_while_it_lasts_and_noted(case, caplog):
    folder(case.sys, 80)
    case.runs(HOT_DWELL_S + 4)
    assert case.pacing.pace.step == 1
    assert case.pacing.pace.sentence == f"{STEPS[1].sentence} {HEAT}"
    folder(case.sys, 50)
    case.runs(PATIENCE_S + 4)
    assert case.pacing.pace.step == 0
    assert case.notes == [
        ("slowed by heat", {"step": 1, "reason": f"{STEPS[1].sentence} {HEAT}"}),
        ("slowed by heat", {"step": 0, "reason": COOLED}),
    ]
    assert [record.getMessage() for record in caplog.records] == [
        details["reason"] for _, details in case.notes
    ]


def test_throttling_by_the_firmware_is_heat(case):
    folder(case.sys, 60, flags=0x4)
    case.runs(HOT_DWELL_S + 4)
    assert case.pacing.pace.step == 1


def test_a_board_that_is_too_hot_compares_nothing(case):
    folder(case.sys, 86)
    case.runs(4)
    assert case.pacing.reasons == [TOO_HOT]
    assert case.pacing.pace.step == 4
    folder(case.sys, 60)
    case.runs(4)
    assert case.pacing.reasons == []
    assert [details["reason"] for _, details in case.notes] == [
        TOO_HOT,
        f"{STEPS[4].sentence} {HEAT}",
    ]


def test_late_frames_on_a_hot_board_add_no_line_to_that_of_the_heat(case):
    folder(case.sys, 80)
    case.runs(HOT_DWELL_S + 4)
    folder(case.sys, 77)
    case.runs(3 * LATE_DWELL_S, age_s=0.5)
    assert case.pacing.pace.step > 1
    assert {LOAD in case.pacing.pace.sentence, HEAT in case.pacing.pace.sentence} == {True}
    assert len(case.notes) == 1


# --- Frames that are too old ----------------------------------------------------------------------


def test_a_frame_that_is_too_old_is_known_by_its_time(case):
    now_ns = case.now_ns
    assert not case.pacing.too_old(now_ns - 200_000_000)
    assert case.pacing.too_old(now_ns - 200_000_001)
    # A clock that is ahead makes nothing old.
    assert not case.pacing.too_old(now_ns + S)


def test_the_limit_can_be_turned_off(tmp_path):
    case = Case(tmp_path, vision=VisionSettings(oldest_frame_ms=0))
    assert not case.pacing.too_old(0)


def test_frames_that_are_given_up_count_as_late(case):
    for _ in range(100):
        case.now_ns += S // 5
        case.pacing.tend()
        assert case.pacing.too_old(case.now_ns - S)
    assert case.pacing.pace.step >= 1


def test_if_every_frame_is_too_old_it_is_a_fault_and_said(case):
    for _ in range(round(BLIND_AFTER_S)):
        assert case.pacing.too_old(case.now_ns - S)
        assert case.pacing.fault is None
        case.now_ns += S
    assert case.pacing.fault == BLIND
    assert not case.pacing.too_old(case.now_ns)
    assert case.pacing.fault is None


def test_a_frame_is_taken_now_unless_its_source_knows_better():
    made = Frame(0, 0, 0.0, None, None, release=lambda: None)
    known = Frame(0, 0, 0.0, None, None, release=lambda: None, taken_ns=17)
    later = Frame(0, 0, 0.0, None, None, release=lambda: None)
    assert 17 == known.taken_ns < made.taken_ns <= later.taken_ns


def test_a_weak_power_supply_is_told_as_that_and_is_no_heat(tmp_path):
    weak = Case(tmp_path)
    # Undervoltage, and the clock capped for it: bits 0 and 1.
    folder(tmp_path, 45.0, flags=0b11)
    for _ in range(300):
        weak.now_ns += S
        weak.pacing.tend()
        weak.pacing.done(weak.now_ns - S // 20)
    assert weak.pacing.pace.step == 0
    assert WEAK_POWER in weak.pacing.pace.sentence
    assert HEAT not in weak.pacing.pace.sentence
    assert weak.notes == []

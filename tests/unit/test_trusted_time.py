"""The clock is believed within what is known otherwise, and a wrong belief has a way out."""

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device import trusted_time
from device.errors import StorageError
from device.policy.clock import BUILT_NS, TOLERANCE_NS, Clock
from device.trusted_time import NAME, TrustedTime, implausible, read_clocks, synchronised
from tests.simulators.clocks import (
    DRIFT,
    FAULTS,
    FINE,
    HOUR,
    MINUTE,
    T0,
    Clocks,
    S,
    anchored,
    reading,
)

DAY = 24 * HOUR


@pytest.mark.parametrize("name", FAULTS)
def test_a_clock_that_contradicts_what_is_known_is_not_believed(name):
    case = FAULTS[name]
    after, fault = case.clock.judged(case.reading, case.signed_ns)
    assert fault.endswith(".")
    assert after.seen_ns == case.clock.seen_ns


@pytest.mark.parametrize("name", FINE)
def test_a_clock_that_agrees_with_what_is_known_is_believed(name):
    case = FINE[name]
    after, fault = case.clock.judged(case.reading, case.signed_ns)
    assert fault is None
    assert after.seen_ns == max(case.clock.seen_ns, case.reading.wall_ns)


def test_each_fault_says_what_it_is():
    def said(name):
        return FAULTS[name].clock.judged(FAULTS[name].reading, FAULTS[name].signed_ns)[1]

    assert "was set back" in said("below what was seen")
    assert "1970-01-01" in said("at the epoch")
    assert "desk's are 5 minutes apart" in said("ahead of the desk")
    assert "no time source" in said("no time source")
    assert "jumped by 59 minutes" in said("jumped ahead")


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.booleans() | st.none())
def test_no_reading_lowers_the_floor_and_none_below_it_is_believed(seen_ns, wall_ns, synchronised):
    known = Clock(seen_ns)
    after, fault = known.judged(reading(wall_ns, synchronised=synchronised))
    assert after.floor_ns() >= known.floor_ns()
    if wall_ns < known.floor_ns() - TOLERANCE_NS:
        assert fault is not None


def test_an_answer_of_the_desk_may_lower_what_the_clock_made_believe():
    poisoned = Clock(T0 + 1000 * DAY)
    assert poisoned.judged(reading(T0))[1] is not None
    healed = poisoned.answered(T0, 2 * S, reading(T0))
    assert healed.judged(reading(T0))[1] is None
    assert healed.seen_ns == T0


def test_an_answer_lowers_neither_the_authorisations_time_nor_the_softwares():
    healed = Clock(T0).answered(BUILT_NS - DAY, S, reading(T0))
    assert healed.floor_ns() == BUILT_NS
    assert healed.floor_ns(T0) == T0


def test_an_answer_that_was_held_back_confirms_nothing_and_lowers_nothing():
    known = Clock(T0 + DAY)
    late = known.answered(T0, TOLERANCE_NS + 1, reading(T0))
    assert late == known
    assert known.answered(T0 + 2 * DAY, TOLERANCE_NS + 1, reading(T0)).seen_ns == T0 + 2 * DAY
    assert known.answered(T0, -1, reading(T0)) == known


def test_what_the_desk_signed_raises_the_floor_and_older_words_do_not_lower_it():
    known = Clock().heard(T0)
    assert known.floor_ns() == T0
    assert known.heard(T0 - DAY).floor_ns() == T0


def test_clock_and_boot_time_may_drift_but_not_more():
    known = anchored("desk")
    wall_ns = T0 + 2 * HOUR + TOLERANCE_NS + DRIFT
    assert known.judged(reading(wall_ns, 3 * HOUR))[1] is None
    assert known.judged(reading(wall_ns + 1, 3 * HOUR))[1] is not None


# On the disk.


@pytest.fixture
def clocks():
    return Clocks()


def test_a_clock_set_back_while_the_device_was_off_is_not_believed(scratch, clocks):
    kept = TrustedTime(scratch, clocks)
    assert kept.fault is None
    clocks.pass_by(2 * HOUR)
    kept.now()
    clocks.restart(T0 + HOUR)
    after = TrustedTime(scratch, clocks)
    assert "set back" in after.fault
    assert after.floor_ns == T0 + 2 * HOUR


def test_progress_is_kept_every_minute_and_at_a_stop(scratch, clocks):
    kept = TrustedTime(scratch, clocks)
    written = (scratch / NAME).read_bytes()
    clocks.pass_by(59 * S)
    kept.now()
    assert (scratch / NAME).read_bytes() == written
    clocks.pass_by(S)
    kept.now()
    assert TrustedTime(scratch, Clocks(T0 - DAY)).floor_ns == T0 + MINUTE
    clocks.pass_by(10 * S)
    kept.now()
    kept.keep()
    assert TrustedTime(scratch, Clocks(T0 - DAY)).floor_ns == T0 + MINUTE + 10 * S


def test_a_time_that_is_not_believed_is_no_progress(scratch, clocks):
    kept = TrustedTime(scratch, clocks)
    clocks.synchronised = False
    clocks.pass_by(DAY)
    kept.now()
    assert kept.fault is not None
    assert kept.floor_ns == T0
    kept.keep()
    assert TrustedTime(scratch, Clocks(T0 - DAY)).floor_ns == T0


def test_a_jump_while_the_device_runs_is_not_believed_until_the_time_source_confirms(
    scratch, clocks
):
    clocks.synchronised = None
    kept = TrustedTime(scratch, clocks)
    clocks.wall_ns += HOUR
    kept.now()
    assert "jumped" in kept.fault
    # Not after a restart of the program either: the boot is the same.
    again = TrustedTime(scratch, clocks)
    assert "jumped" in again.fault
    clocks.synchronised = True
    again.now()
    assert again.fault is None


def test_a_clock_that_was_turned_far_ahead_is_put_right_by_the_desks_answer(scratch, clocks):
    clocks.synchronised = None
    clocks.wall_ns += 1000 * DAY
    kept = TrustedTime(scratch, clocks)
    assert kept.fault is None
    clocks.restart(T0)
    kept = TrustedTime(scratch, clocks)
    assert "set back" in kept.fault
    kept.answered(T0, 1.5)
    assert kept.fault is None
    assert TrustedTime(scratch, clocks).fault is None


def test_without_a_time_source_the_desks_answer_confirms_the_time(scratch, clocks):
    clocks.synchronised = False
    kept = TrustedTime(scratch, clocks)
    assert "no time source" in kept.fault
    kept.heard(T0 - MINUTE)
    assert "no time source" in kept.fault
    kept.answered(T0, 1.0)
    assert kept.fault is None
    # It holds for a restart of the program, and not for the next boot.
    assert TrustedTime(scratch, clocks).fault is None
    clocks.restart(T0 + MINUTE)
    assert "no time source" in TrustedTime(scratch, clocks).fault


def test_the_authorisations_time_is_a_floor_as_long_as_it_is_installed(scratch, clocks):
    kept = TrustedTime(scratch, clocks)
    kept.signed(T0 + DAY)
    assert "set back" in kept.fault
    assert kept.floor_ns == T0 + DAY
    kept.signed(None)
    assert kept.fault is None


def test_a_message_from_later_than_the_clock_shows_at_once_that_the_clock_is_behind(
    scratch, clocks
):
    kept = TrustedTime(scratch, clocks)
    kept.heard(T0 + HOUR)
    assert "set back" in kept.fault


def test_erasing_goes_by_the_clock_while_it_is_believed_and_by_the_floor_while_not(scratch, clocks):
    kept = TrustedTime(scratch, clocks)
    clocks.pass_by(10 * S)
    assert kept.certain_ns == T0 + 10 * S
    clocks.wall_ns += 30 * DAY
    clocks.synchronised = False
    assert kept.certain_ns == T0 + 10 * S
    kept.heard(T0 + HOUR)
    assert kept.certain_ns == T0 + HOUR


GARBAGE = (
    b"",
    b"{",
    b"null",
    b"[]",
    b'{"seen_ns":-1}',
    b'{"seen_ns":"x"}',
    b"\xff" * 9,
    b"[" * 9999,
)


@pytest.mark.parametrize("content", GARBAGE)
def test_a_damaged_memory_of_the_time_is_not_replaced_and_nothing_is_believed(
    scratch, clocks, content
):
    (scratch / NAME).write_bytes(content)
    kept = TrustedTime(scratch, clocks)
    clocks.pass_by(5 * MINUTE)
    kept.now()
    kept.keep()
    assert "cannot be read" in kept.fault
    assert "removes the file" in kept.fault
    assert (scratch / NAME).read_bytes() == content


def test_every_cut_of_what_is_remembered_is_damage_or_nothing(scratch, clocks):
    TrustedTime(scratch, clocks)
    whole = (scratch / NAME).read_bytes()
    for length in range(len(whole)):
        (scratch / NAME).write_bytes(whole[:length])
        assert "cannot be read" in TrustedTime(scratch, clocks).fault


def test_the_desks_answer_or_a_technician_repairs_a_damaged_memory(scratch, clocks):
    (scratch / NAME).write_bytes(b"damaged")
    kept = TrustedTime(scratch, clocks)
    kept.answered(T0, 1.0)
    assert kept.fault is None
    assert TrustedTime(scratch, clocks).fault is None
    (scratch / NAME).write_bytes(b"damaged")
    (scratch / NAME).unlink()
    assert TrustedTime(scratch, clocks).fault is None


def test_a_held_back_answer_repairs_nothing(scratch, clocks):
    (scratch / NAME).write_bytes(b"damaged")
    kept = TrustedTime(scratch, clocks)
    kept.answered(T0, 301.0)
    assert "cannot be read" in kept.fault


def test_a_memory_that_cannot_be_read_or_written_is_a_fault(scratch, clocks, monkeypatch):
    (scratch / NAME).mkdir()
    assert "cannot be read" in TrustedTime(scratch, clocks).fault
    (scratch / NAME).rmdir()

    def full(*_):
        raise StorageError("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(trusted_time, "write_atomically", full)
        kept = TrustedTime(scratch, clocks)
        assert kept.fault == "The disk is full."
        clocks.pass_by(S)
        kept.now()
        assert kept.fault == "The disk is full."
    kept.now()
    assert kept.fault is None
    assert (scratch / NAME).is_file()


def test_nothing_else_is_written_than_times(scratch, clocks):
    TrustedTime(scratch, clocks)
    assert [path.name for path in scratch.iterdir()] == [NAME]
    assert (scratch / NAME).stat().st_mode & 0o777 == 0o600


def test_kill_9_at_any_moment_leaves_a_memory_that_can_be_read(scratch):
    code = (
        "import sys; from pathlib import Path; from device.trusted_time import TrustedTime;"
        "from tests.simulators.clocks import Clocks, MINUTE\n"
        "clocks = Clocks(); kept = TrustedTime(Path(sys.argv[1]), clocks); print(flush=True)\n"
        "while True: clocks.pass_by(MINUTE); kept.now()"
    )
    floor_ns = 0
    for _ in range(5):
        child = subprocess.Popen([sys.executable, "-c", code, str(scratch)], stdout=subprocess.PIPE)
        child.stdout.readline()
        child.kill()
        child.wait()
        child.stdout.close()
        kept = TrustedTime(scratch, Clocks(T0 - DAY))
        assert "set back" in kept.fault
        assert kept.floor_ns >= max(floor_ns, T0)
        floor_ns = kept.floor_ns


# On this machine.


def test_the_machines_clocks_can_be_read():
    first, second = read_clocks(), read_clocks()
    assert second.boot_ns >= first.boot_ns > 0
    assert first.boot == second.boot
    assert synchronised() in (True, False, None)


@pytest.mark.parametrize(("answer", "expected"), [(5, False), (0, True), (3, True), (-1, None)])
def test_what_the_kernel_says_of_its_clock(monkeypatch, answer, expected):
    class Kernel:
        def __init__(self, *_, **__):
            pass

        def adjtimex(self, buffer):
            assert bytes(buffer) == bytes(len(buffer))
            return answer

    monkeypatch.setattr(trusted_time.ctypes, "CDLL", Kernel)
    assert synchronised() is expected


def test_a_system_without_adjtimex_does_not_know(monkeypatch):
    monkeypatch.setattr(trusted_time.ctypes, "CDLL", lambda *_, **__: object())
    assert synchronised() is None


def test_a_clock_from_before_this_software_is_implausible():
    assert "before this software" in implausible(BUILT_NS - 1)
    assert implausible(BUILT_NS) is None


def test_a_case_is_alone_in_what_it_shows():
    # Put right in one respect, each of these is believed.
    no_source = FAULTS["no time source"]
    fine = replace(no_source, reading=reading(T0))
    assert fine.clock.judged(fine.reading)[1] is None

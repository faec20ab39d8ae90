from device.alerts.patience import BackOff, VersionChoice


def _pauses(back_off, losses):
    return [back_off.lost(100.0) - 100.0 for _ in range(losses)]


def test_pauses_grow_and_are_bounded():
    pauses = _pauses(BackOff(), 20)
    assert pauses[0] <= 0.3
    assert 15 <= pauses[-1] <= 45
    assert max(pauses) <= 45


def test_pauses_are_randomised():
    assert len({_pauses(BackOff(), 1)[0] for _ in range(20)}) > 10


def test_only_a_connection_that_stood_clears_the_count():
    back_off = BackOff()
    _pauses(back_off, 10)
    back_off.online(0.0)
    assert back_off.lost(5.0) - 5.0 >= 15
    back_off.online(0.0)
    assert back_off.lost(60.0) - 60.0 <= 0.3


def test_a_refusal_of_the_version_is_followed_at_once():
    choice = VersionChoice("auto")
    assert choice.not_accepted(certain=True)
    assert choice.current == "3.1.1"


def test_hang_ups_are_followed_only_after_three_in_a_row():
    choice = VersionChoice("auto")
    assert [choice.not_accepted(certain=False) for _ in range(2)] == [False, False]
    choice.accepted()
    assert [choice.not_accepted(certain=False) for _ in range(3)] == [False, False, True]
    assert choice.current == "3.1.1"


def test_when_3_1_1_is_not_accepted_either_it_starts_again_with_5():
    choice = VersionChoice("auto")
    choice.not_accepted(certain=True)
    assert not choice.not_accepted(certain=False)
    assert choice.current == "5"


def test_a_configured_version_is_kept():
    for version in ("5", "3.1.1"):
        choice = VersionChoice(version)
        assert not any(choice.not_accepted(certain=True) for _ in range(5))
        assert choice.current == version


def test_a_desk_has_less_patience_than_a_device():
    back_off = BackOff(longest_s=5.0)
    pauses = [back_off.lost(0.0) for _ in range(20)]
    assert max(pauses) <= 7.5
    assert min(pauses[6:]) >= 2.5

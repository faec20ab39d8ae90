from device.matching import Candidate, Confirmation, Cooldown


def _strong(name="a"):
    return Candidate(name, 0.7, 0.2)


def _moderate(name="a"):
    return Candidate(name, 0.5, 0.2)


def _add(confirmation, *candidates, track=1):
    return [confirmation.add(track, candidate, 0.5) for candidate in candidates]


def test_one_shot_is_never_enough():
    assert _add(Confirmation(2, 0.6), _strong()) == [None]


def test_two_strong_shots_confirm():
    first, second = _add(Confirmation(2, 0.6), _strong(), _strong())
    assert first is None
    assert second.reference_id == "a"
    assert second.shots == 2


def test_moderate_shots_need_twice_as_many():
    results = _add(Confirmation(2, 0.6), *[_moderate()] * 4)
    assert results[:3] == [None] * 3
    assert results[3].shots == 4


def test_the_best_figures_are_kept():
    confirmation = Confirmation(2, 0.6)
    confirmation.add(1, Candidate("a", 0.7, 0.1), 0.9)
    confirmed = confirmation.add(1, Candidate("a", 0.8, 0.05), 0.4)
    assert (confirmed.score, confirmed.margin, confirmed.quality) == (0.8, 0.1, 0.9)


def test_a_track_confirms_once():
    results = _add(Confirmation(2, 0.6), *[_strong()] * 5)
    assert [r is not None for r in results] == [False, True, False, False, False]


def test_shots_of_different_tracks_do_not_add_up():
    confirmation = Confirmation(2, 0.6)
    assert _add(confirmation, _strong(), track=1) + _add(confirmation, _strong(), track=2) == [
        None,
        None,
    ]


def test_a_track_that_names_two_references_needs_a_clear_lead():
    results = _add(Confirmation(2, 0.6), _strong("a"), _strong("b"), _strong("a"), _strong("a"))
    assert results[:3] == [None] * 3
    assert results[3].reference_id == "a"


def test_the_end_of_a_track_forgets_it():
    confirmation = Confirmation(2, 0.6)
    _add(confirmation, _strong())
    assert confirmation.waits(1)
    confirmation.end(1)
    assert not confirmation.waits(1)
    assert confirmation._tracks == {}
    assert _add(confirmation, _strong()) == [None]


def test_a_settled_track_waits_no_more():
    confirmation = Confirmation(2, 0.6)
    _add(confirmation, _strong(), _strong())
    assert not confirmation.waits(1)
    confirmation.clear()
    assert confirmation._settled == set()


def test_cooldown_holds_back_the_second_alert_of_one_reference_only():
    cooldown = Cooldown(60)
    assert cooldown.ready("a", 100)
    assert not cooldown.ready("a", 159)
    assert cooldown.ready("b", 159)
    assert cooldown.ready("a", 160)


def test_cooldown_starts_anew_when_the_clock_of_the_source_does():
    cooldown = Cooldown(60)
    assert cooldown.ready("a", 100)
    assert cooldown.ready("a", 5)


def test_chance_hits_among_many_misses_do_not_add_up():
    confirmation = Confirmation(2, 0.6)
    for _ in range(40):
        assert confirmation.add(1, _moderate(), 0.5) is None
        for _ in range(5):
            confirmation.miss(1)


def test_a_third_of_the_shots_is_enough():
    confirmation = Confirmation(2, 0.6)
    results = []
    for _ in range(4):
        results.append(confirmation.add(1, _moderate(), 0.5))
        confirmation.miss(1)
        confirmation.miss(1)
    assert results[:3] == [None] * 3
    assert results[3].shots == 4


def test_after_too_many_misses_a_track_starts_anew():
    confirmation = Confirmation(2, 0.6)
    confirmation.add(1, _strong(), 0.5)
    for _ in range(9):
        confirmation.miss(1)
    assert not confirmation.waits(1)
    assert _add(confirmation, _strong(), _strong())[1] is not None

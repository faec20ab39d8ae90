"""APCER and BPCER: what counts as an attack, what as a person, and what is not acquired."""

import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.simulators.attacks import attack_detector
from tests.simulators.street import Person, eye, picture, settings
from tools.lab.attack import _as_record, _line
from tools.lab.effect import effects
from tools.lab.manifest import Item
from tools.lab.presentations import (
    Figure,
    Judged,
    attack_figures,
    figures,
    judge,
    presentations,
)
from tools.lab.statistics import wilson

PERSON = Person(30, 200, y=120)
PAPER = replace(PERSON, paper=True)


def item(folder, name, role, subset="", **facts):
    facts = {"identities": ("a",), "source_set": "town", "licence_class": "A"} | facts
    return Item(path=folder / f"{name}.png", role=role, subset=subset, **facts)


def draw(one, people):
    Image.fromarray(np.ascontiguousarray(picture(people, 0)[..., ::-1])).save(one.path)
    return one


def seeing():
    return replace(eye(settings("x")), attack=attack_detector())


def test_attacks_are_grouped_by_kind_and_people_by_set(tmp_path):
    shown = presentations(
        [
            item(tmp_path, "1", "spoof", "sim_print"),
            item(tmp_path, "2", "spoof", ""),
            item(tmp_path, "3", "gallery", "mugshot"),
            item(tmp_path, "4", "probe", "sim_mask"),
            item(tmp_path, "5", "video", "webcam"),
            item(tmp_path, "6", "negative", "texture"),
            item(tmp_path, "7", "group", "crowd"),
            item(tmp_path, "8", "probe", identities=("b",), licence_class="S"),
        ]
    )
    assert [(one.group, one.attack, one.clip) for one in shown] == [
        ("sim_print", True, False),
        ("town", True, False),
        ("town", False, False),
        ("sim_mask", False, False),
        ("webcam", False, True),
    ]


def test_a_person_of_a_set_is_shown_once_and_every_attack_counts(tmp_path):
    items = [item(tmp_path, f"g{n}", "probe", identities=("a",)) for n in range(3)]
    items += [item(tmp_path, f"s{n}", "spoof", "print", identities=("a",)) for n in range(3)]
    shown = presentations(items)
    assert [one.path.stem for one in shown] == ["g0", "s0", "s1", "s2"]


def test_every_clip_is_shown_and_belongs_to_its_people(tmp_path):
    shown = presentations([item(tmp_path, f"{n}", "video", "webcam") for n in range(3)])
    assert [(one.path.stem, one.subject, one.clip) for one in shown] == [
        ("0", "a", True),
        ("1", "a", True),
        ("2", "a", True),
    ]


def test_a_large_set_is_thinned_evenly_and_its_attacks_are_not(tmp_path):
    items = [item(tmp_path, f"{n}", "probe", identities=(f"p{n}",)) for n in range(100)]
    items += [item(tmp_path, f"s{n}", "spoof", "print", identities=(f"p{n}",)) for n in range(100)]
    shown = presentations(items, people=4)
    assert [one.path.stem for one in shown if not one.attack] == ["0", "25", "50", "75"]
    assert sum(one.attack for one in shown) == 100


def test_an_attack_that_passes_and_a_person_who_does_not_are_errors():
    scores = [0.9, 0.5, 0.49, math.nan, None]
    judged = [Judged("print", str(n), True, score) for n, score in enumerate(scores)]
    judged += [Judged("town", str(n), False, score) for n, score in enumerate(scores)]
    attack, people = figures(judged, 0.5)
    assert (attack.group, attack.errors, attack.total, attack.not_acquired) == ("print", 2, 4, 1)
    assert (people.group, people.errors, people.total, people.not_acquired) == ("town", 2, 4, 1)


def test_a_face_in_the_flesh_and_one_on_paper_are_told_apart_and_nothing_stays(tmp_path):
    items = [
        draw(item(tmp_path, "flesh", "probe"), [PERSON]),
        draw(item(tmp_path, "paper", "spoof", "print"), [PAPER]),
        draw(item(tmp_path, "nobody", "probe", identities=("b",)), []),
        draw(item(tmp_path, "small", "probe", identities=("c",)), [Person(30, 200, size=20)]),
    ]
    watching = seeing()
    attack, people = attack_figures(items, watching, watching.attack)
    assert attack == Figure("print", True, 0, 1, 1, 0)
    assert people == Figure("town", False, 0, 1, 1, 2)
    assert watching.wiped
    assert all(not probe.template.any() for probe in watching.embedder.probes)


def test_the_largest_of_several_faces_is_judged(tmp_path):
    small = Person(90, 20, y=20, size=60)
    shown = item(tmp_path, "two", "probe")
    draw(shown, [PERSON, small])
    watching = seeing()
    (only,) = presentations([shown])
    (judged,) = judge(only, watching, watching.attack)
    (largest,) = figures([judged], 0.5)
    assert largest.total == 1
    crop = watching.attack._network.shown[-1]
    hue = np.asarray(Image.fromarray(crop[..., ::-1]).convert("HSV"))[40, 40, 0]
    assert abs(hue / 255 * 180 - 30) < 8


@pytest.mark.parametrize(("errors", "total", "subjects"), [(1, 40, 40), (0, 51, 51)])
def test_independent_figures_have_an_interval(errors, total, subjects):
    figure = Figure("sim_print", True, errors, total, subjects, 2)
    assert _as_record(figure)["interval"] == wilson(errors, total)
    line = _line(figure)
    assert line.startswith("sim_print (simulated)")
    assert "95 % interval" in line
    assert line.endswith("2 not acquired")


def test_frames_of_few_clips_have_no_interval():
    figure = Figure("webcam", False, 1, 40, 3, 0)
    assert _as_record(figure)["interval"] is None
    assert _line(figure).endswith("of only 3 people or clips: no interval")


def test_what_was_not_acquired_at_all_has_no_rate():
    figure = Figure("webcam", False, 0, 0, 0, 7)
    assert _as_record(figure)["rate"] is None
    assert "none evaluated; 7 not acquired" in _line(figure)


def test_the_effect_is_counted_in_candidates(tmp_path):
    items = [
        draw(item(tmp_path, "reference", "gallery"), [PERSON]),
        draw(item(tmp_path, "again", "probe"), [PERSON]),
        draw(item(tmp_path, "paper", "spoof", "print"), [PAPER]),
        draw(item(tmp_path, "other", "spoof", "print", identities=("z",)), [PAPER]),
    ]
    attack, people = effects(items, seeing())
    assert (attack.without, attack.with_detection, attack.total) == (1, 0, 1)
    assert (people.without, people.with_detection, people.total) == (1, 1, 1)
    assert "without attack detection 1 of 1" in attack.text()


def test_where_nobody_is_attacked_there_is_no_effect(tmp_path):
    assert effects([draw(item(tmp_path, "reference", "gallery"), [PERSON])], seeing()) == []

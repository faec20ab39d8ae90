"""The table of steps: each line searches by the rule that its name says."""

import numpy as np
import pytest

from device.matching import Gallery
from device.protocol.watchlist import DemonstrationList, Reference
from tools.lab.crops import Crops, Edges
from tools.lab.step_looks import Probed, Spared, When, spared
from tools.lab.step_templates import Templates
from tools.lab.steps import People, measure

DIMENSION = 64
LENGTH = 12
ENROLLED, STRANGERS = 30, 60


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def templates(direction, rng, noise, *, lit=True):
    """Return a picture's templates: the more has been done about it, the nearer to the person."""

    def seen(share):
        return LENGTH * unit(direction + share * noise * rng.normal(size=DIMENSION) / 8)

    return Templates(
        plain=seen(2.0),
        aligned=seen(1.5),
        looked=seen(1.2),
        raised=unit(seen(1.0)),
        mirrored=seen(1.0),
        first=unit(seen(1.1)),
        closer=unit(seen(0.5)),
        reference=seen(0.5),
        acquired=True,
        lit=lit,
        quality=0.5,
    )


@pytest.fixture(scope="module")
def steps():
    rng = np.random.default_rng(3)
    people = unit(rng.normal(size=(ENROLLED, DIMENSION)))
    others = unit(rng.normal(size=(STRANGERS, DIMENSION)))
    owner = np.repeat(np.arange(ENROLLED), 4)
    mated = [templates(people[k], rng, 0.8, lit=n % 4 != 3) for n, k in enumerate(owner)]
    found = measure(
        People(
            [templates(each, rng, 0.8) for each in people],
            mated,
            [templates(each, rng, 0.8) for each in others],
            owner,
            np.arange(STRANGERS),
        ),
        Edges(look=0.1, crop=0.2),
    )
    return {step.name: step for step in found}


def tpir(step):
    return step.rates[0].tpir


def test_what_passes_only_with_its_shadows_raised_is_missed_before(steps):
    assert tpir(steps["+ the list as cohort"]) <= 0.75
    assert tpir(steps["+ probes' shadows raised"]) > 0.9


def test_a_second_crop_counts_for_those_that_come_near(steps):
    device = steps["+ a second crop near a reference"]
    assert tpir(device) >= tpir(steps["+ probes' shadows raised"])
    assert device.compared_with == "+ probes' shadows raised"


def test_more_photographs_never_make_people_of_other_lengths(steps):
    names = [name for name in steps if "of each enrolled" in name]
    assert [name.split(", ")[1].split()[0] for name in names] == ["one", "two", "three"]
    assert tpir(steps[names[0]]) > 0.9
    assert tpir(steps[names[2]]) >= tpir(steps[names[0]])


def test_whoever_comes_near_nobody_is_spared_the_second_look_and_counted():
    axes = np.eye(DIMENSION, dtype=np.float32)
    listed = [Reference(str(k), [axes[k].tobytes()]) for k in range(3)]
    gallery = Gallery(DemonstrationList("lab", 1, "", "lab", "lab", DIMENSION, listed), "lab")

    def probed(*pairs, acquired):
        """Return probes from (first, then) scores with reference 0, and who passed the gate."""
        first, then = (
            unit(np.outer(scores, axes[0]) + np.outer(np.sqrt(1 - np.square(scores)), axes[9]))
            for scores in np.array(pairs).T
        )
        return Probed(Crops(first, then, then), np.array(acquired, np.bool_))

    mated = probed((0.1, 0.9), (0.5, 0.9), (0.1, 0.2), (0.1, 0.9), acquired=[1, 1, 1, 0])
    others = probed((0.1, 0.1), (0.5, 0.1), (0.1, 0.1), acquired=[1, 1, 0])
    when = When(Edges(look=0.3, crop=0.4), threshold=0.6)
    counted = spared(gallery, mated, others, np.zeros(4, np.intp), when)
    assert counted == Spared(strangers=2, strangers_spared=1, found=2, lost=1)
    assert "1 of 2 non-mated" in counted.said(0.6)

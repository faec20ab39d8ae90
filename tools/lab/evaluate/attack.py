"""Presentation attacks: APCER and BPCER (ISO/IEC 30107-3), and whom an attack would raise."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.protocol.wording import NO_PAD
from tools.lab.evaluate.figures import Figure, NotEvaluated
from tools.lab.evaluate.looks import Look
from tools.lab.evaluate.plan import made_up
from tools.lab.evaluate.rates import FEWEST_OF_CONDITION, rate
from tools.lab.evaluate.report import AttackFigures, AttackType
from tools.lab.manifest import Item

Flags = npt.NDArray[np.bool_]
_OFF = NotEvaluated(NO_PAD)


def attack_figures(
    detector: str,
    spoofs: Sequence[Item],
    probes: Sequence[Item],
    looks: Mapping[Path, Look],
    raised: Mapping[Path, list[bool]],
) -> AttackFigures:
    """Return the figures of attack detection.

    detector: name and threshold, or "no PAD". spoofs, probes: attacks and real people. raised: of
    each attack on an enrolled person, whether it raises them at each threshold.
    """
    return AttackFigures(
        detector=detector,
        types=[
            _type(name, [item for item in spoofs if item.subset == name], looks, raised)
            for name in sorted({item.subset for item in spoofs})
        ],
        bpcer=_judged([item for item in probes if not made_up(item)], looks, attack=True),
        bpcer_made_up=_judged([item for item in probes if made_up(item)], looks, attack=True),
    )


def _type(
    name: str,
    items: list[Item],
    looks: Mapping[Path, Look],
    raised: Mapping[Path, list[bool]],
) -> AttackType:
    known = [item for item in items if item.path in raised]
    hits = np.array([raised[item.path] for item in known], np.bool_)
    return AttackType(
        name=name,
        made_up=all(made_up(item) for item in items),
        pictures=len(items),
        no_face=sum(not looks[item.path].faces for item in items),
        apcer=_judged(items, looks, attack=False),
        raises=[_rate(known, column) for column in hits.T],
    )


def _judged(items: list[Item], looks: Mapping[Path, Look], *, attack: bool) -> Figure:
    """Return the share judged an attack, or judged none, of those in which a face was found."""
    seen = [(item, looks[item.path].faces[0].attack) for item in items if looks[item.path].faces]
    if any(verdict is None for _, verdict in seen):
        return _OFF
    judged = np.array([verdict is attack for _, verdict in seen], np.bool_)
    return _rate([item for item, _ in seen], judged)


def _rate(items: list[Item], happened: Flags) -> Figure:
    names = ["|".join(item.identities) or str(item.path) for item in items]
    return rate(happened, np.array(names, np.str_), fewest=FEWEST_OF_CONDITION)

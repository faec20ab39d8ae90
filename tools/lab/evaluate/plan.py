"""Who is who in a data set: enrolled people, their probes, strangers, and what is left out.

Pure rules over the lines of a manifest; docs/evaluation.md says the same for readers.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from device.capture.stills import SUFFIXES
from device.errors import PictureError
from device.files import shown
from tools.lab.manifest import Item

REQUIRED_COLUMNS = ("file", "identity", "role")
_ROLES = ("gallery", "probe", "negative", "group", "spoof")
_SIMULATED = "simulated"
_SIMULATED_SUBSET = "sim_"
_SYNTHETIC = "S"


@dataclass(slots=True)
class Plan:
    """The lines of a manifest by what they are for, each in the order of their files.

    gallery: the pictures of each person to enrol. mated, non_mated: probes of people in the gallery
    and of others. left_out: how many lines are not evaluated, by the reason.
    """

    gallery: dict[str, list[Item]] = field(default_factory=dict)
    mated: list[Item] = field(default_factory=list)
    non_mated: list[Item] = field(default_factory=list)
    negatives: list[Item] = field(default_factory=list)
    groups: list[Item] = field(default_factory=list)
    spoofs: list[Item] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def probes(self) -> list[Item]:
        """Return all probes, the mated ones first."""
        return [*self.mated, *self.non_mated]


def plan_of(items: list[Item], manifest: Path) -> Plan:
    """Sort the lines of a manifest.

    Raises PictureError: a file is missing, or both enrolled and compared; nobody to enrol, to find,
    or never enrolled.
    """
    plan = Plan()
    usable = [item for item in sorted(items, key=lambda item: item.path) if _fits(item, plan)]
    _refuse_missing(usable, manifest)
    for item in usable:
        if item.role == "gallery":
            plan.gallery.setdefault(item.identities[0], []).append(item)
    for item in usable:
        if item.role == "probe":
            known = item.identities[0] in plan.gallery
            (plan.mated if known else plan.non_mated).append(item)
        elif item.role != "gallery":
            other = {"negative": plan.negatives, "group": plan.groups, "spoof": plan.spoofs}
            other[item.role].append(item)
    _refuse_unusable(plan, manifest)
    return plan


def _fits(item: Item, plan: Plan) -> bool:
    reason = ""
    if item.role not in _ROLES:
        reason = f'role "{item.role}"'
    elif item.path.suffix.lower() not in SUFFIXES:
        reason = "no picture by its name"
    elif item.role in {"gallery", "probe"} and len(item.identities) != 1:
        reason = f"{item.role} of nobody in particular"
    if reason:
        plan.left_out[reason] += 1
    return not reason


def _refuse_missing(items: list[Item], manifest: Path) -> None:
    missing = [item.path for item in items if not item.path.is_file()]
    if missing:
        raise PictureError(
            f"{manifest} names {len(missing)} files that are not there, the first is "
            f"{shown(str(missing[0]))}: complete the data set, or take their lines out."
        )


def _refuse_unusable(plan: Plan, manifest: Path) -> None:
    enrolled = {item.path for pictures in plan.gallery.values() for item in pictures}
    for item in plan.probes:
        if item.path in enrolled:
            raise PictureError(
                f"{manifest} both enrols and compares {shown(str(item.path))}: a picture that is "
                "compared with itself proves nothing."
            )
    for lines, what in (
        (plan.gallery, "nobody to enrol (role gallery)"),
        (plan.mated, "no probe of an enrolled person (role probe)"),
        (plan.non_mated, "no probe of a person who is not enrolled (role probe)"),
    ):
        if not lines:
            raise PictureError(f"{manifest} has {what}: see docs/evaluation.md.")


def made_up(item: Item) -> bool:
    """Tell whether a picture was simulated, or shows a person who does not exist."""
    simulated = _SIMULATED in item.notes.lower() or item.subset.startswith(_SIMULATED_SUBSET)
    return simulated or item.licence_class == _SYNTHETIC


def counted(items: list[Item]) -> list[bool]:
    """Return which probes the main figures count: made-up ones only where there are no others."""
    real = [not made_up(item) for item in items]
    return real if any(real) else [True] * len(items)

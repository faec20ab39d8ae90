"""What attack detection changes for a watchlist: candidates with it and without it.

The references are the gallery pictures of those who are attacked in the data set; everything else
is the pipeline of `passerby match` with its default settings, so a candidate here is one there.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from device.capture.frame import Picture
from device.capture.stills import read_still
from device.matching import Gallery
from device.protocol.watchlist import DemonstrationList, Reference
from device.search import Searcher
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Eye, find_faces
from tools.lab.manifest import Item
from tools.lab.statistics import proportion

_SETTINGS = Settings(
    DeviceSettings("lab", "lab", demonstration=True),
    CameraSettings("stills"),
    WatchlistSettings(""),
)


@dataclass(frozen=True, slots=True)
class Effect:
    """Candidates among `total` presentations of enrolled people, without and with the option.

    people: how many they are; where they are fewer than the presentations, these are not
    independent.
    """

    what: str
    without: int
    with_detection: int
    total: int
    people: int

    def text(self) -> str:
        """Return the effect for people."""
        without, with_detection = (
            proportion(count, self.total)
            if self.people == self.total
            else f"{count} of {self.total} (of only {self.people} people: no interval)"
            for count in (self.without, self.with_detection)
        )
        return (
            f"{self.what} that give a candidate: without attack detection {without}, "
            f"with it {with_detection}"
        )


@dataclass(frozen=True, slots=True)
class _Shown:
    """One presentation of one enrolled person."""

    person: str
    path: Path


def effects(items: Iterable[Item], eye: Eye) -> list[Effect]:
    """Compare attacks on enrolled people, other pictures of themselves, and clips of people.

    Enrolled are those who are attacked, and those in clips. Returns [] where nobody is attacked.
    eye: with an attack detector. Raises PictureError when a file cannot be read.
    """
    items = list(items)
    attacks = [item for item in items if item.role == "spoof"]
    clips = [item for item in items if item.role == "video"]
    attacked = {name for item in attacks for name in item.identities}
    enrolled = attacked.union(*(item.identities for item in clips)) if attacked else attacked
    gallery = _enrolled([item for item in items if item.role == "gallery"], enrolled, eye)
    if gallery is None:
        return []
    shown = _presented(items, attacks, attacked & set(gallery.ids))
    shown["clips of enrolled people"] = [
        _Shown(name, item.path) for item in clips for name in item.identities if name in gallery.ids
    ]
    searchers = [Searcher(replace(eye, attack=None), gallery, _SETTINGS)]
    searchers.append(Searcher(eye, gallery, _SETTINGS))
    try:
        return [_effect(what, chosen, searchers) for what, chosen in shown.items() if chosen]
    finally:
        gallery.wipe()


def _presented(
    items: list[Item], attacks: list[Item], attacked: set[str]
) -> dict[str, list[_Shown]]:
    """Return, for each kind of attack and for people themselves, one picture of each person."""
    shown = {
        f"{kind} attacks on enrolled people": _one_each(
            [item for item in attacks if item.subset == kind], attacked
        )
        for kind in sorted({item.subset for item in attacks})
    }
    probes = [item for item in items if item.role == "probe" and not item.subset.startswith("sim_")]
    shown["other pictures of these people themselves"] = _one_each(probes, attacked)
    return shown


def _effect(what: str, shown: list[_Shown], searchers: list[Searcher]) -> Effect:
    without, with_detection = (
        sum(
            any(found.reference_id == one.person for found in searcher.search(one.path).candidates)
            for one in shown
        )
        for searcher in searchers
    )
    return Effect(what, without, with_detection, len(shown), len({one.person for one in shown}))


def _one_each(items: Iterable[Item], people: set[str]) -> list[_Shown]:
    """Return the first picture of each of these people."""
    found: dict[str, _Shown] = {}
    for item in items:
        for name in sorted(people.intersection(item.identities)):
            found.setdefault(name, _Shown(name, item.path))
    return list(found.values())


def _enrolled(items: Iterable[Item], people: set[str], eye: Eye) -> Gallery | None:
    """Return a list of these people from their first gallery picture; None when it is empty."""
    references = []
    for shown in sorted(_one_each(items, people), key=lambda shown: shown.person):
        template = _template(shown.path, eye)
        if template is not None:
            references.append(Reference(shown.person, [template]))
    if not references:
        return None
    sha256, dimension = eye.embedder_entry.sha256, eye.embedder.dimension
    return Gallery(
        DemonstrationList("lab", 1, "", eye.embedder_entry.name, sha256, dimension, references),
        sha256,
    )


def _template(path: Path, eye: Eye) -> bytes | None:
    """Return the reference template of a picture's largest face; None when it has no good one."""
    pixels = read_still(path)
    try:
        faces = find_faces(eye, pixels)
        if not faces:
            return None
        largest = max(faces, key=lambda face: float(face.box[2] * face.box[3]))
        probe, _ = eye.reference(Picture.of_bgr(pixels), largest.landmarks)
    finally:
        pixels.fill(0)
    if probe is None:
        return None
    template = probe.template.astype("<f4").tobytes()
    probe.wipe()
    return template

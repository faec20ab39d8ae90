"""The demonstration with people who do not exist: no data, no download.

Two of five people are enrolled from booking-like pictures; stills are compared; then all five walk
past the camera, one of the enrolled twice. Whoever is not enrolled must raise no alert.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from device.capture.stills import read_still
from device.protocol.alert import Alert
from device.protocol.identifiers import utc_text
from device.search import Result
from device.settings import ModelSettings
from device.vision import find_faces
from tools.console import console
from tools.lab.demo_clips import drawn, in_words
from tools.lab.people import Expression, Light, Person, Pose, Scene, Street, View, render, walk_past
from tools.lab.people.source import RenderedSource
from tools.lab.picture import Marked, annotate, sheet, tile, write
from tools.lab.theatre import Theatre

ENROLLED = {"ref-2041": 600_028, "ref-7315": 600_005}
"""Opaque reference ids, and the seeds of the people behind them."""
STRANGERS = (600_012, 600_020, 600_008)
_PASSAGES = (600_012, 600_028, 600_020, 600_005, 600_008, 600_028)
_PHOTO_PX = 480
_STREET = Street(size=(640, 480), rate=10, gap_s=2.2)
_SEED = 5
_NEAR_PX = 110.0
"""Height of a stranger's face on the picture, about."""
_STILLS = {
    "smiling": View(expression=Expression(smile=1.0, mouth=0.2), backdrop="wall", scale=0.15),
    "side_light": View(
        pose=Pose(yaw=-12),
        light=Light(azimuth=60, elevation=20),
        backdrop="brick",
        scale=0.15,
    ),
}


def demonstrate(out: Path, models: ModelSettings) -> int:
    """Run the demonstration; 0 when every alert that was raised arrived."""
    with tempfile.TemporaryDirectory() as folder:
        return _Demonstration(Path(folder), out).run(models)


class _Demonstration:
    def __init__(self, work: Path, out: Path) -> None:
        self._work = work
        self._out = out
        self._scenes: dict[str, Scene] = {}

    def run(self, models: ModelSettings) -> int:
        console.rule("1  enrol two people who do not exist")
        theatre = Theatre(self._photographs(), self._work, models)
        stills = self._compare_stills(theatre)
        console.rule("3  people walk past; alerts as a consumer received them")
        received = theatre.watch(RenderedSource(_walk, seen=self._remember))
        everything = [result for results in stills.values() for result in results]
        picture = self._draw(theatre, everything, received)
        console.print(f"\nwhat an operator may see: {picture}")
        self._judge(received, stills)
        return 0

    def _photographs(self) -> Path:
        photos = self._work / "photos"
        photos.mkdir()
        for reference_id, seed in ENROLLED.items():
            shot = render(Person.from_seed(seed), View.frontal(seed), _PHOTO_PX)
            write(photos / f"{reference_id}.png", shot.image)
        return photos

    def _compare_stills(self, theatre: Theatre) -> dict[int, list[Result]]:
        console.rule("2  compare stills with the list (the Ottawa way)")
        results: dict[int, list[Result]] = {}
        for seed in (*ENROLLED.values(), *STRANGERS):
            for name, view in _STILLS.items():
                path = self._work / f"{seed}_{name}.png"
                write(path, render(Person.from_seed(seed), view, _PHOTO_PX).image)
                result = theatre.search(path)
                results.setdefault(seed, []).append(result)
                enrolled = seed in ENROLLED.values()
                console.print(f"{path.name}: {in_words(result, enrolled=enrolled)}")
        return results

    def _remember(self, scene: Scene, captured_at_ns: int) -> None:
        self._scenes[utc_text(captured_at_ns)] = scene

    def _draw(self, theatre: Theatre, stills: list[Result], received: list[Alert]) -> Path:
        """Draw the moment of each alert, a look at each stranger, and the stills."""
        eye = theatre.cautious_eye()
        moments: list[tuple[Scene, list[Marked]]] = [(self._look_at(s), []) for s in STRANGERS]
        for alert in received:
            moment = self._scenes[alert.data.captured_at]
            moments.append((moment, _marked(alert, moment)))
        tiles = []
        for moment, alerts in sorted(moments, key=lambda pair: pair[0].seconds):
            shown = annotate(moment.image, find_faces(eye, moment.image), alerts)
            tiles.append(tile(shown, f"the street at {moment.seconds:.1f} s", alerts))
        tiles += [drawn(eye, read_still(Path(result.file)), result) for result in stills]
        picture = self._out / "faces.png"
        write(picture, sheet(tiles))
        return picture

    def _look_at(self, seed: int) -> Scene:
        """Return the moment that shows somebody about as near as an alert does."""

        def fits(scene: Scene) -> float:
            heights = [face.box[3] for face in scene.faces if face.identity == seed]
            return abs(heights[0] - _NEAR_PX) if heights else np.inf

        return min(self._scenes.values(), key=fits)

    def _judge(self, received: list[Alert], stills: dict[int, list[Result]]) -> None:
        """Say what is true of it."""
        names = {seed: reference_id for reference_id, seed in ENROLLED.items()}
        expected = Counter(names[seed] for seed in _PASSAGES if seed in names)
        alerted = Counter(alert.data.reference_id for alert in received)
        right = (expected & alerted).total()
        others = (alerted - expected).total()
        compared = [(names.get(seed), r) for seed, results in stills.items() for r in results]
        right_stills = [{c.reference_id for c in r.candidates} == {n} - {None} for n, r in compared]
        console.print(
            f"{right} of {expected.total()} passages of enrolled people raised their alert; "
            f"{others} other alerts in {len(_PASSAGES)} passages; "
            f"{sum(right_stills)} of {len(compared)} stills as expected."
        )


def _walk() -> Iterator[Scene]:
    return walk_past([Person.from_seed(seed) for seed in _PASSAGES], _SEED, _STREET)


def _marked(alert: Alert, moment: Scene) -> list[Marked]:
    """Return where the face of an alert is: the truth knows where its person was."""
    words = f"{alert.data.words}: {alert.data.reference_id} ({alert.data.score_band})"
    seed = ENROLLED[alert.data.reference_id]
    boxes = [face.box for face in moment.faces if face.identity == seed]
    return [Marked((int(x), int(y), int(w), int(h)), words) for x, y, w, h in boxes]

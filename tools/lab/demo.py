"""`passerby-lab demo`: the main job from camera to consumer, on real clips and stills.

Enrols a few people, starts a broker, plays clips to the real appliance, prints each alert as a
consumer received it, compares stills, prints the ledger and draws what an operator may see.
"""

import argparse
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.progress import Progress

from device.alerts import Courier
from device.appliance import Appliance
from device.bundles import load_list
from device.capture import Camera, Pixels
from device.capture.stills import read_still
from device.capture.video import VideoSource
from device.errors import BrokerError, ModelError, PictureError
from device.matching import Gallery
from device.opencv import cv2
from device.protocol.alert import Alert
from device.protocol.identifiers import utc_ns
from device.protocol.topics import Topics
from device.protocol.wording import DEMONSTRATION
from device.search import Result, Searcher
from device.settings import (
    BrokerSettings,
    CameraSettings,
    DeviceSettings,
    MatchingSettings,
    Settings,
    VisionSettings,
    WatchlistSettings,
)
from device.vision import Catalogue, Eye, default_directory, find_faces
from tools.console import console, notes
from tools.desk.main import main as desk
from tools.lab.broker import EmbeddedBroker
from tools.lab.consumer import Consumer
from tools.lab.manifest import MANIFEST, Item, read_manifest
from tools.lab.picture import Marked, annotate, sheet, tile
from tools.lab.playlist import Playlist

_ENROLLED_STILLS = 5
_STRANGERS = 4
_COOLDOWN_S = 4.0
"""Shorter than the pause between two clips, so that each clip raises its own alert."""
_BLUR_FROM = 0.4
"""The picture blurs more than it detects: a doubtful face is blurred too."""
_SAME_FRAME_S = 0.005
_SHOWN = ("A", "S")
"""Licence classes of pictures whose people agreed to be shown, or do not exist; no others are."""


def run(options: argparse.Namespace) -> int:
    """Run the demonstration; 0 when every alert that was raised arrived."""
    if not (options.data / MANIFEST).is_file():
        console.print(
            f"make demo needs faces and models, and {options.data} is not here: make demo "
            "DATA=FOLDER MODELS=FOLDER (docs/data.md). One that needs neither is to come with "
            "models of our own."
        )
        return 0
    items = [i for i in read_manifest(options.data) if i.licence_class in _SHOWN]
    try:
        catalogue = Catalogue.read(default_directory())
        catalogue.verified_path(catalogue.entry("omz-0095", "embedder"))
    except ModelError as error:
        console.print(f"make demo needs the operational models (make demo MODELS=FOLDER). {error}")
        return 0
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        return _Demonstration(items, Path(folder), options.out).run()


class _Demonstration:
    def __init__(self, items: list[Item], work: Path, out: Path) -> None:
        self._work = work
        self._out = out
        subjects = [i for i in items if i.role == "gallery" and len(i.identities) == 1]
        filmed = {name for i in items if i.role == "video" for name in i.identities}
        in_clips = [i for i in subjects if filmed.intersection(i.identities)]
        # Booking-like photographs first: that is what a watchlist is made of.
        others = [i for i in subjects if i not in in_clips]
        others.sort(key=lambda item: item.subset != "mugshot_like")
        self._gallery = others[:_ENROLLED_STILLS] + in_clips
        self._enrolled = {name for item in self._gallery for name in item.identities}
        self._clips = [i for i in items if i.role == "video"]
        probes = [i for i in items if i.role == "probe"]
        probes.sort(key=lambda item: item.subset != "smiling")
        mated = {name: i for i in reversed(probes) for name in i.identities}
        self._stills = [i for name, i in sorted(mated.items()) if name in self._enrolled]
        strangers = [i for i in probes if self._enrolled.isdisjoint(i.identities)]
        self._stills += strangers[:_STRANGERS]
        if not self._gallery or not (self._clips or self._stills):
            raise PictureError("The data set holds nobody who agreed to be shown (docs/data.md).")

    def run(self) -> int:
        settings = self._enrol()
        catalogue = Catalogue.read(default_directory())
        eye = Eye.open(catalogue, settings.models, settings.vision)
        gallery = Gallery(load_list(Path(settings.watchlist.path)), eye.embedder_entry.sha256)
        searcher = Searcher(eye, gallery, settings)
        stills = self._compare_stills(searcher)
        clips = [searcher.search(item.path) for item in self._clips]
        received = self._watch(settings, eye, gallery)
        cautious = VisionSettings(detection_threshold=_BLUR_FROM)
        picture = self._draw(Eye.open(catalogue, settings.models, cautious), [*clips, *stills])
        console.print(f"\nwhat an operator may see: {picture}")
        self._judge(received, stills)
        return 0

    def _enrol(self) -> Settings:
        console.rule("1  enrol")
        photos = self._work / "photos"
        photos.mkdir()
        for item in self._gallery:
            shutil.copy(item.path, photos / f"{item.identities[0]}{item.path.suffix}")
        watchlist = self._work / "watchlist.bin"
        if desk(["enrol", "--photos", str(photos), "--out", str(watchlist)]):
            raise PictureError("The photographs could not be enrolled.")
        return Settings(
            device=DeviceSettings(
                site="demo",
                id="camera-1",
                state_directory=str(self._work / "state"),
                demonstration=True,
            ),
            camera=CameraSettings("video"),
            watchlist=WatchlistSettings(str(watchlist)),
            matching=MatchingSettings(cooldown_s=_COOLDOWN_S),
        )

    def _compare_stills(self, searcher: Searcher) -> list[Result]:
        console.rule("2  compare stills with the list (the Ottawa way)")
        results = []
        for item in self._stills:
            result = searcher.search(item.path)
            results.append(result)
            found = ", ".join(
                f"possible match {c.reference_id} ({c.band})" for c in result.candidates
            )
            known = self._enrolled.intersection(item.identities)
            nobody = "no candidate" if known else "no candidate (not enrolled: right)"
            console.print(f"{item.path.name}: {found or nobody}")
        return results

    def _watch(self, settings: Settings, eye: Eye, gallery: Gallery) -> list[Alert]:
        console.rule(
            "3  watch clips, each a passage of its own; alerts as a consumer received them"
        )
        console.print(DEMONSTRATION)
        with EmbeddedBroker() as broker, Progress(console=notes, transient=True) as progress:
            consumer = Consumer(broker.port, _print_alert)
            consumer.wait_until_listening()
            local = BrokerSettings("127.0.0.1", broker.port, protocol="3.1.1", tls=False)
            topics = Topics(settings.device.site, settings.device.id)
            courier = Courier(local, topics, settings.alerts)
            camera = Camera(Playlist([item.path for item in self._clips]))
            appliance = Appliance(settings, eye, gallery, camera, courier)
            progress.add_task("watching", total=None)
            undelivered = appliance.run()
            if undelivered:
                raise BrokerError(f"{undelivered} alerts of the demonstration were not delivered.")
            consumer.wait_for(appliance.ledger.alerts)
            consumer.close()
        console.rule("4  ledger")
        console.print("\n".join(appliance.ledger.lines()))
        return consumer.alerts

    def _draw(self, eye: Eye, results: list[Result]) -> Path:
        tiles = []
        for result in results:
            path = Path(result.file)
            at_s = next((c.at_s for c in result.candidates if c.at_s is not None), 0.5)
            pixels = frame_at(path, at_s) if result.kind == "clip" else read_still(path)
            alerts = [
                Marked(c.box, f"possible match: {c.reference_id} ({c.band})")
                for c in result.candidates
                if c.at_s in {None, at_s}
            ]
            faces = find_faces(eye, pixels)
            tiles.append(tile(annotate(pixels, faces, alerts), path.name, alerts))
        picture = self._out / "faces.png"
        cv2.imwrite(str(picture), sheet(tiles))
        return picture

    def _judge(self, received: list[Alert], stills: list[Result]) -> None:
        """Say what the manifest says of it."""
        expected = Counter(n for i in self._clips for n in i.identities if n in self._enrolled)
        alerted = Counter(alert.data.reference_id for alert in received)
        right = (expected & alerted).total()
        as_expected = sum(
            {c.reference_id for c in result.candidates} == self._enrolled.intersection(i.identities)
            for i, result in zip(self._stills, stills, strict=True)
        )
        console.print(
            f"{right} of {expected.total()} passages of enrolled people in {len(self._clips)} "
            f"clips raised their alert; {(alerted - expected).total()} other alerts; "
            f"{as_expected} of {len(stills)} stills as expected."
        )


def frame_at(clip: Path, at_s: float) -> Pixels:
    """Return the frame of a clip at a position, (h, w, 3) uint8 BGR. Raises CameraError."""
    source = VideoSource(clip, fast=True)
    source.open()
    try:
        while (frame := source.read(1.0)) is not None:
            pixels = frame.main.pixels.copy()
            reached = frame.seconds >= at_s - _SAME_FRAME_S
            frame.release()
            if reached:
                break
    finally:
        source.close()
    return pixels


def _print_alert(alert: Alert) -> None:
    data = alert.data
    late_ms = (time.time_ns() - utc_ns(data.captured_at)) / 1e6
    crop = f"{len(data.crop.data) / 1000:.1f} kB crop" if data.crop else "no crop"
    console.print(
        f"[bold]alert {data.sequence}[/bold]  {data.words}: {data.reference_id}, "
        f"{data.score_band}, {data.margin_band} margin, {data.shots} shots, {crop}, {data.state}; "
        f"captured {data.captured_at}, received {late_ms:.0f} ms later"
    )

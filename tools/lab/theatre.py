"""What every demonstration does: enrol, run the real appliance, print what a consumer receives."""

import time
from pathlib import Path

import msgspec
from rich.progress import Progress

from device.appliance import Appliance
from device.bundles import load_list
from device.capture import Camera
from device.capture.source import FrameSource
from device.correspondence import correspondence
from device.errors import BrokerError, PictureError
from device.matching import Gallery
from device.protocol.alert import Alert
from device.protocol.identifiers import utc_ns
from device.protocol.wording import DEMONSTRATION
from device.search import Result, Searcher
from device.settings import (
    AlertSettings,
    BrokerSettings,
    CameraSettings,
    DeskSettings,
    DeviceSettings,
    MatchingSettings,
    ModelSettings,
    Settings,
    VisionSettings,
    WatchlistSettings,
)
from device.vision import Catalogue, Eye, default_directory
from tools.console import console, notes
from tools.desk.main import main as desk
from tools.lab.back_office import BackOffice, make_desk
from tools.lab.broker import EmbeddedBroker

COOLDOWN_S = 4.0
"""Shorter than the pause between two passages of one person: each raises its own alert."""
BLUR_FROM = 0.4
"""The picture blurs more than it detects: a doubtful face is blurred too."""


class Theatre:
    """One list, one eye, one appliance. Raises PictureError when nobody could be enrolled."""

    def __init__(self, photos: Path, work: Path, models: ModelSettings) -> None:
        """photos: what to enrol. work: a folder for the list and the state."""
        watchlist = work / "watchlist.bin"
        paths = ["--photos", str(photos), "--out", str(watchlist)]
        names = ["--detector", models.detector, "--embedder", models.embedder]
        if desk(["enrol", *paths, *names]):
            raise PictureError("The photographs could not be enrolled.")
        self.settings = Settings(
            device=DeviceSettings(
                site="demo",
                id="camera-1",
                state_directory=str(work / "state"),
                demonstration=True,
            ),
            camera=CameraSettings("video"),
            watchlist=WatchlistSettings(str(watchlist)),
            models=models,
            matching=MatchingSettings(cooldown_s=COOLDOWN_S),
            desk=DeskSettings(str(make_desk(work))),
            # A demonstration shows each alert at once; cover would hold it for its turn.
            alerts=AlertSettings(cover="off"),
        )
        self._work = work
        self._catalogue = Catalogue.read(default_directory())
        self._eye = Eye.open(self._catalogue, models, self.settings.vision)
        self._gallery = Gallery(load_list(watchlist), self._eye.embedder_entry.sha256)
        self._searcher = Searcher(self._eye, self._gallery, self.settings)

    def search(self, path: Path) -> Result:
        """Compare a still or a clip with the list."""
        return self._searcher.search(path)

    def cautious_eye(self) -> Eye:
        """Return an eye that also finds doubtful faces, for blurring."""
        cautious = VisionSettings(detection_threshold=BLUR_FROM)
        return Eye.open(self._catalogue, self.settings.models, cautious)

    def watch(self, source: FrameSource) -> list[Alert]:
        """Let the appliance watch a source to its end; return the alerts a consumer received.

        Prints each alert as it arrives, and the ledger. Raises BrokerError when one did not arrive.
        """
        console.print(DEMONSTRATION)
        with EmbeddedBroker() as broker, Progress(console=notes, transient=True) as progress:
            local = BrokerSettings("127.0.0.1", broker.port, protocol="3.1.1", tls=False)
            settings = msgspec.structs.replace(self.settings, broker=local)
            with BackOffice(self._work, settings, _print_alert) as office:
                courier, notebook, obedience = correspondence(settings)
                appliance = Appliance(
                    settings,
                    self._eye,
                    self._gallery,
                    Camera(source),
                    courier,
                    notebook=notebook,
                    obedience=obedience,
                )
                progress.add_task("watching", total=None)
                undelivered = appliance.run()
                if undelivered:
                    raise BrokerError(f"{undelivered} alerts of the demonstration have no receipt.")
                office.wait_for(appliance.ledger.alerts)
        console.rule("4  ledger")
        console.print("\n".join(appliance.ledger.lines()))
        return office.alerts


def _print_alert(alert: Alert) -> None:
    data = alert.data
    late_ms = (time.time_ns() - utc_ns(data.captured_at)) / 1e6
    crop = f"{len(data.crop.data) / 1000:.1f} kB crop" if data.crop else "no crop"
    console.print(
        f"[bold]alert {data.sequence}[/bold]  {data.words}: {data.reference_id}, "
        f"{data.score_band}, {data.margin_band} margin, {data.shots} shots, {crop}, {data.state}; "
        f"captured {data.captured_at}, received {late_ms:.0f} ms later"
    )

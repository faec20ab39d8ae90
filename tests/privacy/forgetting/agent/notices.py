"""Tells the driver when a frame's processing has ended, and what the ledger made of it."""

import dataclasses
import threading
import time
import zlib

from device.appliance import Appliance
from device.capture.camera import Camera
from device.vision.embedder import Embedder
from tests.privacy.forgetting import faults

ending = threading.Event()
"""Set once the program turns the camera off: then nobody waits for the driver's next frame."""


class Notices:
    """number_of: source time of a frame in seconds → the driver's number."""

    def __init__(self, link):
        self._link = link
        self.number_of = {}
        self.processing = None
        self._embedded = []

    def install(self):
        process, stop, notices = Appliance._process, Camera.stop, self
        embed = Embedder.embed

        def processed(appliance, frame, *, armed):
            notices.processing = notices.number_of.pop(frame.seconds, None)
            before = dataclasses.asdict(appliance.ledger)
            try:
                process(appliance, frame, armed=armed)
            finally:
                notices.ended(appliance, before, armed=armed)

        def stopped(camera):
            ending.set()
            stop(camera)

        def embedded(embedder, sample):
            crop = zlib.crc32(sample.pixels)
            probe = embed(embedder, sample)
            notices._embedded.append((crop, zlib.crc32(probe.template)))
            return probe

        Appliance._process, Camera.stop, Embedder.embed = processed, stopped, embedded

    def ended(self, appliance, before, *, armed):
        at_ns, number, self.processing = time.monotonic_ns(), self.processing, None
        made, self._embedded = self._embedded, []
        now = dataclasses.asdict(appliance.ledger)
        self._link.tell(
            "ended",
            number=number,
            at_ns=at_ns,
            armed=armed,
            fault=faults.frame_ended(),
            faces=now["appearances"] - before["appearances"],
            destroyed=now["destroyed"] - before["destroyed"],
            compared=now["compared"] - before["compared"],
            alerts=now["alerts"] - before["alerts"],
            embedded=made,
            processing_fault=appliance._processing_fault,
        )

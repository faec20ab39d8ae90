"""Four deliberately leaky builds: each breaks one promise, so that the proof must catch it.

And three builds that lack one protection each, to see what it buys. `install` patches the running
program; nothing in `device` knows of it.
"""

import ctypes
import logging
import queue

import device.recognition
from device.matching import Confirmed, Gallery
from device.recognition import Recogniser
from device.vision.embedder import Embedder
from device.vision.inference import Network
from device.vision.sample import Aligner

_M_PERTURB = -6
"""Of <malloc.h>."""
_crops = []
_frames = queue.Queue()
_told = {"templates": 0, "alerts": 0}


def install(name):
    BUILDS[name]()


def leaked():
    """Return how many things have leaked so far."""
    return len(_crops) + _frames.qsize() + sum(_told.values())


def _keep_crops():
    align = Aligner.align

    def aligned(aligner, *arguments):
        sample = align(aligner, *arguments)
        _crops.append(sample.pixels.copy())
        return sample

    Aligner.align = aligned


def _log_templates():
    embed, log = Embedder.embed, logging.getLogger("device.vision.embedder")

    def embedded(embedder, sample):
        probe = embed(embedder, sample)
        log.warning("template: %s", probe.template.tolist())
        _told["templates"] += 1
        return probe

    Embedder.embed = embedded


def _queue_frames():
    process = Recogniser.process

    def processed(recogniser, frame, *arguments):
        _frames.put(frame.main.pixels.copy())
        return process(recogniser, frame, *arguments)

    Recogniser.process = processed


def _alert_for_everybody():
    process = Recogniser.process

    def processed(recogniser, frame, on_confirmed, *arguments):
        appliance = on_confirmed.func.__self__
        quiet = recogniser._observer
        recogniser._observer = _Talkative(quiet, appliance, recogniser, frame)
        try:
            return process(recogniser, frame, on_confirmed, *arguments)
        finally:
            recogniser._observer = quiet

    Recogniser.process = processed


class _Talkative:
    """An observer after whose comparisons an alert leaves for each face that matched nobody."""

    def __init__(self, observer, appliance, recogniser, frame):
        self._observer = observer
        self._appliance = appliance
        self._recogniser = recogniser
        self._frame = frame

    def __getattr__(self, name):
        return getattr(self._observer, name)

    def observe(self, frame, consider):
        def consider_and_tell(sighting):
            waits = consider(sighting)
            self._tell(sighting)
            return waits

        return self._observer.observe(frame, consider_and_tell)

    def _tell(self, sighting):
        gallery, limits = self._recogniser._gallery, self._recogniser._limits
        if device.recognition.compare(gallery, sighting.probe, limits) is not None:
            return
        confirmed = Confirmed(gallery.ids[0], 0.9, 0.5, 2, sighting.quality)
        crop = self._appliance._portrait(sighting)
        draft = self._appliance._maker.draft(confirmed, self._frame.captured_at_ns, crop)
        self._appliance._sink.submit(draft)
        _told["alerts"] += 1


LEAKS = {
    "a crop kept in a list": _keep_crops,
    "a template logged": _log_templates,
    "a frame in a queue": _queue_frames,
    "an alert for a non-match": _alert_for_everybody,
}


def _overwrite_nothing_freed():
    ctypes.CDLL(None).mallopt(_M_PERTURB, 0)


def _leave_the_networks_memory():
    Network.wipe = lambda _: None


def _multiply_all_at_once():
    Gallery.cosines = lambda gallery, templates: templates @ gallery.matrix.T


UNPROTECTED = {
    "freed memory is not overwritten": _overwrite_nothing_freed,
    "the networks' memory is not overwritten": _leave_the_networks_memory,
    "the list's products are not overwritten": _multiply_all_at_once,
}
BUILDS = LEAKS | UNPROTECTED
CAUGHT = {
    "a crop kept in a list": "memory, after the frame",
    "a template logged": "log, as numbers",
    "a frame in a queue": "memory, after the frame",
    "an alert for a non-match": "The device has sent of a kind that may not leave: alert.",
    "freed memory is not overwritten": "memory, after the frame",
    "the networks' memory is not overwritten": "memory, after the frame",
    "the list's products are not overwritten": "memory, after the frame",
}
"""Where the proof must catch each of them; elsewhere it may, too."""

"""The parent's twin of the appliance: it knows every form that a canary frame takes in there.

It runs the product's own code with the same models and the same list on the same frame, watched by
`recording`, and adds what an interpreter, a codec or a careless change would make of the same
pixels and templates: shifted, scaled, as halves, as bytes, as JPEG, layer by layer.
"""

from contextlib import contextmanager
from unittest.mock import patch

import numpy as np

from device import recognition
from device.bundles.demonstration import load_list
from device.capture.frame import Frame, Picture, PixelFormat
from device.matching import Gallery, scores_of
from device.opencv import cv2
from device.settings import CameraSettings, DeviceSettings, Settings, VisionSettings
from device.vision import Catalogue, Eye, default_directory
from device.vision import sighting as sighting_module
from device.vision.embedder import Embedder
from device.vision.inference import Network
from device.vision.observer import Observer
from device.vision.sample import Probe
from tests.privacy.forgetting.layers import Inside
from tests.privacy.forgetting.needles import Form
from tests.privacy.forgetting.people import LORES, SIZE
from tests.privacy.forgetting.provision import LIST_SIZE
from tests.privacy.forgetting.recording import Recorder, aside, scan_of, watching
from tools.lab.collection import models_of
from tools.lab.random_list import random_list

_ALL = 1 << 30


class Shadow:
    """The appliance's twin.

    models: "built-in" or "operational". watchlist: the demonstration list that the appliance has,
    or the gallery of an opened one; without any, some random references. vision: as configured
    there. seen: faces that were detected, and compared, in all frames so far. templates: of the
    newest frame, by face.
    """

    def __init__(self, models="built-in", watchlist=None, *, vision=None):
        catalogue = Catalogue.read(default_directory())
        named = models_of(catalogue, models)
        # It takes its time, as the appliance does there.
        self.settings = _settings(named, vision or VisionSettings(frame_budget_ms=0))
        self.eye = Eye.open(catalogue, named, self.settings.vision)
        self.gallery = _gallery(watchlist, self.eye)
        self.seen = {"detected": 0, "compared": 0}
        self.templates = {}
        self._inside = {
            part._network: Inside(
                part._network, catalogue.verified_path(entry), of_a_face=of_a_face
            )
            for part, entry, of_a_face in (
                (self.eye.detector, self.eye.detector_entry, False),
                (self.eye.embedder, self.eye.embedder_entry, True),
            )
        }
        self._looks_inside = True
        self._constants = None
        self._last = (None, [])

    def forms(self, frame, *, inside=True):
        """Return all forms of a frame and of its faces.

        inside: also what lies in the networks' layers, which takes a third of the time.
        """
        if self._constants is None:
            self._constants = frozenset()
            self._constants = frozenset(self._watch(_mirrored(frame)).said)
            self.seen = dict.fromkeys(self.seen, 0)
        recorder = self._watch(frame, inside=inside)
        forms = [
            Form(frame.name + said.face, said.kind, said.content, said.least, said.every)
            for said in recorder.said.values()
        ]
        self._last = (frame.name, forms)
        return forms

    def few(self, frame):
        """Return the few of a frame's forms by which it is still known at the end of a run."""
        if self._last[0] != frame.name:
            self.forms(frame)
        return [
            Form(form.canary, form.kind, piece, form.least)
            for form in self._last[1]
            for piece in _pieces(form.content, *_FEW.get(form.kind, (0, 0)))
        ]

    def _watch(self, frame, *, inside=True):
        recorder = Recorder(self._constants)
        self.templates = {}
        self._looks_inside = inside
        _keep_streams(recorder, frame)
        recogniser = recognition.Recogniser(self.eye, self.gallery, self.settings)
        with self._faces_named(recorder, frame), watching(recorder):
            recogniser.process(_shown(frame), lambda *_: None)
        self.seen["detected"] += recogniser.faces_in_frame
        recogniser.forget()
        return recorder

    @contextmanager
    def _faces_named(self, recorder, frame):
        """Say which face is being looked at, and keep the forms that the product does not make."""
        compare, features, outputs = Observer._compare, Embedder.features, Network.outputs

        def named(observer, shown, shot, boxes, decide):
            recorder.face = f", face {_nearest(frame.faces, shot.row)}"

            def decided(sighting):
                self.seen["compared"] += 1
                with aside():
                    _keep_template(recorder, sighting.probe.template, "template")
                    self._keep_scores(recorder, sighting.probe)
                self.templates[recorder.face] = sighting.probe.template.copy()
                wanted = decide(sighting)
                self._keep_what_a_match_would_make(recorder, sighting)
                return wanted

            try:
                compare(observer, shown, shot, boxes, decided)
            finally:
                recorder.face = ""

        def measured(embedder, sample):
            with aside():
                _keep_crop(recorder, sample.pixels)
            found = features(embedder, sample)
            recorder.keep("features, float32", found)
            return found

        @contextmanager
        def shown(network, image):
            with outputs(network, image) as found:
                with aside():
                    values = [output.all() for output in found]
                    self._keep_network(recorder, network, image, values)
                yield found

        with (
            patch.object(Observer, "_compare", named),
            patch.object(Embedder, "features", measured),
            patch.object(Network, "outputs", shown),
            self._kept(recorder, "look_again", "exact template"),
            self._kept(recorder, "look_closer", "mean template"),
        ):
            yield

    def _kept(self, recorder, way, name):
        """Keep what comes of a way to look at a probe again, until the end of a block."""
        look = getattr(Probe, way)

        def looked(probe):
            another = look(probe)
            if another:
                with aside():
                    _keep_template(recorder, probe.template, name)
                # Watched: what lies in linear algebra's memory is the cosines behind the scores.
                self._keep_scores(recorder, probe)
            return another

        return patch.object(Probe, way, looked)

    def _keep_network(self, recorder, network, image, outputs):
        """Keep what lies in the interpreter while it computes."""
        inside = self._inside.get(network)
        if inside is None:
            return
        if not inside.of_a_face:
            which, every = ("second look", 32) if recorder.face else ("detector", 4)
            recorder.keep(f"{which} input, uint8", image, every=every)
            recorder.keep(f"{which} input - 128, int8", _shifted(image), every=2 * every)
        if self._looks_inside:
            inside.keep(recorder, image, outputs)

    def _keep_scores(self, recorder, probe):
        """Keep how like everybody on the list a probe is: a watched array is only part of one."""
        recorder.keep("scores, float32", scores_of(self.gallery, probe.template[np.newaxis]))

    def _keep_what_a_match_would_make(self, recorder, sighting):
        """Keep the templates of both other crops, the turned ones, and the pictures of an alert."""
        probe = sighting.probe
        # Where this has not been done: the appliance looks again only near a reference.
        probe.look_again()
        probe.look_closer()
        transformation = self.gallery._transformation
        if transformation is not None:
            padded = np.zeros((1, transformation.rotations.shape[1]), np.float32)
            padded[0, : transformation.dimension] = probe.template
            for rotation in transformation.rotations:
                recorder.keep("turned template, float32", padded @ rotation)
        recorder.keep("JPEG", scan_of(sighting.portrait(_ALL)))
        with aside():
            for step in sighting_module._PORTRAITS[1:]:
                with patch.object(sighting_module, "_PORTRAITS", (step,)):
                    recorder.keep("JPEG", scan_of(sighting.portrait(_ALL)))


def _gallery(watchlist, eye):
    if isinstance(watchlist, Gallery):
        return watchlist
    listed = (
        random_list(LIST_SIZE, eye, np.random.default_rng(1))
        if watchlist is None
        else load_list(watchlist)
    )
    return Gallery(listed, eye.embedder_entry.sha256, eye.embedder.dimension)


def _settings(models, vision):
    return Settings(
        device=DeviceSettings(site="s", id="d", demonstration=True),
        camera=CameraSettings(kind="picamera2"),
        models=models,
        vision=vision,
    )


def _shown(frame):
    """Return a frame as the camera's source makes it, with pixels of its own."""
    main, lores = frame.main.copy(), frame.lores.copy()
    return Frame(
        0,
        0,
        0.0,
        Picture(lores, *LORES, PixelFormat.I420),
        Picture(main, *SIZE, PixelFormat.I420),
        release=lambda: None,
    )


def _mirrored(frame):
    """Return the frame seen in a mirror: what is the same in both is of no frame."""
    planes = [
        cv2.cvtColor(
            np.ascontiguousarray(cv2.cvtColor(each, cv2.COLOR_YUV2BGR_I420)[:, ::-1]),
            cv2.COLOR_BGR2YUV_I420,
        )
        for each in (frame.main, frame.lores)
    ]
    return type(frame)(frame.seed, frame.number, *planes, frame.faces)


def _nearest(faces, row):
    """Return the number, from 1, of the canary face that a detection shows."""
    if not faces:
        return 0
    boxes = np.array([box for _, box in faces])
    middles = boxes[:, :2] + boxes[:, 2:] / 2
    return int(np.hypot(*(middles - (row[:2] + row[2:4] / 2)).T).argmin()) + 1


def _keep_streams(recorder, frame):
    for name, planes, size in (("main", frame.main, SIZE), ("small", frame.lores, LORES)):
        luma = size[0] * size[1]
        flat = planes.reshape(-1)
        recorder.keep(f"{name} stream, Y rows", flat[:luma], every=3)
        recorder.keep(f"{name} stream, U rows", flat[luma : luma * 5 // 4], every=2)
        recorder.keep(f"{name} stream, V rows", flat[luma * 5 // 4 :], every=2)
        colours = cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)
        recorder.keep(f"{name} stream, BGR", colours, every=16 if name == "main" else 4)


def _shifted(pixels):
    """Return pixels as networks of 8-bit integers store them."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def _keep_crop(recorder, pixels):
    """Keep an aligned crop in every form that an interpreter or a measure of quality gives it."""
    recorder.keep("crop, uint8", pixels, every=2)
    recorder.keep("crop - 128, int8", _shifted(pixels), every=2)
    recorder.keep("crop, grey", cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), every=2)
    for name, numbers in (
        ("", pixels.astype(np.float32)),
        (" / 255", pixels.astype(np.float32) / np.float32(255)),
        (" around 0", (pixels.astype(np.float32) - np.float32(127.5)) / np.float32(128)),
    ):
        recorder.keep(f"crop{name}, float32", numbers, every=16, least=64)
        recorder.keep(f"crop{name}, float16", numbers.astype(np.float16), every=16, least=32)


def _keep_template(recorder, template, name):
    for kind in (np.float32, np.float16, np.float64):
        recorder.keep(f"{name}, {np.dtype(kind).name}", template.astype(kind), least=16)
    recorder.keep(f"{name}, int8", np.rint(template * 127).astype(np.int8))
    largest = np.abs(template).max()
    recorder.keep(f"{name}, int8 scaled", np.rint(template * (127 / largest)).astype(np.int8))


def _pieces(content, count, length):
    """Return pieces of a content, evenly spread over it; short content whole."""
    if count * length >= len(content):
        return [content]
    apart = len(content) // max(1, count)
    return [content[place * apart + apart // 2 :][:length] for place in range(count)]


_FEW = {
    "crop, uint8": (4, 128),
    "template, float32": (1, _ALL),
    "template, int8": (1, _ALL),
    "template, int8 scaled": (1, _ALL),
    "template, float16": (1, _ALL),
    "mean template, float32": (1, _ALL),
    "turned template, float32": (1, _ALL),
    "JPEG": (2, 128),
    "main stream, BGR": (4, 128),
    "main stream, Y rows": (10, 128),
    "small stream, Y rows": (4, 128),
}
"""How many pieces of each kind are searched for at the end of a run, and of how many bytes."""

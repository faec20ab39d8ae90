"""Presentation-attack detection: a person before the camera, or a picture of one held up to it?

Print and screen only, and only as an option: which model, how it looks and from which live score a
face passes stand in `models.toml`; what it lets through and whom it refuses in
docs/attack-detection.md. It looks at more than the face, because paper has edges and screens have
frames, so its crop may show neighbours too: it is wiped before the answer returns (R13). It is
asked only about a face that would become a candidate; nobody else is judged.
"""

import numpy as np

from device.capture.frame import Picture, Pixels
from device.errors import ConfigurationError, ModelError
from device.opencv import cv2
from device.settings import ModelSettings, VisionSettings
from device.vision.catalogue import Catalogue, LiveScale, ModelEntry
from device.vision.inference import Floats, Network

_IMAGE_TYPES = ("uint8", "float32")


class AttackDetector:
    """Judges one face in its surroundings. One thread owns it."""

    def __init__(
        self, network: Network, entry: ModelEntry, configured: float | None = None
    ) -> None:
        """configured: threshold of the configuration, or None for the model's own.

        Raises ModelError when the entry does not say how the model judges, or the network is none
        that could: one square picture of 0 to 255 in, one row of classes out.
        """
        self.entry = entry
        self._scale = _scale_of(entry, network)
        self._network = network
        self.threshold = self._scale.threshold if configured is None else configured
        origin = "default" if configured is None else "configured"
        self.threshold_id = f"{entry.name}-{origin}-{self.threshold:.3f}"
        """What the status and every alert say of it."""
        self.runtime = network.runtime
        """What runs it."""
        _, side, _, _ = network.input_shape
        self._buffer = np.zeros((side, side, 3), np.uint8)

    @classmethod
    def configured(
        cls, catalogue: Catalogue, models: ModelSettings, vision: VisionSettings
    ) -> "AttackDetector | None":
        """Open the detector that the settings name; None when they name none.

        Raises ModelError when it is not here or not the right file, ConfigurationError when only
        its threshold is set: who asked for attack detection must not run without it.
        """
        if not models.attack_detector:
            if vision.live_threshold is not None:
                msg = (
                    "vision.live_threshold is set, but models.attack_detector names no model: name "
                    "one, or take the threshold out."
                )
                raise ConfigurationError(msg)
            return None
        entry = catalogue.entry(models.attack_detector, "attack-detection")
        network = catalogue.open(entry, models.threads, edge_tpu=models.edge_tpu == "auto")
        return cls(network, entry, vision.live_threshold)

    def is_attack(self, main: Picture, box: Floats) -> bool:
        """Tell whether a face is judged a print or a screen. Arguments as in `live_score`.

        What cannot be judged is an attack: a score that is no number must not pass.
        """
        return not self.live_score(main, box) >= self.threshold

    def live_score(self, main: Picture, box: Floats) -> float:
        """Return how much a face looks like a person before the camera, 0 to 1; never published.

        box: x, y, width, height of the face, (4,) float32, pixels of `main`. NaN when the box is
        none, or the network returned nothing usable.
        """
        if not np.all(np.isfinite(box)) or min(box[2:4]) < 1:
            return float("nan")
        try:
            self._cut(main, surroundings(box, main.width, main.height, self._scale.surroundings))
            (output,) = self._network.run(self._buffer)
        finally:
            self._buffer.fill(0)
        return float(softmax(output.reshape(-1))[self._scale.live_class])

    @property
    def wiped(self) -> bool:
        """True when nothing of a frame is left in the buffer and in the network."""
        return not self._buffer.any() and self._network.wiped

    def wipe(self) -> bool:
        """See `Network.wipe`."""
        return self._network.wipe()

    def _cut(self, main: Picture, region: tuple[int, int, int, int]) -> None:
        pixels: Pixels = main.region_bgr(*region)
        try:
            # Bilinear, without averaging, as upstream does: how a crop was shrunk is part of the
            # texture that the model learned.
            side = self._buffer.shape[0]
            cv2.resize(pixels, (side, side), dst=self._buffer, interpolation=cv2.INTER_LINEAR)
        finally:
            if not np.shares_memory(pixels, main.pixels):
                pixels.fill(0)


def surroundings(box: Floats, width: int, height: int, scale: float) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the crop around a face, even and inside the picture.

    box: x, y, width, height in pixels of a picture of width × height, at least 2 × 2. The box grows
    about its centre, by less than `scale` where the picture is smaller than that, and is then
    shifted into the picture. Source: Silent-Face-Anti-Spoofing, src/generate_patches.py.
    """
    x, y, across, down = (float(value) for value in box[:4])
    factor = min(scale, (width - 1) / across, (height - 1) / down)
    left, right = _span(x, across, factor, width)
    top, bottom = _span(y, down, factor, height)
    return left, top, right, bottom


def _span(start: float, length: float, factor: float, limit: int) -> tuple[int, int]:
    """Return one axis of the crop as even numbers, at least two pixels apart."""
    grown = length * factor
    low = min(max(0.0, start + length / 2 - grown / 2), limit - grown)
    first = min(int(low) // 2 * 2, limit // 2 * 2 - 2)
    return first, max(first + 2, int(low + grown) // 2 * 2)


def softmax(values: Floats) -> Floats:
    """Return the shares of (n,) float32 logits, (n,) float32 with sum 1; NaN where one is."""
    powers = np.exp(values - values.max())
    return np.asarray(powers / powers.sum(), np.float32)


def _scale_of(entry: ModelEntry, network: Network) -> LiveScale:
    if entry.live is None:
        msg = f"Model {entry.name} cannot judge attacks: models.toml has no [model.live] for it."
        raise ModelError(msg)
    _, height, width, _ = network.input_shape
    shapes = network.output_shapes
    classes = shapes[0][-1]
    if (
        network.input_dtype not in _IMAGE_TYPES
        or height != width
        or len(shapes) != 1
        or int(np.prod(shapes[0])) != classes
        or entry.live.live_class >= classes
    ):
        msg = (
            f"Model {entry.name} is no attack detector that this software knows: it needs one "
            "square picture (uint8 or float32) as input and one row of classes, the live one among "
            "them, as output."
        )
        raise ModelError(msg)
    return entry.live

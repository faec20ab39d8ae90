"""An attack detector without weights: its network looks at the rim of the crop.

A person of the street stands before a grey wall; a picture of one is held up with a white border.
The stand-in really measures that border in the pixels: blank them, and its answer changes.
"""

import msgspec
import numpy as np

from device.vision.attack import AttackDetector
from device.vision.catalogue import LiveScale
from device.vision.inference import RuntimeInfo
from tests.simulators.street import entry

SIDE = 80
LIVE = LiveScale(surroundings=2.7, live_class=1, threshold=0.5)
WHITE = 200


class RimNetwork:
    """Says class 0 (attack) where the rim is white, else 1 (live). Keeps what it was shown."""

    runtime = RuntimeInfo("stand-in", "1", "CPU", 1)
    wiped = True

    def wipe(self):
        """What it was shown is kept for the test."""

    def __init__(self, side=SIDE, dtype="float32", outputs=((1, 3),)):
        self.input_shape = (1, side, side, 3)
        self.input_dtype = dtype
        self.output_shapes = list(outputs)
        self.shown = []

    def run(self, image):
        assert image.dtype == np.uint8
        self.shown.append(image.copy())
        rim = np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]]).mean()
        lead = 2.0 if rim > WHITE else -2.0
        return [np.array([[lead, -lead, -9.0]], np.float32)]


def attack_entry(live=LIVE):
    return msgspec.structs.replace(entry("attack-detection"), live=live)


def attack_detector(network=None, configured=None):
    return AttackDetector(network or RimNetwork(), attack_entry(), configured)

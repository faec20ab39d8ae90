"""Frames, samples and probes cannot be stored, copied or printed (R13)."""

import copy
import json
import pickle

import msgspec
import numpy as np
import pytest

from device.capture.frame import Picture
from device.matching import Gallery
from device.vision.quality import Pose
from device.vision.sample import Probe, Sample
from device.vision.sighting import Sighting
from tests.simulators.street import SHA, Person, frame, watchlist


def _all():
    pixels = np.full((8, 8, 3), 201, np.uint8)
    picture = Picture.of_bgr(pixels)
    probe = Probe(np.full(16, 0.25, np.float32))
    return [
        frame([Person(30, 100)], 0),
        picture,
        Sample(pixels),
        probe,
        Sighting(
            1,
            probe,
            np.zeros(4, np.float32),
            pose=Pose(1, 0, 0, 0),
            quality=0.5,
            main=picture,
            others=np.zeros((0, 4), np.float32),
        ),
        Gallery(watchlist([30]), SHA),
    ]


@pytest.mark.parametrize("thing", _all(), ids=lambda thing: type(thing).__name__)
class TestNothingGetsOut:
    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_no_pickle(self, thing, protocol):
        with pytest.raises(TypeError, match="R13"):
            pickle.dumps(thing, protocol)

    def test_no_copy(self, thing):
        for copier in (copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="R13"):
                copier(thing)

    def test_no_json(self, thing):
        for encode in (json.dumps, msgspec.json.encode, msgspec.msgpack.encode):
            with pytest.raises(TypeError):
                encode(thing)

    def test_no_content_in_text(self, thing):
        for text in (repr(thing), str(thing), f"{thing}"):
            assert text == f"<{type(thing).__name__}>"

    def test_no_place_for_extra_attributes(self, thing):
        with pytest.raises(AttributeError):
            thing.extra = 1

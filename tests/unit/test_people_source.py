"""The rendered street as a frame source, and as pictures in a folder."""

import numpy as np
import pytest

from device.capture.stills import StillsSource
from device.errors import CameraError, ModelError
from device.vision import Catalogue, default_directory
from tools.lab.collection import models_of
from tools.lab.people import Person, Street, walk_past
from tools.lab.people.source import RenderedSource, write_stills

STREET = Street(size=(160, 120), rate=3, focal_px=220)


def street():
    return walk_past([Person.from_seed(21)], 6, STREET)


def test_frames_carry_the_scenes_and_their_clock_and_are_wiped():
    seen = []
    source = RenderedSource(street, 80, seen=lambda scene, at_ns: seen.append((scene, at_ns)))
    source.open()
    numbers = []
    while (frame := source.read(1.0)) is not None:
        scene, at_ns = seen[-1]
        assert (frame.seconds, frame.captured_at_ns) == (scene.seconds, at_ns)
        assert np.array_equal(frame.main.pixels, scene.image)
        assert frame.lores.width == 80
        pixels = frame.main.pixels
        frame.release()
        assert not pixels.any()
        assert scene.image.any()
        numbers.append(frame.number)
    assert numbers == list(range(len(seen)))
    source.close()
    assert source.read(1.0) is None


def test_an_impossible_street_is_a_fault_of_the_camera():
    source = RenderedSource(lambda: walk_past([], 1, Street(rate=-1)))
    with pytest.raises(CameraError, match="positive rate"):
        source.open()


def test_a_street_in_a_folder_is_what_the_stills_source_plays(tmp_path):
    assert write_stills(street(), tmp_path) == len(list(tmp_path.iterdir()))
    source = StillsSource(tmp_path, frames_per_second=3)
    source.open()
    for scene in street():
        frame = source.read(1.0)
        assert np.array_equal(frame.main.pixels, scene.image)
        assert frame.seconds == pytest.approx(scene.seconds)
        frame.release()
    assert source.read(1.0) is None


def test_each_collection_has_its_models():
    catalogue = Catalogue.read(default_directory())
    assert models_of(catalogue, "built-in").embedder == "passerby-embedder"
    assert models_of(catalogue, "operational").embedder == "omz-0095"
    with pytest.raises(ModelError, match="no built-in detector"):
        models_of(Catalogue(catalogue.directory, []), "built-in")

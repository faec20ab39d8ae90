"""The real models on the evaluation faces: what must be found, and what must not.

A part of the gallery, so that the suite stays short; `make proof-acceptance` takes all of it.
"""

import shutil

import pytest

from device.bundles import load_list
from device.matching import Gallery
from device.search import Searcher
from device.settings import CameraSettings, DeviceSettings, Settings, WatchlistSettings
from device.vision import Eye
from tools.desk.main import main as desk
from tools.lab.manifest import read_manifest

SETS = ("london", "orl", "intel")
MORE_LFW = 120


@pytest.fixture(scope="module")
def items(faces):
    return read_manifest(faces)


@pytest.fixture(scope="module")
def enrolled(items, models, tmp_path_factory):
    """Enrol through the real command; return the number of photographs and a searcher."""
    work = tmp_path_factory.mktemp("enrolled")
    photos = work / "photos"
    photos.mkdir()
    gallery = [i for i in items if i.role == "gallery" and i.source_set in SETS]
    lfw = [i for i in items if i.role == "gallery" and i.source_set == "lfw"]
    gallery += lfw[:: max(1, len(lfw) // MORE_LFW)]
    for item in gallery:
        shutil.copy(item.path, photos / f"{item.identities[0]}{item.path.suffix}")
    assert desk(["enrol", "--photos", str(photos), "--out", str(work / "list"), "--strict"]) == 0
    settings = Settings(
        DeviceSettings("t", "t", str(work), demonstration=True),
        CameraSettings("stills"),
        WatchlistSettings(str(work / "list")),
    )
    eye = Eye.open(models, settings.models, settings.vision)
    return len(gallery), Searcher(
        eye, Gallery(load_list(work / "list"), eye.embedder_entry.sha256), settings
    )


def _references(searcher, path):
    result = searcher.search(path)
    assert result.error is None
    return {found.reference_id for found in result.candidates}


def test_the_whole_gallery_enrols(enrolled):
    photographs, searcher = enrolled
    assert len(searcher._gallery) == photographs > 190


def test_every_smiling_londoner_is_found(items, enrolled):
    smiling = [i for i in items if i.subset == "smiling"]
    assert len(smiling) == 51
    found = [_references(enrolled[1], item.path) == set(item.identities) for item in smiling]
    assert sum(found) == 51


def test_every_clip_of_an_enrolled_person_alerts_and_none_wrongly(items, enrolled):
    searcher = enrolled[1]
    clips = [i for i in items if i.role == "video"]
    assert len(clips) == 16
    ids = set(searcher._gallery.ids)
    for item in clips:
        assert _references(searcher, item.path) == ids & set(item.identities), item.path.name


def test_negatives_raise_nothing(items, enrolled):
    negatives = [i for i in items if i.role == "negative"]
    assert len(negatives) == 187
    raised = [i.path.name for i in negatives if _references(enrolled[1], i.path)]
    assert raised == []

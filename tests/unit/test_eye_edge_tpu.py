"""The model that really runs is the one that must be authorised, also on a Coral (R34)."""

import hashlib
from dataclasses import replace

import msgspec
import pytest

from device.policy.of_list import other_models
from device.protocol.alert import ModelHash
from device.settings import ModelSettings, VisionSettings
from device.vision import Catalogue, Eye, catalogue, eye
from device.vision.inference import RuntimeInfo
from tests.conftest import ROOT
from tests.simulators.situations import ARMED, signed

COMPILED = b"compiled for a Coral, or something else entirely"
DIGEST = hashlib.sha256(COMPILED).hexdigest()


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """Return what opens an eye whose embedder has a compiled file. coral: whether one is there."""
    own = Catalogue.read(ROOT / "models")
    settings = ModelSettings()
    detector = own.entry(settings.detector, "detector")
    embedder = own.entry(settings.embedder, "embedder")
    (tmp_path / "compiled.tflite").write_bytes(COMPILED)
    plain = [
        msgspec.structs.replace(one, file=f"{one.role}.tflite", sha256=_written(tmp_path, one.role))
        for one in (detector, embedder)
    ]
    plain[1] = msgspec.structs.replace(
        plain[1], edge_tpu_file="compiled.tflite", edge_tpu_sha256=DIGEST
    )
    monkeypatch.setattr(catalogue, "_check_contract", lambda *_: None)
    for part in ("Detector", "Embedder", "Aligner", "SecondLook"):
        monkeypatch.setattr(eye, part, Part)

    def opening(*, coral, edge_tpu="auto"):
        def network(_file, threads, compiled):
            runs = coral and compiled is not None
            delegate = eye.EDGE_TPU if runs else "CPU"
            return Part(runtime=RuntimeInfo("stand-in", "1", delegate, threads))

        monkeypatch.setattr(catalogue, "open_network", network)
        models = msgspec.structs.replace(settings, edge_tpu=edge_tpu)
        return Eye.open(Catalogue(tmp_path, plain), models, VisionSettings()), plain

    return opening


def _written(folder, role):
    content = role.encode()
    (folder / f"{role}.tflite").write_bytes(content)
    return hashlib.sha256(content).hexdigest()


class Part:
    side = 112
    runtime = None

    def __init__(self, *_arguments, runtime=None):
        self.runtime = runtime


def told(found, plain):
    """What policy says when the portable files were authorised."""
    authorised = signed(models=[ModelHash(one.role, one.name, one.sha256) for one in plain])
    loaded = tuple(ModelHash(one.role, one.name, one.sha256) for one in found.entries)
    situation = replace(authorised, models=loaded)
    return other_models(situation, situation.authorisation, ARMED.opened)


def test_a_compiled_model_that_runs_is_named_by_its_own_hash_and_is_not_authorised(opened):
    found, plain = opened(coral=True)
    assert [one.sha256 for one in found.entries] == [plain[0].sha256, DIGEST]
    assert "not authorised is the embedder" in told(found, plain)
    # The list was made with the portable model: it is compared as such.
    assert found.embedder_entry.sha256 == plain[1].sha256


@pytest.mark.parametrize(("coral", "edge_tpu"), [(False, "auto"), (True, "off")])
def test_without_a_coral_the_portable_model_runs_and_is_authorised(opened, coral, edge_tpu):
    found, plain = opened(coral=coral, edge_tpu=edge_tpu)
    assert [one.sha256 for one in found.entries] == [one.sha256 for one in plain]
    assert told(found, plain) is None


def test_a_compiled_model_that_is_authorised_itself_runs(opened):
    found, plain = opened(coral=True)
    assert told(found, [plain[0], msgspec.structs.replace(plain[1], sha256=DIGEST)]) is None

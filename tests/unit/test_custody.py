"""The signed list on this device: verified, opened into locked memory, wiped."""

import msgspec
import pytest

from device.bundles import client
from device.errors import ModelError
from device.protocol.identifiers import utc_text
from device.vision import Catalogue, Eye, default_directory
from tests.simulators.charge import (
    HOUR,
    KEY,
    OTHER,
    REFERENCE,
    S,
    World,
    verified_here,
)
from tests.simulators.repository import DAY_NS, DEPLOYMENT, NOW_NS

REAL_OPEN = vars(Eye)["open"]


@pytest.fixture
def one(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def test_the_signed_tables_replace_the_device_s_own_and_no_others(one):
    configuration = b"[vision]\nyaw = 0.2\n[models]\ndirectory = '/elsewhere'\nthreads = 2\n"
    one.publish(configuration=configuration + b"[matching]\nthreshold = 0.8\n")
    device = one.armed()
    used = device.custody.settings
    assert used.vision.yaw == 0.2
    assert used.models.threads == 2
    assert used.models.directory == one.settings.models.directory
    assert used.device == one.settings.device
    assert used.broker == one.settings.broker
    assert used.watchlist == one.settings.watchlist


def test_a_bundle_is_verified_again_at_every_start_and_not_at_every_look(one, monkeypatch):
    asked = []

    def counting(*arguments):
        asked.append(arguments[0])
        return verified_here(*arguments)

    monkeypatch.setattr(client, "_ask", counting)
    one.install()
    asked.clear()
    one.boot().live(5)
    one.boot().live(5)
    assert asked == ["check", "check"]


def test_a_bundle_that_verifies_at_the_second_try_is_taken_over_as_at_the_first(one):
    """Its clock was behind: when it is right, deadline and deployment must be known too."""
    one.install()
    one.clocks.wall_ns, one.clocks.synchronised = NOW_NS - 3 * DAY_NS, False
    device = one.boot()
    device.live()
    assert device.custody.installed is None
    one.clocks.wall_ns, one.clocks.synchronised = NOW_NS, True
    device.custody._verified_s -= 60
    assert device.live().state == "armed"
    assert device.obedience.standing.deployment == DEPLOYMENT
    assert (one.state / "erase-by.json").exists()


def test_a_damaged_bundle_is_said_and_looked_at_again(one):
    device = one.armed()
    found = device.custody.installed
    (found.folder / "targets/authorisation.json").write_bytes(b"{}")
    device = one.boot()
    verdict = device.live(2)
    assert verdict.state == "waiting"
    assert "authorisation.json" in verdict.reasons[0]


def test_a_link_that_points_elsewhere_is_said(one):
    one.install()
    link = one.state / "bundle/current"
    link.unlink()
    link.symlink_to("/etc")
    verdict = one.boot().live(2)
    assert verdict.state == "waiting"
    assert "points elsewhere" in verdict.reasons[0]


def test_models_that_are_missing_keep_the_list_shut(one, monkeypatch):
    def missing(*_):
        raise ModelError("The embedder is missing: fetch it.")

    one.install()
    monkeypatch.setattr("device.custody.Eye.open", missing)
    device = one.boot()
    verdict = device.live(2)
    assert verdict.state == "ready"
    assert verdict.reasons == ("The embedder is missing: fetch it.",)


def test_only_what_is_authorised_is_chosen_among(one):
    device = one.armed()
    signed = device.custody.installed.authorisation.models
    assert len(signed) > 1
    assert one.allowed == {model.sha256 for model in signed}


def test_a_detector_that_the_distance_asks_for_and_nobody_signed_keeps_the_list_shut(
    one, monkeypatch
):
    one.settings = msgspec.structs.replace(
        one.settings, camera=msgspec.structs.replace(one.settings.camera, farthest_m=2.0)
    )
    one.publish(configuration=b"[models]\ndetector_by_depth = true\n[matching]\nthreshold = 0.8\n")
    one.install()
    catalogue = Catalogue.read(default_directory())
    monkeypatch.setattr(Catalogue, "configured", lambda _directory: catalogue)
    monkeypatch.setattr(Eye, "open", REAL_OPEN)
    verdict = one.boot().live(2)
    assert verdict.state == "ready"
    (reason,) = verdict.reasons
    assert "camera.farthest_m = 2 asks for the detector yunet-s-320x256" in reason
    assert "set models.detector_by_depth to false" in reason


def test_closing_wipes_the_rows_and_the_rotations_and_lets_the_models_go(one):
    device = one.armed()
    gallery = device.custody.gallery
    device.custody.close("a test")
    assert not gallery.matrix.any()
    assert not gallery._transformation.rotations.any()
    assert device.custody.gallery is None
    assert device.custody.eye is None
    assert device.custody.models is None
    assert device.custody.threshold is None
    assert device.custody.facts((), NOW_NS) is None
    assert dict(one.lines())["list wiped"]["reason"] == "a test"


def test_references_leave_when_they_expire_and_the_manifest_says_when(tmp_path, monkeypatch):
    one = World(tmp_path, monkeypatch, expires_ns=NOW_NS + HOUR)
    device = one.armed()
    gallery = device.custody.gallery
    one.clocks.pass_by(HOUR - S)
    device.live()
    assert gallery.matrix.any()
    one.clocks.pass_by(S)
    device.charge.tend()
    assert not gallery.matrix.any()
    until = {line["reference_id"]: line["until_at"] for line in one.manifest()["listings"]}
    assert until == dict.fromkeys((REFERENCE, OTHER), utc_text(NOW_NS + HOUR))
    device.live(2)
    assert not one.holds_a_list()


def test_a_reference_revoked_while_the_list_is_shut_has_left_it_then(one):
    device = one.armed()
    device.custody.close("a test")
    one.clocks.pass_by(HOUR)
    device.obey(one.order("revoke", REFERENCE))
    device.charge.obey()
    one.clocks.pass_by(HOUR)
    device.live(2)
    until = {line["reference_id"]: line["until_at"] for line in one.manifest()["listings"]}
    assert until == {REFERENCE: utc_text(NOW_NS + HOUR), OTHER: "unknown"}


def test_what_policy_is_told_of_an_open_list(one):
    device = one.armed()
    device.obey(one.order("revoke", REFERENCE))
    device.live()
    opened = device.charge.situation(None).opened
    assert (opened.size, opened.held, opened.comparable) == (2, 1, 1)
    assert opened.deployment == DEPLOYMENT


def test_what_is_no_bundle_any_more_opens_nothing(one):
    device = one.armed()
    device.custody.forget()
    assert device.custody.open(KEY) is False
    assert device.custody.gallery is None

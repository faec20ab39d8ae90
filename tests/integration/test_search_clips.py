"""`passerby match` on a clip: what ends a session of the camera ends a search in a clip too."""

import argparse
import json
import os

import cv2
import pytest

from device import opened, search
from device.capture.frame import Frame
from device.cli import match
from device.errors import NotArmedError, StorageError
from device.matching import Gallery
from device.protocol.authorisation import Retention
from device.protocol.keys import encode_keys
from tests.simulators.charge import ENDS_NS, OTHER, PASSER_BY, REFERENCE, S, World, alerting
from tests.simulators.repository import NOW_NS
from tests.simulators.street import Person, picture

CONFIGURATION = """
[device]
site = "site-1"
id = "device-1"
state_directory = "{state}"
[camera]
kind = "stills"
[watchlist]
root = "{root}"
unlock = "local"
[broker]
host = "127.0.0.1"
port = 1
tls = false
[desk]
public_keys = "{desk}"
[alerts]
drain_s = 0
"""
FRAMES = 40
APPEARS = 20
"""The frame at which somebody on the list comes into the picture of `late.avi`."""
HALFWAY = 18


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A device with an armed list, two clips, and a boot clock that the test turns."""
    one = World(tmp_path, monkeypatch, authorisation=alerting(retention=Retention(watchlist_h=0.0)))
    one.install()
    desk = tmp_path / "desk.pub"
    desk.write_bytes(encode_keys(one.desk.desk_keys.public))
    one.configuration = tmp_path / "device.toml"
    one.configuration.write_text(
        CONFIGURATION.format(state=one.state, root=one.pinned, desk=desk), "utf-8"
    )
    clip(tmp_path / "late.avi", [[] if n < APPEARS else PASSER_BY for n in range(FRAMES)])
    clip(tmp_path / "throughout.avi", [PASSER_BY] * FRAMES)
    monkeypatch.setattr(search, "_boot_s", lambda: one.clocks.boot_ns / S)
    return one


def clip(path, pictures):
    height, width = picture([], 0).shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (width, height))
    for number, people in enumerate(pictures):
        writer.write(picture(people, number * 0.1))
    writer.release()


class Watched:
    """The frames that were compared, and what happens before one of them is read."""

    def __init__(self, monkeypatch, at=None):
        self.frames = []
        self.compared = 0
        self.forgotten = 0
        self.sizes = []
        read, process = search.VideoSource.read, search.Recogniser.process
        forget = search.Recogniser.forget

        def reading(source, timeout_s):
            frame = read(source, timeout_s)
            if frame is not None:
                self.frames.append(frame)
                (at or {}).get(len(self.frames), lambda: None)()
            return frame

        def processing(recogniser, *arguments):
            self.compared += 1
            return process(recogniser, *arguments)

        def forgetting(recogniser):
            self.forgotten += 1
            forget(recogniser)

        monkeypatch.setattr(search.VideoSource, "read", reading)
        monkeypatch.setattr(search.Recogniser, "process", processing)
        monkeypatch.setattr(search.Recogniser, "forget", forgetting)


def run(one, *names, as_json=True, unlocked=None):
    return match.run(
        argparse.Namespace(
            purpose="Robbery of 3 May",
            case="26-4471",
            config=one.configuration,
            paths=[one.folder / name for name in names],
            json=as_json,
            watchlist=None,
            unlocked=unlocked,
        )
    )


def found(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [[one["reference_id"] for one in json.loads(line)["candidates"]] for line in lines]


def orders(one, monkeypatch):
    """Returns what gives an order of the desk to the command that runs: (action, reference)."""
    obediences = []
    connected = opened.correspondence

    def correspondence(settings, inbox):
        courier, notebook, obedience = connected(settings, inbox)
        obedience._now_ns = lambda: one.clocks.wall_ns
        obediences.append(obedience)
        return courier, notebook, obedience

    monkeypatch.setattr(opened, "correspondence", correspondence)

    def give(action, reference_id=None):
        obediences[0].take(one.order(action, reference_id))
        one.clocks.pass_by(S)

    return give


def test_somebody_on_the_list_is_found_in_a_clip(world, capsys):
    assert run(world, "late.avi", "throughout.avi") == 0
    assert found(capsys) == [[REFERENCE], [REFERENCE]]


@pytest.mark.parametrize("name", ["late.avi", "throughout.avi"])
def test_when_the_window_ends_in_a_clip_nothing_more_is_compared_and_nothing_is_said(
    world, capsys, monkeypatch, name
):
    watched = Watched(monkeypatch, {HALFWAY: lambda: world.clocks.pass_by(ENDS_NS - NOW_NS)})
    with pytest.raises(NotArmedError, match="last time window has closed"):
        run(world, name)
    assert found(capsys) == []
    assert watched.compared == HALFWAY - 1
    assert not world.holds_a_list()


ENDS = {"suspend": "suspended", "end": "ended"}


@pytest.mark.parametrize("action", ENDS)
def test_an_order_ends_a_clip_that_is_being_compared(world, capsys, monkeypatch, action):
    give = orders(world, monkeypatch)
    watched = Watched(monkeypatch, {HALFWAY: lambda: give(action)})
    with pytest.raises(NotArmedError, match=ENDS[action]):
        run(world, "throughout.avi")
    assert found(capsys) == []
    assert watched.compared == HALFWAY - 1
    assert "list wiped" in world.events()


def test_every_frame_template_and_track_of_a_clip_that_was_ended_is_wiped(world, monkeypatch):
    galleries = []
    open_list = Gallery.opened
    monkeypatch.setattr(
        Gallery,
        "opened",
        lambda *arguments: (galleries.append(open_list(*arguments)), galleries[-1])[1],
    )
    give = orders(world, monkeypatch)
    watched = Watched(monkeypatch, {HALFWAY: lambda: give("suspend")})
    with pytest.raises(NotArmedError):
        run(world, "throughout.avi")
    assert len(watched.frames) == HALFWAY
    assert all(isinstance(one, Frame) and one.released for one in watched.frames)
    assert watched.forgotten == 1
    (eye,) = world.eyes
    assert eye.embedder.probes
    assert not any(probe.template.any() for probe in eye.embedder.probes)
    (gallery,) = galleries
    assert not gallery.matrix.any()
    assert gallery._transformation.buffer.wiped


def test_a_reference_that_is_revoked_before_it_comes_into_a_clip_is_not_found(
    world, capsys, monkeypatch
):
    give = orders(world, monkeypatch)
    watched = Watched(monkeypatch, {HALFWAY: lambda: give("revoke", REFERENCE)})
    assert run(world, "late.avi") == 0
    assert found(capsys) == [[]]
    assert watched.compared == FRAMES


def test_a_reference_that_is_revoked_after_it_was_found_is_not_shown(world, capsys, monkeypatch):
    give = orders(world, monkeypatch)
    both = [*PASSER_BY, Person(90, x=400, y=220)]
    clip(world.folder / "both.avi", [both] * FRAMES)
    Watched(monkeypatch, {FRAMES: lambda: give("revoke", REFERENCE)})
    assert run(world, "both.avi") == 0
    assert found(capsys) == [[OTHER]]


def test_a_condition_that_falls_with_the_last_frame_leaves_no_result(world, capsys, monkeypatch):
    """Between two questions half a second passes: what was compared in it is not shown."""
    give = orders(world, monkeypatch)

    def suspend_unasked():
        give("suspend")
        world.clocks.pass_by(-S)

    Watched(monkeypatch, {FRAMES: suspend_unasked})
    with pytest.raises(NotArmedError, match="suspended"):
        run(world, "throughout.avi")
    assert found(capsys) == []


def test_conditions_are_asked_twice_a_second_and_not_at_every_frame(world, capsys, monkeypatch):
    asked = []
    refuse = match.refuse_unless_armed
    monkeypatch.setattr(
        match, "refuse_unless_armed", lambda charge: (asked.append(charge), refuse(charge))
    )
    steps = dict.fromkeys(range(1, FRAMES + 1), lambda: world.clocks.pass_by(S // 10))
    Watched(monkeypatch, steps)
    assert run(world, "throughout.avi") == 0
    # Before the list is used, before the file, at every fifth frame, before the result.
    assert len(asked) == 3 + FRAMES // 5


def test_when_another_bundle_comes_during_a_clip_the_search_ends(world, capsys, monkeypatch):
    """The list that was compared with is wiped: to say "no candidate" would be untrue."""

    def another():
        world.clocks.pass_by(60 * S)
        world.publish(alerting(version=2))
        world.install()

    Watched(monkeypatch, {HALFWAY: another})
    with pytest.raises(NotArmedError, match="Another watchlist"):
        run(world, "throughout.avi")
    assert found(capsys) == []


# --- the process ---


def test_memory_that_may_be_swapped_is_told_to_policy(world, monkeypatch):
    monkeypatch.setattr("device.charge.swap_is_on", lambda: True)
    with pytest.raises(NotArmedError, match="turn swap off"):
        run(world, "late.avi", unlocked="Frames may be swapped: turn swap off.")


def test_another_user_than_the_services_searches_nothing(world, monkeypatch, capsys):
    owner = world.state.stat().st_uid
    before = sorted(world.state.rglob("*"))
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(StorageError, match=r"sudo -u \S+ passerby match …"):
        run(world, "late.avi")
    assert found(capsys) == []
    assert sorted(world.state.rglob("*")) == before


def test_a_files_name_forges_no_line_of_a_result(world, capsys):
    name = "a.avi: 0 faces\n  no candidate\x1b[2K.avi"
    (world.folder / "late.avi").rename(world.folder / name)
    assert run(world, name, as_json=False) == 0
    out = capsys.readouterr().out
    assert r"\n  no candidate\x1b[2K.avi: 1 face" in out
    assert not any(line.startswith("  no candidate") for line in out.splitlines())

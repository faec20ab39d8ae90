"""Bundles that come over MQTT: put together, installed, refused, tried again."""

import time

import msgspec
import pytest

from device import arrivals
from device.errors import StorageError
from tests.simulators.charge import World, authorised
from tests.simulators.repository import DAY_NS, NOW_NS


@pytest.fixture
def one(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


def comes(device, parts):
    for part in parts:
        device.inbox.parts.put(part)
    for _ in range(len(parts) // 8 + 2):
        device.charge.tend()


def test_a_bundle_in_parts_is_installed_and_watched_with(one):
    device = one.boot()
    comes(device, one.parts())
    assert device.live().state == "armed"
    assert dict(one.lines())["bundle installed"]["deployment"] == authorised().deployment
    assert device.charge._arrivals.faults == []


def test_parts_may_come_in_any_order_twice_and_over_a_restart(one):
    parts = one.parts()
    comes(one.boot(), [*parts[5:], parts[7]])
    device = one.boot()
    comes(device, [parts[9], *reversed(parts[:5])])
    assert device.live().state == "armed"


def test_a_bundle_that_was_whole_at_a_power_cut_is_installed_at_the_next_start(one, monkeypatch):
    device = one.boot()
    install = arrivals.install

    def cut(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(arrivals, "install", cut)
    with pytest.raises(KeyboardInterrupt):
        comes(device, one.parts())
    monkeypatch.setattr(arrivals, "install", install)
    assert one.boot().live().state == "armed"


def test_a_refused_bundle_is_told_and_removed_and_leaves_what_is_installed(one):
    device = one.armed()
    comes(device, one.parts(spoilt=True))
    assert device.live().state == "armed"
    assert "The bundle that the desk sent is refused." in device.charge._arrivals.faults[0]
    assert not (one.state / "bundle/incoming/bundle.tar").exists()
    assert one.events().count("bundle refused") == 1
    one.publish(authorised(version=2))
    comes(device, one.parts(offered_s=60))
    assert device.charge._arrivals.faults == []


def test_a_bundle_for_another_device_is_refused(one):
    one.publish(authorised(devices=["urn:passerby:site-1:device-2"]))
    device = one.boot()
    comes(device, one.parts())
    assert device.live().state == "waiting"
    assert "not for this device" in device.charge._arrivals.faults[0]


def test_a_full_disk_is_no_fault_of_the_bundle_and_it_is_tried_again(one, monkeypatch):
    device, install = one.boot(), arrivals.install

    def full(*_, **__):
        raise StorageError("The disk is full.")

    monkeypatch.setattr(arrivals, "install", full)
    comes(device, one.parts())
    assert device.charge._arrivals.faults == ["The disk is full."]
    monkeypatch.setattr(arrivals, "install", install)
    device.live(3)
    assert device.custody.installed is None
    at_s = time.monotonic() + arrivals._AGAIN_S
    monkeypatch.setattr(arrivals.time, "monotonic", lambda: at_s)
    assert device.live().state == "armed"


def test_a_bundle_that_comes_before_the_clock_is_set_is_kept_and_installed_later(one, monkeypatch):
    """A Pi has no clock of its own: the broker may be there before the time is."""
    one.clocks.wall_ns = NOW_NS - 3 * DAY_NS
    one.clocks.synchronised = False
    device = one.boot()
    comes(device, one.parts())
    assert device.live().state == "waiting"
    assert "clock of this device is behind" in device.charge._arrivals.faults[0]
    assert "bundle refused" not in one.events()
    one.clocks.wall_ns, one.clocks.synchronised = NOW_NS, True
    at_s = time.monotonic() + arrivals._AGAIN_S
    monkeypatch.setattr(arrivals.time, "monotonic", lambda: at_s)
    assert device.live(2).state == "armed"
    assert device.charge._arrivals.faults == []


def test_parts_are_taken_a_few_at_a_time_so_that_frames_go_on(one):
    device = one.boot()
    parts = one.parts()
    for part in parts:
        device.inbox.parts.put(part)
    device.charge.tend()
    assert device.inbox.parts.qsize() == len(parts) - arrivals._PARTS_AT_ONCE


def test_a_part_for_another_device_is_refused_and_noted(one):
    device = one.boot()
    part = msgspec.structs.replace(one.parts()[0], device="urn:passerby:site-1:device-2")
    device.inbox.parts.put(part)
    device.live(2)
    assert "message refused" in one.events()


def test_a_refreshed_bundle_leaves_the_open_list_open(one):
    device = one.armed()
    gallery, release = device.custody.gallery, device.custody.installed.folder
    one.repository.refresh()
    one.install()
    assert device.live().state == "armed"
    assert device.custody.installed.folder != release
    assert device.custody.gallery is gallery


def test_repeated_parts_fill_no_more_memory_than_a_bundle_takes(one):
    device = one.boot()
    (part, *_) = one.parts()
    for _ in range(2 * device.inbox.parts.maxsize):
        device.inbox.part(part)
    assert device.inbox.parts.qsize() == device.inbox.parts.maxsize < 4000
    assert device.inbox.missed
    device.live()
    assert (device.wire.fetched, device.inbox.missed) == (1, False)

"""`passerby match` with a signed list: the camera's conditions, and a purpose of its own."""

import argparse
import json

import cv2
import pytest

from device.audit import AuditLog
from device.cli import match
from device.errors import NotArmedError
from device.files import hold_alone
from device.protocol.authorisation import Retention, Window
from device.protocol.identifiers import utc_text
from device.protocol.keys import encode_keys
from device.search import Searcher
from tests.simulators.charge import (
    ENDS_NS,
    HOUR,
    PASSER_BY,
    REFERENCE,
    World,
    alerting,
    authorised,
)
from tests.simulators.repository import DAY_NS, NOW_NS
from tests.simulators.street import picture

CONFIGURATION = """
[device]
site = "site-1"
id = "device-1"
state_directory = "{state}"
[camera]
kind = "stills"
[watchlist]
root = "{root}"
unlock = "{unlock}"
[broker]
host = "127.0.0.1"
port = 1
tls = false
[desk]
public_keys = "{desk}"
[alerts]
drain_s = 0
"""


@pytest.fixture
def world(tmp_path, monkeypatch):
    def make(authorisation=None, **options):
        one = World(tmp_path, monkeypatch, authorisation=authorisation or alerting(), **options)
        one.install()
        desk = tmp_path / "desk.pub"
        desk.write_bytes(encode_keys(one.desk.desk_keys.public))
        one.configuration = tmp_path / "device.toml"
        one.configuration.write_text(
            CONFIGURATION.format(state=one.state, root=one.pinned, unlock=one.unlock, desk=desk)
        )
        for name in ("1.png", "2.png"):
            cv2.imwrite(str(tmp_path / name), picture(PASSER_BY, 0))
        return one

    return make


def search(one, *, purpose="Robbery of 3 May", case="26-4471"):
    return match.run(
        argparse.Namespace(
            purpose=purpose,
            case=case,
            config=one.configuration,
            paths=[one.folder / "1.png", one.folder / "2.png"],
            json=True,
            watchlist=None,
            unlocked=None,
        )
    )


def found(capsys):
    lines = capsys.readouterr().out.splitlines()
    return [[one["reference_id"] for one in json.loads(line)["candidates"]] for line in lines]


def test_stills_are_compared_with_the_signed_list_each_logged_with_its_purpose(world, capsys):
    one = world()
    assert search(one) == 0
    assert found(capsys) == [[REFERENCE], [REFERENCE]]
    searches = [told for event, told in one.lines() if event == "search"]
    assert [told["file"] for told in searches] == ["1.png", "2.png"]
    assert {(told["purpose"], told["case"]) for told in searches} == {
        ("Robbery of 3 May", "26-4471")
    }
    assert one.events()[0] == "unlocked"
    assert one.events()[-1] == "list wiped"
    AuditLog(one.state / "audit.jsonl").check()


FORBIDDEN = {
    "before the window": (-2 * HOUR, "No time window is open"),
    "with an expired bundle": (8 * DAY_NS, "expired"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_outside_the_authorisation_no_still_is_searched(world, capsys, name):
    by_ns, sentence = FORBIDDEN[name]
    window = Window(utc_text(NOW_NS - HOUR), utc_text(NOW_NS + 20 * DAY_NS))
    one = world(alerting(windows=[window]))
    one.clocks.pass_by(by_ns)
    with pytest.raises(NotArmedError, match=sentence):
        search(one)
    assert found(capsys) == []
    assert one.events() == []


def test_in_silent_mode_nothing_is_searched_and_nobody_is_shown_anything(world, capsys):
    one = world(authorised())
    with pytest.raises(NotArmedError, match="silent mode"):
        search(one)
    assert found(capsys) == []
    assert "search" not in one.events()
    assert one.events()[-1] == "list wiped"


def test_a_revoked_reference_is_not_found(world, capsys):
    one = world()
    device = one.boot()
    device.obey(one.order("revoke", REFERENCE))
    device.charge.obey()
    assert search(one) == 0
    assert found(capsys) == [[], []]


def test_a_suspended_device_searches_nothing(world):
    one = world()
    device = one.boot()
    device.obey(one.order("suspend"))
    device.charge.obey()
    with pytest.raises(NotArmedError, match="suspended"):
        search(one)


def after_the_first(monkeypatch, change):
    search_one, done = Searcher.search, []

    def searching(self, *arguments):
        result = search_one(self, *arguments)
        if not done:
            done.append(True)
            change()
        return result

    monkeypatch.setattr(Searcher, "search", searching)


def test_when_the_window_ends_between_two_stills_the_second_is_not_searched(
    world, capsys, monkeypatch
):
    one = world(alerting(retention=Retention(watchlist_h=0.0)))
    after_the_first(monkeypatch, lambda: one.clocks.pass_by(ENDS_NS - NOW_NS))
    with pytest.raises(NotArmedError, match="last time window has closed"):
        search(one)
    assert found(capsys) == [[REFERENCE]]
    assert one.events().count("search") == 1
    assert not one.holds_a_list()


def test_a_clock_that_jumps_between_two_stills_erases_nothing(world, capsys, monkeypatch):
    one = world()
    one.clocks.synchronised = None

    def jump():
        one.clocks.wall_ns += 25 * DAY_NS

    after_the_first(monkeypatch, jump)
    with pytest.raises(NotArmedError, match="jumped"):
        search(one)
    assert found(capsys) == [[REFERENCE]]
    assert one.holds_a_list()


def test_a_key_that_is_missing_is_said_at_once(world):
    one = world(local=None)
    with pytest.raises(NotArmedError, match="no key for this device"):
        search(one)


def test_while_the_appliance_runs_nothing_is_searched_beside_it(world):
    one = world()
    with hold_alone(one.state / "lock"), pytest.raises(Exception, match=r"runs|use|other"):
        search(one)
    assert one.events() == []


def beside(device, monkeypatch):
    """Let the search correspond by a device of the test."""

    def correspondence(_settings, inbox):
        device.inbox = inbox
        device.wire.ask = lambda request: inbox.unlocks.put(device.answer(request=request))
        return device.wire, device.notebook, device.obedience

    monkeypatch.setattr("device.opened.correspondence", correspondence)


@pytest.mark.parametrize("synchronised", [True, False])
def test_the_desk_is_waited_for(world, capsys, monkeypatch, synchronised):
    one = world(unlock="remote")
    one.clocks.synchronised = synchronised
    device, started = one.boot(), []
    beside(device, monkeypatch)
    after_the_first(monkeypatch, lambda: started.append(device.wire.started))
    assert search(one) == 0
    assert found(capsys) == [[REFERENCE], [REFERENCE]]
    assert started == [True]
    assert device.wire.started is False


def test_an_order_that_has_come_is_obeyed_before_the_list_is_opened(world, monkeypatch):
    one = world()
    device = one.boot()
    beside(device, monkeypatch)
    device.obey(one.order("suspend"))
    with pytest.raises(NotArmedError, match="suspended"):
        search(one)
    assert "unlocked" not in one.events()


def test_an_order_that_comes_between_two_stills_is_obeyed(world, capsys, monkeypatch):
    one = world()
    device = one.boot()
    beside(device, monkeypatch)
    after_the_first(monkeypatch, lambda: device.obey(one.order("suspend")))
    with pytest.raises(NotArmedError, match="suspended"):
        search(one)
    assert found(capsys) == [[REFERENCE]]

"""The gateway's rules, without broker and database: what a message means, and what is news."""

import itertools
import time
from queue import SimpleQueue

import pytest

from device.errors import ConfigurationError
from device.protocol.envelope import digest_of
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys, encode_keys
from device.protocol.status import Status, StatusData
from device.settings import BrokerSettings
from tests.simulators.device_simulator import DeviceSimulator
from tools.desk.gateway import link as link_module
from tools.desk.gateway.configuration import parse_desk_configuration
from tools.desk.gateway.happenings import Connected, Disconnected, Received
from tools.desk.gateway.intake import (
    Damaged,
    Device,
    Dropped,
    Dummy,
    Envelopes,
    Intake,
    Letter,
    Report,
    answer_to,
    source_of,
)
from tools.desk.gateway.patience import Patience
from tools.desk.gateway.refusals import Tally
from tools.desk.gateway.statuses import Known, is_news, is_premature, is_replay

DESK = PrivateKeys.generate()
NOW_NS = 1_790_000_000_123_000_000


@pytest.fixture
def device():
    return DeviceSimulator(DESK.public)


@pytest.fixture
def decide(device):
    keys = encode_keys(device.keys.public).decode()
    intake = Intake(Envelopes(DESK, "x25519"))

    def call(topic, payload, *, revoked=False):
        known = {device.topics.source: Device(device.topics.source, keys, revoked)}
        return intake.decide(topic, payload, known)

    return call


def test_every_kind_of_message_has_its_meaning_and_its_answer(device, decide):
    alert, letter = device.alert()
    decision = decide(device.topics.of("alert"), device.sent(letter))
    assert isinstance(decision, Letter)
    assert (decision.id, decision.sequence) == (alert.id, 1)
    assert answer_to(decision) == ("stored", digest_of(letter))
    dummy = decide(device.topics.of("alert"), device.cover())
    assert isinstance(dummy, Dummy)
    assert answer_to(dummy) == ("cover", None)
    report = decide(device.topics.of("status"), device.envelope.cell(device.status()))
    assert isinstance(report, Report)
    assert answer_to(report) is None
    _, letter = device.record()
    assert decide(device.topics.of("record"), device.sent(letter)).kind == "record"
    broken = letter[:-1] + bytes([letter[-1] ^ 1])
    damaged = decide(device.topics.of("record"), device.sent(broken))
    assert isinstance(damaged, Damaged)
    assert answer_to(damaged) == ("refused", digest_of(broken))


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("passerby/v1/s1/d1/receipt", "a topic for devices"),
        ("passerby/v1/s1/d1/command", "a topic for devices"),
        ("passerby/v1/s1/d2/alert", "unknown device"),
        ("passerby/v1/s1/alert", "no topic of Passerby"),
        ("", "no topic of Passerby"),
        ("passerby/v1/s1/d1/status", "WrongTopicError"),
    ],
)
def test_what_is_not_ours_is_dropped_without_an_answer(device, decide, topic, reason):
    decision = decide(topic, device.cover())
    assert isinstance(decision, Dropped)
    assert decision.reason == reason
    assert answer_to(decision) is None


def test_a_revoked_device_is_not_heard(device, decide):
    decision = decide(device.topics.of("alert"), device.cover(), revoked=True)
    assert decision == Dropped("revoked device", device.topics.source)


def test_only_topics_from_devices_name_a_source():
    assert source_of("passerby/v1/s1/d1/alert") == "urn:passerby:s1:d1"
    assert source_of("passerby/v1/s1/d1/command") is None
    assert source_of("passerby/#") is None


def _status(at_s, link="online", connection="a"):
    time_ns = NOW_NS + int(at_s * 1e9)
    connection = f"0000000{connection}-0000-7000-8000-000000000000"
    data = StatusData(link, "comparing", connection=connection)
    return Status(uuid7(time_ns), "urn:passerby:s1:d1", utc_text(time_ns), data)


def _known(status, floor=None):
    return Known(status.id, floor or status.time, status.data.connection, status.data.link)


def test_a_status_is_news_when_it_is_later_and_a_will_once():
    online, later = _status(0), _status(5)
    assert is_news(online, None)
    assert not is_news(online, _known(online))
    assert not is_replay(online, _known(online))
    assert is_news(later, _known(online))
    assert is_replay(online, _known(later))
    will = _status(-1, "offline")
    assert is_news(will, _known(later))
    gone = _known(will, floor=later.time)
    assert not is_news(will, gone)
    # The online status of before the end does not bring the device back to life.
    assert is_replay(later, gone)
    assert is_news(_status(6, connection="b"), gone)
    assert is_replay(_status(-1, "offline", "c"), _known(later))


def test_a_status_that_is_far_ahead_of_the_clock_is_premature():
    assert not is_premature(_status(-(10**6)), NOW_NS)
    assert not is_premature(_status(300), NOW_NS)
    assert is_premature(_status(301), NOW_NS)


class SlowConnection:
    """Stands for a connection that takes a while to make."""

    alive = True

    def __init__(self, *_):
        self.closed = False

    def open(self):
        SlowConnection.made.append(self)
        next(SlowConnection.waits)

    def close(self, *, polite=True):
        self.closed = True


@pytest.fixture
def link(monkeypatch):
    """A link whose connections take 7 s each, by its own clock."""
    clock = [100.0]
    SlowConnection.made = []
    SlowConnection.waits = (clock.__setitem__(0, clock[0] + 7.0) for _ in itertools.count())
    monkeypatch.setattr(link_module, "Connection", SlowConnection)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    return link_module.Link(BrokerSettings(), "id", 0, lambda _: [], SimpleQueue())


def _try(link):
    """Let a link connect anew; return the connection."""
    link._next_try_s = 0.0
    link.tick()
    return SlowConnection.made[-1]


def _answer(link, reason):
    link.handle(
        Connected(_try(link), not reason, reason, reason == "Unsupported protocol version", 16)
    )


def test_a_connection_that_was_slow_to_make_is_not_taken_for_dead(link):
    connection = _try(link)
    link.tick()
    assert not connection.closed
    assert link.fault is None


def test_only_hang_ups_and_an_unknown_version_lead_to_mqtt_3_1_1(link):
    for _ in range(4):
        _answer(link, "Not authorized")
        assert "refuses this gateway: Not authorized" in link.fault
        assert link.version == "5"
    _answer(link, "Unsupported protocol version")
    assert link.version == "3.1.1"
    # It may have been a mistake: MQTT 5 has another try.
    _answer(link, "Not authorized")
    assert link.version == "5"
    for _ in range(3):
        link.handle(Disconnected(_try(link), "hung up"))
    assert link.version == "3.1.1"


def test_a_message_that_finds_no_place_ends_its_own_connection_only(link):
    _answer(link, "")
    first = SlowConnection.made[-1]
    overflow = Received(first, "t", b"", 1)
    link.refuse(overflow)
    assert first.closed
    assert not link.ready
    _answer(link, "")
    link.refuse(overflow)
    assert link.ready


def test_the_log_of_a_flood_is_short(caplog):
    tally = Tally()
    for _ in range(10_000):
        tally.add("ForgedError", "urn:passerby:s1:d1")
        tally.add("unknown device")
    assert len(caplog.records) == 2
    tally.report(0)
    tally.report(61)
    assert len(caplog.records) == 4
    assert "9999 times: ForgedError" in caplog.text


def test_patience_grows_and_ends():
    patience = Patience()
    pauses = [patience.pause_s() for _ in range(20)]
    assert pauses[0] <= 0.2
    assert 15 <= pauses[-1] <= 30
    patience.reset()
    assert patience.pause_s() <= 0.2


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[desk]\nkyes = 'x'", 'the key "kyes" is unknown; did you mean "keys"?'),
        ("[emitt]\nto = []", 'the table "emitt" is unknown; did you mean "emit"?'),
        ("[desk", "is not valid TOML"),
        ("[broker]\nport = 0", "broker.port: Expected `int` >= 1"),
        ("[broker]\nhost = 'far'\ntls = false", "in the clear"),
        ("[emit]\nto = []", "nothing would reach anybody"),
        ("[emit]\nto = ['fax']", "emit.to"),
        ("[emit]\nto = ['webhook']", "no address of a web service"),
        ("[emit]\nto = ['webhook']\nwebhook_url = 'http://far/x'", "use https"),
        ("[emit]\nto = ['webhook']\nwebhook_url = 'https://u:p@far/x'", "holds a password"),
        ("[emit]\nto = ['mqtt']\n[emit_mqtt]\nhost = 'far'\ntls = false", "emit_mqtt.tls"),
        ("[retention]\nalerts_h = 48", "retention.longer_because"),
        ("[retention]\nalerts_h = 1000", "retention.alerts_h"),
    ],
)
def test_every_mistake_of_a_configuration_is_a_sentence(tmp_path, text, sentence):
    with pytest.raises(ConfigurationError) as caught:
        parse_desk_configuration(text, tmp_path / "desk.toml")
    assert sentence in str(caught.value)


def test_paths_count_from_the_folder_of_the_configuration(tmp_path):
    settings = parse_desk_configuration("[desk]\nkeys = 'k'", tmp_path / "desk.toml")
    assert settings.desk.keys == str(tmp_path / "k")
    assert settings.desk.database == f"sqlite:///{tmp_path / 'desk.db'}"
    assert settings.retention.alerts_h == 24
    text = "[retention]\nalerts_h = 48\nlonger_because = 'Section 9.'"
    assert parse_desk_configuration(text, tmp_path / "desk.toml").retention.alerts_h == 48
    url = "postgresql://desk@db/desk"
    settings = parse_desk_configuration(f"[desk]\ndatabase = '{url}'", tmp_path / "desk.toml")
    assert settings.desk.database == url

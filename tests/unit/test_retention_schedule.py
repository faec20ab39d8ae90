"""One schedule (R23): it reads, refuses nonsense, and nothing in the code says anything else."""

import re
import tomllib
from typing import get_args

import msgspec
import pytest

from device.errors import ConfigurationError
from device.protocol import authorisation
from device.protocol.authorisation import Retention
from device.settings import RetentionSettings
from device.settings import Settings as DeviceConfiguration
from tests.conftest import ROOT
from tools.desk.gateway import settings as gateway_settings
from tools.desk.gateway.settings import DeskRetentionSettings, GatewaySettings
from tools.desk.retention.page import PAGE, page
from tools.desk.retention.schedule import (
    ITEMS,
    default_path,
    hours,
    nanoseconds,
    read_schedule,
    schedule_of,
)

TEXT = (ROOT / "firmware_config/retention.toml").read_text("utf-8")
SCHEDULE = read_schedule(default_path())


def limits(kind, field):
    """The least and the largest that a setting takes."""
    schema = msgspec.json.schema(kind)["$defs"][kind.__name__]["properties"][field]
    least = schema.get("minimum", schema.get("exclusiveMinimum"))
    return least, schema["maximum"]


def test_the_shipped_schedule_is_the_one_that_is_read():
    assert default_path() == ROOT / "firmware_config/retention.toml"
    assert set(SCHEDULE.kept) == set(ITEMS)


def test_the_device_keeps_alerts_as_long_as_the_schedule_says():
    item = SCHEDULE.item("alerts_device")
    assert RetentionSettings().alerts_h == item.keep_h
    assert limits(RetentionSettings, "alerts_h")[1] == item.longest_h


def test_the_desk_keeps_alerts_as_long_as_the_schedule_says():
    item = SCHEDULE.item("alerts_desk")
    assert DeskRetentionSettings().alerts_h == item.keep_h
    assert item.maximum_h == gateway_settings.LONGEST_H
    assert limits(DeskRetentionSettings, "alerts_h")[1] == item.longest_h


def test_the_broker_keeps_messages_as_long_as_the_schedule_says():
    item = SCHEDULE.item("alerts_broker")
    assert GatewaySettings().session_h == item.keep_h
    assert limits(GatewaySettings, "session_h")[1] == item.longest_h


def test_an_authorisation_can_give_no_more_than_the_schedule():
    alerts, watchlist = SCHEDULE.item("alerts_device"), SCHEDULE.item("watchlist_device")
    assert alerts.maximum_h == authorisation.LONGEST_RETENTION_H
    assert watchlist.maximum_h == authorisation.LONGEST_RETENTION_H
    assert limits(Retention, "alerts_h")[1] == alerts.maximum_h
    assert limits(Retention, "watchlist_h")[1] == watchlist.maximum_h
    assert Retention().alerts_h == alerts.keep_h
    assert Retention().watchlist_h == watchlist.keep_h


@pytest.mark.parametrize("name", ["device.toml", "desk.toml"])
def test_the_shipped_configurations_keep_alerts_no_longer_than_the_schedule(name):
    tables = tomllib.loads((ROOT / "firmware_config" / name).read_text("utf-8"))
    item = SCHEDULE.item("alerts_device" if name == "device.toml" else "alerts_desk")
    given = tables.get("retention", {}).get("alerts_h", item.keep_h)
    assert given <= item.maximum_h
    assert "retention" in {field.name for field in msgspec.structs.fields(DeviceConfiguration)}


def test_no_face_without_a_match_is_kept_at_all():
    assert SCHEDULE.item("faces").longest_h == 0


def test_alerts_and_lists_stay_a_day_at_most():
    for name in ("alerts_device", "alerts_broker", "alerts_desk", "watchlist_device", "backups"):
        assert SCHEDULE.item(name).maximum_h <= 24, name


def test_the_page_shows_this_schedule():
    assert page(SCHEDULE, PAGE.read_text("utf-8")) == PAGE.read_text("utf-8")
    assert all(SCHEDULE.item(name).what in PAGE.read_text("utf-8") for name in ITEMS)


def test_a_period_is_hours_or_days():
    assert (hours("0 hours"), hours("24 hours"), hours("30 days")) == (0, 24, 720)
    assert nanoseconds("1 days") == 86_400 * 10**9


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("version = 1", "version = 2", "version"),
        ('answer = "30 days"', 'answer = "thirty days"', "answer"),
        ('answer = "30 days"', 'answer = "0 days"', "no time"),
        ('answer = "30 days"', "", "answer"),
        ("[kept.journal]", "[kept.diary]", "diary"),
        ('erased_by = "person"', 'erased_by = "nobody"', "nobody"),
        ('keep = "365 days"', 'keep = "731 days"', "own maximum"),
        ('exceptional = "744 hours"', 'exceptional = "1 hours"', "below its maximum"),
        ("[kept.faces]", "[kept.faces", "wrong"),
        ("what = ", "which = ", "which"),
    ],
)
def test_a_schedule_that_cannot_be_meant_is_refused_in_one_sentence(tmp_path, old, new, sentence):
    assert old in TEXT
    path = tmp_path / "retention.toml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(ConfigurationError, match=sentence):
        read_schedule(path)


def test_a_schedule_without_one_of_its_items_is_refused(tmp_path):
    for name in ITEMS:
        path = tmp_path / "retention.toml"
        path.write_text(re.sub(rf"\[kept\.{name}\].*?(?=\n\[|\Z)", "", TEXT, flags=re.DOTALL))
        with pytest.raises(ConfigurationError, match=rf"\[kept\.{name}\] is missing"):
            read_schedule(path)


def test_words_for_the_notice_are_in_both_languages_or_in_none(tmp_path):
    path = tmp_path / "retention.toml"
    path.write_text(re.sub(r"notice_fr = .*\n", "", TEXT, count=1))
    with pytest.raises(ConfigurationError, match="one language"):
        read_schedule(path)


def test_a_workplace_may_shorten_a_period_and_never_lengthen_one(tmp_path):
    assert schedule_of(tmp_path) == SCHEDULE
    own = tmp_path / "retention.toml"
    own.write_text(TEXT.replace('answer = "30 days"', 'answer = "20 days"'))
    assert schedule_of(tmp_path).deadlines.answer == "20 days"
    for old, new in (
        ('answer = "30 days"', 'answer = "31 days"'),
        ('extension = "30 days"', 'extension = "31 days"'),
        ('keep = "365 days"', 'keep = "366 days"'),
        ('maximum = "180 days"', 'maximum = "181 days"'),
        ('exceptional = "744 hours"', 'exceptional = "745 hours"'),
    ):
        assert old in TEXT
        own.write_text(TEXT.replace(old, new, 1))
        with pytest.raises(ConfigurationError, match="longer than that of Passerby"):
            schedule_of(tmp_path)


def test_a_schedule_that_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_schedule(tmp_path / "none.toml")
    (tmp_path / "raw.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError):
        read_schedule(tmp_path / "raw.toml")


def test_every_item_that_a_program_erases_names_it():
    assert get_args(type(SCHEDULE).__annotations__["version"]) == (1,)
    for name in ITEMS:
        item = SCHEDULE.item(name)
        assert item.how
        assert item.why
        assert item.counted_from

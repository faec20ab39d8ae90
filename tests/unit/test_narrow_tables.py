"""The desk's tables at 80 columns: an id or a date that is cut cannot be acted on."""

import io
from datetime import date

import pytest
from rich.console import Console

from tools.desk import delivery
from tools.desk.gateway.deliveries import Delivery, Gap
from tools.desk.watchlist import showing
from tools.desk.watchlist.entry import CATEGORIES, DISPOSITIONS, Entry

NAME = "Maximiliane Musterfrau-Beispielhausen"
SITE, DEVICE = "s" * 20 + "-north", "gate-" + "d" * 20


def printed(table, width=80):
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(table)
    return out.getvalue()


def columns(text):
    """The content of each column, its lines joined, without spaces."""
    rows = [line.strip("│\n").split("│") for line in text.splitlines() if line.startswith("│")]
    return [words("".join(column)) for column in zip(*rows, strict=True)]


def words(text):
    return text.replace(" ", "")


class Listed:
    """What the table asks of an entry."""

    reference_id = "r-0192f3a4b5c6"
    name = NAME
    born_on = date(1980, 2, 3)
    category = max(CATEGORIES, key=len)
    offence_class = "trafficking in persons"
    review_on = date(2026, 1, 31)
    expires_on = date(2026, 12, 31)
    disposition = max(DISPOSITIONS, key=len)
    suspended = True
    photographs = (1, 2)


def test_what_is_asked_of_an_entry_is_what_an_entry_has():
    asked = {name for name in vars(Listed) if not name.startswith("_")}
    assert asked <= {*Entry.__struct_fields__, *vars(Entry)}


@pytest.mark.parametrize("names", [True, False])
def test_a_list_is_shown_whole_at_80_columns(names):
    text = printed(showing.table([Listed()], names=names))
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    for whole in (Listed.reference_id, "2026-01-31", "2026-12-31"):
        assert whole in text
    assert ("1980-02-03" in text) is names
    joined = columns(text)
    kept = Listed.reference_id + (words(NAME) + "born1980-02-03" if names else "")
    assert joined[0] == kept
    assert joined[1] == words(Listed.category)
    assert joined[4] == words(Listed.disposition) + "(suspended)"


def test_a_name_is_no_markup():
    entry = Listed()
    entry.name = "[red]Name[/red]"
    assert "[red]" in printed(showing.table([entry], names=True))


def test_deliveries_are_shown_whole_at_80_columns():
    one = Delivery(
        f"urn:passerby:{SITE}:{DEVICE}",
        "keys",
        None,
        "2026-01-31T10:11:12.123Z",
        "offline",
        "not comparing",
        newest=1234567,
        epochs=12,
        gaps=[Gap("e", 123456, 123999, "-"), Gap("e", 130000, 130000, "-")],
        unemitted={"vms-of-the-control-room": 3, "pager": 12},
        slowed="2 of 4",
    )
    text = printed(delivery.table([one]))
    assert max(map(len, text.splitlines())) <= 80
    assert "2026-01-31" in text
    assert "10:11:12Z" in text
    assert columns(text)[0] == f"{SITE}/{DEVICE}"
    assert columns(text)[2] == "offline,notcomparing,step2of4"
    assert columns(text)[3] == "1234567"
    assert columns(text)[4] == words(", ".join(map(str, one.gaps[-5:])))
    assert columns(text)[6] == "pager:12,vms-of-the-control-room:3"


def test_a_device_is_on_one_line_where_there_is_room():
    one = Delivery(f"urn:passerby:{SITE}:{DEVICE}", "keys", None, None, None, None)
    assert f"{SITE}/{DEVICE}" in printed(delivery.table([one]), width=160)

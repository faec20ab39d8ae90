"""The public notice (R36): made from the authorisation and the schedule, complete, and harmless."""

import re
from datetime import timedelta, timezone
from html.parser import HTMLParser
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from device.errors import ConfigurationError
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import (
    Authorisation,
    Retention,
    Signage,
    Threshold,
    Window,
    encode_authorisation,
)
from device.protocol.wording import NOTICE
from tests.conftest import ROOT
from tools.desk.main import main
from tools.desk.notice import Words, notice, render
from tools.desk.retention.schedule import ITEMS, default_path, read_schedule
from tools.desk.rights.office import Office

OFFICE = Office(
    "A Police Service",
    "Un service de police",
    "Rights Officer, 555-0100",
    "Agent des droits, 555-0100",
    "the Commissioner",
    "le Commissaire",
)
WORDS = Words(OFFICE, read_schedule(default_path()), "trouver des personnes recherchées")
HEADINGS = 9


def authorisation(**changes):
    one = Authorisation(
        deployment="11111111-1111-7111-8111-111111111111",
        version=1,
        signed_at="2026-08-01T00:00:00.000Z",
        objective="to find people who are wanted on a warrant",
        place="the north entrance of the hall",
        devices=["urn:passerby:s1:d1"],
        windows=[
            Window("2026-09-01T08:00:00.000Z", "2026-09-01T18:00:00.000Z"),
            Window("2026-09-02T08:00:00.000Z", "2026-09-02T18:30:00.000Z"),
        ],
        legal_basis="decision 17 of the board",
        impact_assessment="assessment 4, version 2",
        signage=Signage("Sergeant 9", "2026-08-02T00:00:00.000Z"),
        threshold=Threshold("provisional", "t-1", 0.5, 0.5, 0.001, 1, None, "not evaluated yet."),
        models=[ModelHash("detector", "d", "ab" * 32), ModelHash("embedder", "e", "cd" * 32)],
        watchlist=ListVersion("list-secret", 1),
        officer="Superintendent 1",
        custodian="Custodian 1",
        pilot_ends_at="2026-12-01T00:00:00.000Z",
        exit_evaluation="to the board, by the auditor",
    )
    return replace(one, **changes)


class Page(HTMLParser):
    """Tags, their attributes, and text by language."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.open = [], [], []
        self.said = {"en": "", "fr": ""}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *one) for one in attributes]
        if tag == "div":
            self.open.append(dict(attributes)["lang"])

    def handle_endtag(self, tag):
        if tag == "div":
            self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.said[self.open[-1]] += data + " "


def said(one=None, words=WORDS):
    return Page(render(one or authorisation(), words)).said


@pytest.mark.parametrize(
    "text",
    [
        "the north entrance of the hall",
        "2026-09-01",
        "08:00",
        "18:30",
        "decision 17 of the board",
        "assessment 4, version 2",
        "2026-12-01",
        "to the board, by the auditor",
    ],
)
def test_both_languages_say_what_was_authorised(text):
    page = said()
    assert text in page["en"]
    assert text in page["fr"]


def test_it_says_what_why_by_whom_and_whom_to_ask_in_two_languages():
    page = said()
    for text in ("wanted on a warrant", "A Police Service", "555-0100", "the Commissioner"):
        assert text in page["en"]
    for text in ("personnes recherchées", "Un service de police", "le Commissaire"):
        assert text in page["fr"]


def test_it_says_that_a_result_is_a_possible_match_and_never_the_sole_ground():
    page = said()
    assert NOTICE in page["en"]
    assert "Possible match; not an identification; not to be the sole ground" in page["en"]
    assert "Correspondance possible ; ce n’est pas une identification" in page["fr"]
    assert "ne peut être le seul fondement d’aucune décision" in page["fr"]


def test_how_long_anything_is_kept_comes_from_the_schedule():
    text = (ROOT / "firmware_config/retention.toml").read_text()
    page = said()
    for name in ITEMS:
        item = WORDS.schedule.item(name)
        assert (item.notice_en is None) or item.notice_en.split("{")[0] in page["en"]
        assert (item.notice_fr is None) or item.notice_fr.split("{")[0] in page["fr"]
    assert "{keep}" in text
    assert "{" not in page["en"] + page["fr"]
    item = replace(WORDS.schedule.item("manifests"), keep="77 days")
    schedule = replace(WORDS.schedule, kept=WORDS.schedule.kept | {"manifests": item})
    changed = said(words=Words(OFFICE, schedule, WORDS.objective_fr))
    assert "77 days" in changed["en"]
    assert "77 jours" in changed["fr"]
    assert "77 days" not in page["en"]


def test_the_deadline_of_an_answer_comes_from_the_schedule():
    deadlines = replace(WORDS.schedule.deadlines, answer="19 days")
    words = Words(OFFICE, replace(WORDS.schedule, deadlines=deadlines), WORDS.objective_fr)
    assert "within 19 days" in said(words=words)["en"]
    assert "délai de 19 jours" in said(words=words)["fr"]


def test_the_longer_of_what_device_and_desk_keep_is_what_it_says():
    short = authorisation(retention=Retention(alerts_h=6.0))
    assert "24 hours at most" in said(short)["en"]
    item = replace(WORDS.schedule.item("alerts_desk"), keep="5 hours")
    schedule = replace(WORDS.schedule, kept=WORDS.schedule.kept | {"alerts_desk": item})
    page = said(short, Words(OFFICE, schedule, WORDS.objective_fr))
    assert "6 hours at most" in page["en"]
    assert "6 heures au plus" in page["fr"]


def test_an_authorisation_that_keeps_longer_than_the_schedule_has_no_notice():
    item = replace(WORDS.schedule.item("alerts_desk"), keep="12 hours", maximum="12 hours")
    schedule = replace(WORDS.schedule, kept=WORDS.schedule.kept | {"alerts_desk": item})
    with pytest.raises(ConfigurationError, match="for longer than the retention schedule"):
        render(authorisation(), Words(OFFICE, schedule, WORDS.objective_fr))


def test_the_mode_is_told():
    threshold = replace(authorisation().threshold, kind="evaluated", evaluation_sha256="ab" * 32)
    assert "Nobody is approached" in said()["en"]
    alerting = said(authorisation(mode="alerting", threshold=threshold))
    assert "two people look at it" in alerting["en"]
    assert "Nobody is approached" not in alerting["en"]


def test_rights_are_told_and_no_photograph_is_asked_for():
    page = said()
    assert "never asked for a photograph" in page["en"]
    assert "Aucune photo ne vous est jamais demandée" in page["fr"]


def test_nothing_of_the_list_or_of_the_devices_is_in_it():
    text = render(authorisation(), WORDS)
    for secret in ("list-secret", "urn:passerby", "abababab", "not evaluated"):
        assert secret not in text


def test_times_are_those_of_the_place_when_it_is_named():
    assert "2026-09-02, 08:00 to 18:30" in said()["en"]
    assert "When (UTC)" in said()["en"]
    zone = timezone(timedelta(hours=-4))
    words = Words(OFFICE, WORDS.schedule, WORDS.objective_fr, zone)
    assert "2026-09-02, 04:00 to 14:30" in said(words=words)["en"]
    assert "Quand (heure locale)" in said(words=words)["fr"]
    night = authorisation(windows=[Window("2026-09-01T22:00:00.000Z", "2026-09-02T02:00:00.000Z")])
    assert "2026-09-01, 22:00 to 2026-09-02 02:00" in said(night)["en"]


HOSTILE = "<script>alert(1)</script><img src=x onerror='y'>\"&{body}"


def test_every_text_is_escaped():
    one = authorisation(
        **dict.fromkeys(
            ("objective", "place", "legal_basis", "impact_assessment", "exit_evaluation"), HOSTILE
        )
    )
    office = Office(*[HOSTILE] * 6)
    item = replace(WORDS.schedule.item("manifests"), notice_en=HOSTILE, notice_fr=HOSTILE)
    schedule = replace(WORDS.schedule, kept=WORDS.schedule.kept | {"manifests": item})
    text = render(one, Words(office, schedule, HOSTILE))
    page = Page(text)
    plain = Page(render(authorisation(), WORDS))
    assert set(page.tags) == set(plain.tags)
    assert not {"script", "img", "link", "iframe", "a", "form"} & set(page.tags)
    assert page.said["en"].count(HOSTILE) >= 8
    assert page.said["fr"].count(HOSTILE) >= 8


def test_it_needs_nothing_from_anywhere_else():
    text = render(authorisation(), WORDS)
    page = Page(text)
    assert not [one for one in page.attributes if one[1] in {"src", "href", "style", "onload"}]
    assert "url(" not in text
    assert "@import" not in text
    assert "default-src 'none'" in text
    assert "size: A4" in text
    assert page.tags.count("h2") == 2 * HEADINGS


def test_words_that_are_never_said_are_not_said():
    text = render(authorisation(), WORDS).lower()
    assert not re.search(r"\bidentified\b", text)
    assert "suspect" not in text


def test_the_command_writes_the_notice(tmp_path, capsys):
    file, office, out = (tmp_path / name for name in ("a.json", "office.toml", "notice.html"))
    file.write_bytes(encode_authorisation(authorisation(signage=None)))
    fields = Office.__struct_fields__
    office.write_text("\n".join(f'{one} = "{getattr(OFFICE, one)}"' for one in fields))
    arguments = ["notice", "--authorisation", str(file), "--office", str(office)]
    arguments += ["--objective-fr", "trouver des personnes recherchées", "--out", str(out)]
    assert main([*arguments, "--timezone", "Nowhere/Atall"]) == 2
    assert "no such time zone" in capsys.readouterr().err
    assert not out.exists()
    assert main(arguments) == 0
    expected = Words(OFFICE, WORDS.schedule, "trouver des personnes recherchées")
    assert out.read_text("utf-8") == render(authorisation(), expected)
    assert "attest" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"a":' * 9000, None])
def test_what_is_no_authorisation_is_one_sentence(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    options = SimpleNamespace(
        authorisation=path, office=path, schedule=None, timezone="UTC", out=tmp_path / "o.html"
    )
    with pytest.raises(ConfigurationError, match="authorisation"):
        notice(options)
    assert not (tmp_path / "o.html").exists()

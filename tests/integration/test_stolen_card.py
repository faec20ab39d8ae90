"""R49, R56: what a thief gets who has a device's card with everything on it. Some three minutes."""

import os
import re

import pytest

from tests.conftest import ROOT, absent
from tests.reliability.stolen_card import drill, lines
from tests.simulators.mosquitto import PROGRAM
from tests.simulators.thief import Canaries, renderings, windows

NOTHING = ("names", "birth dates", "templates", "stored rows", "keys", "alert pictures", "alerts")


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    if os.environ.get("PASSERBY_PROOFS") != "1":
        pytest.skip("the drill takes minutes: PASSERBY_PROOFS=1, or make proof-watchlist")
    if PROGRAM is None:
        absent("Mosquitto is not installed (apt install mosquitto)")
    return drill(tmp_path_factory.mktemp("theft") / "drill", lambda _: None)


def test_the_search_finds_everything_that_was_planted_and_the_right_key(outcome):
    assert outcome.planted_unseen == 0
    assert outcome.right_key_found


@pytest.mark.parametrize("kind", NOTHING)
def test_no_copy_of_the_card_holds_it_at_any_moment(outcome, kind):
    assert {loot.moment: loot.found[kind] for loot in outcome.loot if loot.found[kind]} == {}


def test_what_is_in_clear_on_the_card_is_what_the_docs_say(outcome):
    places = {re.sub(r"manifests/.*", "manifests/", place) for one in outcome.loot
              for place in one.ids_in}  # fmt: skip
    assert places <= {"state/audit.jsonl", "state/manifests/", "state/orders.json"}
    assert all(loot.found["place, purpose, offices"] for loot in outcome.loot)


def test_no_32_bytes_of_a_card_or_of_the_orders_that_it_opens_are_a_key(outcome):
    assert all(loot.windows > 10_000 for loot in outcome.loot)
    assert [loot.keys_found for loot in outcome.loot] == [0] * len(outcome.loot)


def test_what_waits_in_the_outbox_opens_for_the_desk_only(outcome):
    assert outcome.desk_opens > 0
    assert "alert" in [kind for loot in outcome.loot for kind in loot.letters]
    assert sum(loot.letters_opened for loot in outcome.loot) == 0


def test_recorded_answers_of_the_desk_do_not_open_with_the_keys_of_the_card(outcome):
    assert all(loot.wrapped > 0 for loot in outcome.loot)
    assert all(loot.unwrapped == 0 for loot in outcome.loot)


def test_until_the_theft_is_reported_a_whole_card_is_let_in(outcome):
    assert outcome.before_report == ["comparing"]


def test_a_copy_that_starts_after_the_report_is_refused_and_erases_its_list(outcome):
    assert outcome.after_report[0] == "not comparing"
    assert "stolen" in " ".join(outcome.after_report)


def test_a_copy_whose_certificate_is_revoked_is_shut_out_by_the_broker(outcome):
    state, broker = outcome.after_revocation
    assert state == "not comparing"
    assert "certificate refused" in broker


def test_nobody_but_root_reads_the_running_appliances_memory_and_it_dumps_no_core(outcome):
    assert outcome.memory["refused"]
    assert outcome.memory["core"] == ["0", "0"]


def test_local_unlock_gives_up_ids_and_templates_and_still_no_name(outcome):
    assert outcome.local["ids"] == outcome.local["references"] == 3
    assert outcome.local["lowest cosine of a recovered template"] > 0.999
    assert outcome.local["names and birth dates"] == 0


def test_the_page_has_the_tables_of_the_drill(outcome):
    page = (ROOT / "docs/stolen-device.md").read_text("utf-8")
    for line in lines(outcome):
        if line.startswith("| "):
            assert line.split("|")[1].strip() in page


def test_a_secret_is_seen_in_the_middle_of_other_bytes_however_it_was_written():
    secret = b"exactly 16 bytes"
    looks_for = Canaries({"secret": [secret]})
    for form in renderings(secret):
        assert looks_for.in_(b"..." + form + b"...") == {"secret": 1}
    assert looks_for.in_(b"exactly 15 bytes") == {"secret": 0}


def test_every_32_bytes_are_tried_also_of_text_that_holds_bytes():
    key = bytes(range(100, 132))
    for content in (b"x" + key + b"y", b'{"k":"' + key.hex().encode() + b'"}'):
        assert key in set(windows(content))

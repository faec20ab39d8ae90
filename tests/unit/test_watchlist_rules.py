"""What must hold of an entry: each rule alone, at its boundary, and all reasons at once."""

from datetime import date, timedelta
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigurationError, WatchlistError
from tools.desk.watchlist.admission import (
    enrolled_already,
    essences,
    essences_beside,
    listed_already,
    over_the_cap,
)
from tools.desk.watchlist.draft import DATES, FIELDS, drafted, entry_of
from tools.desk.watchlist.entry import (
    CATEGORIES,
    DISPOSITIONS,
    REFERENCE,
    SUSPENDING,
    Category,
    Entry,
    Photograph,
    Source,
    new_reference,
)
from tools.desk.watchlist.offences import default_offences, read_offences
from tools.desk.watchlist.register import Register
from tools.desk.watchlist.rules import adult_from, faults_of, is_address, names_in
from tools.desk.watchlist.upkeep import with_disposition

TODAY = date(2026, 3, 1)
OFFENCES = read_offences(default_offences())
NECESSITY = (
    "The warrant of February is unexecuted and every known dwelling was visited twice in vain; "
    "the person goes to games at this arena."
)
PROPORTIONALITY = (
    "An armed robbery with injured bystanders weighs more than one evening of comparing faces at "
    "a single gate under a posted notice."
)


def fields(**other):
    """What a careful officer fills in."""
    return {
        "name": "Ottilie Fennimore-Quist",
        "born_on": "1988-05-17",
        "source": "booking photograph",
        "held_by": "Harbour Police Service",
        "captured_on": "2021-09-03",
        "exhibit": "BK-2021-00417",
        "legal_basis": "Warrant 26-1189 of the Court of Justice",
        "attested_by": "Records custodian, badge 2208",
        "attested_on": "2026-02-27",
        "category": "wanted on an arrest warrant",
        "necessity": NECESSITY,
        "proportionality": PROPORTIONALITY,
        "offence_class": "robbery",
        "review_on": "2026-03-20",
        "expires_on": "2026-04-30",
        "disposition": "none yet",
    } | other


def entry(reference_id="r-0123456789ab", photographs=(), **other):
    draft = drafted(fields(**other))
    return entry_of(draft, reference_id, "2026-03-01T08:00:00.000Z", list(photographs))


def faults(today=TODAY, others=(), **other):
    draft = drafted(fields(**other))
    return [*draft.faults, *faults_of(draft, today, OFFENCES, others)]


def test_a_careful_entry_has_no_fault():
    assert faults() == []
    assert faults_of(entry(), TODAY, OFFENCES) == []


@pytest.mark.parametrize("name", ["source", "held_by", "exhibit", "legal_basis", "attested_by"])
def test_an_entry_without_its_source_basis_or_attestation_is_refused(name):
    (only,) = faults(**{name: "  "})
    assert only.startswith(name)
    assert "R1)" in only or name == "source"


@pytest.mark.parametrize("name", DATES)
def test_a_missing_date_and_one_that_there_is_not_are_refused(name):
    for text in ("", "soon", "17/05/1988", "2026-02-30", "2026-13-01", "0000-00-00", "20260301"):
        (only,) = [fault for fault in faults(**{name: text}) if fault.startswith(name)]
        assert "YYYY-MM-DD" in only or "a day that there is not" in only


def test_nobody_attests_tomorrow_nor_before_the_photograph_was_taken():
    assert "R1" in faults(attested_on="2026-03-02")[0]
    assert "before captured_on" in faults(attested_on="2021-09-02")[0]
    assert "captured_on is in the future" in " ".join(faults(captured_on="2026-03-02"))
    assert faults(attested_on="2026-03-01") == []


@pytest.mark.parametrize(
    "source",
    ["social media", "driving licence", "cctv still", "passport", "Booking Photograph!", "scraped"],
)
def test_only_booking_photographs_are_a_source(source):
    (only,) = faults(source=source)
    assert "R2" in only
    assert get_args(Source) == ("booking photograph",)


@pytest.mark.parametrize(
    "text",
    [
        "https://faces.invalid/1.jpg",
        "www.faces.invalid",
        "//host/share",
        "FTP://x/y",
        "data:image/p",
    ],
)
@pytest.mark.parametrize("name", ["held_by", "exhibit", "legal_basis"])
def test_no_field_of_the_source_may_be_an_address(text, name):
    assert is_address(text)
    assert any("R2" in fault for fault in faults(**{name: f"see {text}"}))


@pytest.mark.parametrize("text", ["BK-2021/004", "file: 12", "a/b/c.jpg", "ratio 3:1"])
def test_ordinary_numbers_are_no_addresses(text):
    assert not is_address(text)


@pytest.mark.parametrize(
    "category", ["other", "", "intelligence required", "person of interest", "known to police"]
)
def test_the_category_is_a_closed_list_without_any_other(category):
    (only,) = faults(category=category)
    assert "R3" in only
    with pytest.raises(WatchlistError):
        entry(category=category)


def test_victims_witnesses_and_associates_have_no_word():
    words = " ".join(get_args(Category)).casefold()
    for bystander in ("victim", "witness", "associate", "relative", "missing", "vulnerable"):
        assert bystander not in words
        assert any("R11" in fault for fault in faults(category=bystander))
    for vague in ("other", "intelligence", "interest", "concern", "activist", "protest"):
        assert vague not in words


@pytest.mark.parametrize("half", ["necessity", "proportionality"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "n/a",
        "needed",
        "x" * 80,
        "yes " * 40,
        f"tbd {NECESSITY}",
        "As above. " + PROPORTIONALITY,
    ],
)
def test_each_half_of_the_rationale_is_a_reason_and_no_filler(half, text):
    assert any(fault.startswith(half) and "R4" in fault for fault in faults(**{half: text}))


def test_a_rationale_is_not_copied_from_another_entry_even_with_other_names_and_numbers():
    other = entry(
        name="Bo Marl", necessity=f"Bo Marl: {NECESSITY.replace('February', 'February 14')}"
    )
    taken = essences([other])
    (only,) = faults(others=taken, proportionality=PROPORTIONALITY + " Only the gate is watched.")
    assert only == "necessity is another entry's: every person needs their own (R4)"


def test_proportionality_is_not_necessity_once_more():
    assert any("repeats" in fault for fault in faults(proportionality=NECESSITY))


def test_an_entrys_own_rationale_is_not_a_copy_of_itself():
    one, two = entry(), entry("r-00000000000b", necessity=NECESSITY + " Nobody else lives there.")
    counted = essences([one])
    assert faults_of(one, TODAY, OFFENCES, essences_beside(one, counted)) == []
    counted = essences([one, two])
    assert any("R4" in fault for fault in faults_of(one, TODAY, OFFENCES, counted.keys()))
    # The two share their proportionality, and each is refused for it.
    found = faults_of(two, TODAY, OFFENCES, essences_beside(two, counted))
    assert found == ["proportionality is another entry's: every person needs their own (R4)"]


def test_review_and_expiry_lie_ahead_in_order_and_within_what_is_configured():
    review, longest = OFFENCES.longest_review_days, OFFENCES.longest_days
    day = {n: (TODAY + timedelta(days=n)).isoformat() for n in (-1, 0, 1, review, review + 1)}
    day |= {n: (TODAY + timedelta(days=n)).isoformat() for n in (longest, longest + 1)}
    assert faults(review_on=day[1], expires_on=day[1]) == []
    assert faults(review_on=day[review], expires_on=day[longest]) == []
    for past in (day[-1], day[0]):
        assert any("review_on is past" in fault for fault in faults(review_on=past))
        assert any("expires_on is past" in fault for fault in faults(expires_on=past))
    assert "R7" in faults(review_on=day[review + 1])[0]
    assert "R7" in faults(expires_on=day[longest + 1])[0]
    assert "after expires_on" in faults(review_on=day[review], expires_on=day[1])[0]


def test_an_entry_that_was_fine_goes_stale_by_itself():
    assert faults_of(entry(), date(2026, 3, 19), OFFENCES) == []
    assert "R7" in faults_of(entry(), date(2026, 3, 20), OFFENCES)[0]
    assert len(faults_of(entry(), date(2026, 4, 30), OFFENCES)) == 2


@pytest.mark.parametrize(
    "word",
    [
        "withdrawn",
        "dismissed",
        "quashed",
        "stayed",
        "acquitted",
        "not guilty",
        "not criminally responsible",
    ],
)
def test_a_disposition_that_ends_the_charge_suspends_the_entry(word):
    assert word in SUSPENDING
    assert any("R8" in fault for fault in faults(disposition=word))
    changed = with_disposition(entry(), word, TODAY)
    assert changed.suspended
    assert changed.suspended_on == TODAY
    assert any("R8" in fault for fault in faults_of(changed, TODAY, OFFENCES))


def test_a_suspension_is_not_talked_away_by_another_word():
    changed = with_disposition(with_disposition(entry(), "stayed", TODAY), "none yet", TODAY)
    assert changed.suspended
    assert any("R8" in fault for fault in faults_of(changed, TODAY, OFFENCES))


def test_a_conviction_suspends_nothing_and_an_unknown_word_is_refused():
    assert faults(disposition="convicted") == []
    assert not with_disposition(entry(), "convicted", TODAY).suspended
    assert any("R8" in fault for fault in faults(disposition="probably guilty"))
    with pytest.raises(ConfigurationError):
        with_disposition(entry(), "probably guilty", TODAY)
    assert set(DISPOSITIONS) - SUSPENDING == {"none yet", "convicted"}


@pytest.mark.parametrize("offence", ["", "shoplifting", "Robbery", "trespass", "robbery "])
def test_the_offence_belongs_to_a_configured_serious_class(offence):
    found = faults(offence_class=offence)
    assert ("R9" in "".join(found)) == (offence.strip() != "robbery")


def test_another_configured_list_is_another_rule():
    fewer = msgspec.structs.replace(OFFENCES, offence=OFFENCES.offence[:1])
    assert any("R9" in fault for fault in faults_of(entry(), TODAY, fewer))


def test_nobody_is_listed_before_they_are_eighteen_everywhere():
    """At 01:00 UTC on the birthday it is still the day before it further west."""
    assert adult_from(date(2008, 3, 1)) == TODAY
    taken = {"captured_on": "2026-03-01", "attested_on": "2026-03-01"}
    assert faults(born_on="2008-02-28", **taken) == []
    for young in ("2008-03-01", "2008-03-02"):
        found = faults(born_on=young, **taken)
        assert any(fault.startswith("born_on") and "R10" in fault for fault in found)
        assert any(fault.startswith("captured_on") and "R10" in fault for fault in found)


def test_who_was_born_on_a_leap_day_is_eighteen_on_the_first_of_march():
    born = date(2008, 2, 29)
    assert adult_from(born) == date(2026, 3, 1)
    assert adult_from(date(2082, 2, 29 - 1)) == date(2100, 2, 28)
    young = {"born_on": "2008-02-29", "captured_on": "2026-02-28", "attested_on": "2026-02-28"}
    assert any("R10" in fault for fault in faults(today=date(2026, 2, 28), **young))
    assert any("R10" in fault for fault in faults(today=date(2026, 3, 1), **young))
    assert adult_from(date(1986, 2, 28)) == date(2004, 2, 28)


def test_a_photograph_of_a_minor_is_not_used_of_the_adult_either():
    (only,) = faults(captured_on="2006-05-16")
    assert only.startswith("captured_on: the person was under 18")
    assert len(faults(captured_on="2006-05-17")) == 1
    assert faults(captured_on="2006-05-18") == []


@pytest.mark.parametrize("born", ["2026-03-02", "1915-01-01", "1066-10-14"])
def test_a_year_that_cannot_be_right_is_refused(born):
    assert any("R10" in fault for fault in faults(born_on=born))


@given(st.dates(date(1930, 1, 1), date(2030, 1, 1)))
def test_the_first_adult_day_is_neither_early_nor_a_day_that_there_is_not(born):
    day = adult_from(born)
    assert day.year == born.year + 18
    assert (day.month, day.day) >= (born.month, born.day)
    assert day - timedelta(days=1) < date(born.year + 18, 3, 1) or born.month > 2


def test_all_reasons_are_given_at_once():
    found = faults_of(drafted({}), TODAY, OFFENCES)
    for rule in ("R1", "R2", "R3", "R4", "R9"):
        assert any(rule in fault for fault in found), rule
    assert len(drafted({}).faults) == len(DATES)


def test_no_reason_repeats_what_was_typed():
    secret = "Zyxwvut"
    found = faults(**dict.fromkeys(FIELDS, f"{secret}://{secret} 17"))
    assert len(found) > 10
    assert not any(secret in fault for fault in found)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=400)))
def test_garbage_is_refused_in_sentences_and_never_kept(garbage):
    draft = drafted(garbage)
    assert [*draft.faults, *faults_of(draft, TODAY, OFFENCES)]
    with pytest.raises(WatchlistError):
        entry_of(draft, "r-0123456789ab", "2026-03-01T08:00:00.000Z", [])


def test_too_long_a_field_is_refused():
    assert "shorten" in faults(exhibit="7" * 301)[0]
    assert "shorten" in faults(necessity=f"{NECESSITY} {'because ' * 600}")[0]


def test_a_reference_says_nothing_and_is_never_typed():
    made = {new_reference() for _ in range(500)}
    assert len(made) == 500
    with pytest.raises(WatchlistError):
        entry("fennimore-1988")
    assert "name" not in REFERENCE


def test_an_entry_of_an_older_form_or_with_more_fields_is_refused():
    content = msgspec.json.decode(msgspec.json.encode(entry()))
    for broken in (
        content | {"vehicle": "x"},
        {k: v for k, v in content.items() if k != "exhibit"},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(broken, Entry)


def test_printing_an_entry_shows_no_name():
    assert "Fennimore" not in f"{entry()!r} {entry()} {drafted(fields())!r}"


def test_the_list_has_a_cap():
    assert over_the_cap(2000) == []
    assert "R12" in over_the_cap(2001)[0]
    assert over_the_cap(500, 500) == []
    assert "R12" in over_the_cap(501, 500)[0]


def test_a_person_and_a_photograph_are_on_a_list_once():
    taken = Photograph("a" * 64, "2026-03-01T08:00:00.000Z")
    other = entry("r-00000000000b", [taken])
    same = drafted(fields(name="  OTTILIE fennimore-quist "))
    assert "r-00000000000b" in listed_already(same, [other])[0]
    assert listed_already(drafted(fields(born_on="1988-05-18")), [other]) == []
    assert "r-00000000000b" in enrolled_already([taken], [other])[0]
    assert "twice" in enrolled_already([taken, taken], [])[0]


def test_an_offence_list_that_is_none_is_refused(tmp_path):
    path = tmp_path / "offences.toml"
    with pytest.raises(ConfigurationError, match="does not exist"):
        read_offences(path)
    for content in (b"", b"\xff\xfe", b"longest_days = 1", b"[[offence]]\nid='x'"):
        path.write_bytes(content)
        with pytest.raises(ConfigurationError, match="no list of offences"):
            read_offences(path)
    text = default_offences().read_text("utf-8")
    path.write_text(text + '\n[[offence]]\nid = "robbery"\nwords = "again"\n', "utf-8")
    with pytest.raises(ConfigurationError, match="twice"):
        read_offences(path)


def test_every_category_can_be_entered():
    for word in CATEGORIES:
        assert faults(category=word) == []


@pytest.mark.parametrize("word", ["none", "N/A", "n. a.", "unknown", "TBD", "-", "x", "To follow"])
@pytest.mark.parametrize("name", ["legal_basis", "held_by", "exhibit", "attested_by"])
def test_a_field_that_was_filled_to_be_rid_of_it_is_missing(name, word):
    assert any(fault.startswith(f"{name} is missing") for fault in faults(**{name: word}))


# What leaves the register names nobody (R39, R56).


def register_of(*names):
    entries = [entry(name=name) for name in names]
    return Register("0" * 8, "1" * 8, OFFENCES, [], entries=entries)


LISTED = (
    "Ottilie Fennimore-Quist",
    "Wei Li",
    "Se\u00e1n O'Neill",
    "Theodora Court",
    "\u674e\u4f1f",
)


@pytest.mark.parametrize(
    "text",
    [
        "Ottilie Fennimore-Quist was found",
        "FENNIMORE has a new lawyer",
        "it was quist\u2019s brother",
        "OttilieFennimoreQuist",
        "ottilie_fennimore_quist.pdf",
        "the case of Li, Wei is over",
        "LiWei and WeiLi",
        "Sean Oneill was acquitted",
        "\uff2f\uff34\uff34\uff29\uff2c\uff29\uff25 is out",
        "Theodora Court moved",
        "Ms Theodora moved",
        "\u4eca\u5929\u674e\u4f1f\u88ab\u6355",
    ],
)
def test_a_reason_that_names_somebody_listed_is_found(text):
    assert names_in(text, register_of(*LISTED))


@pytest.mark.parametrize(
    "text",
    [
        "the charge was withdrawn by the court",
        "the window is over",
        "it was a list of little use",
        "a weir was built",
        "",
    ],
)
def test_a_reason_without_a_name_is_none(text):
    assert not names_in(text, register_of(*LISTED))


@given(st.sampled_from(LISTED[:4]), st.text(max_size=20), st.text(max_size=20))
def test_a_whole_name_is_found_wherever_it_stands(name, before, after):
    assert names_in(f"{before} {name} {after}", register_of(*LISTED))

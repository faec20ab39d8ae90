"""How names are compared once they are erased: the stated rule, and digests that need the key."""

import hashlib
import hmac
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device.errors import ConfigurationError
from tools.desk.rights.names import SLOTS, Subject, agreement, digests_of, words_of

KEY = bytes(range(32))
BORN = "1990-12-31"


def agrees(one, other, other_born=BORN, other_key=KEY):
    kept = set(digests_of(Subject(other, other_born), other_key))
    return agreement(Subject(one, BORN), kept, KEY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Zoë Brontë", "zoe bronte"),
        ("ZOE BRONTE", "Bronte, Zoë"),
        ("Jean-Luc Tremblay", "Tremblay Jean Luc"),
        ("Jean‑Luc Tremblay", "jean–luc  TREMBLAY"),
        ("Sinéad O'Neill", "Sinead O’Neill"),
        ("Sinéad O'Neill", "Oneill Sinead"),
        ("Groß Maße", "GROSS MASSE"),
        ("Bjørn Łukasz", "Bjorn Lukasz"),
        ("Þór Ægir", "Thor Aegir"),
        ("Đặng Thị", "Dang Thi"),
        ("İpek Işık", "ipek isik"),
        ("ﬁona Smith", "Fiona Smith"),
        ("Ann\u00adMarie Roy", "AnnMarie Roy"),
        ("Αθηνά Σοφός", "αθηνα σοφοσ"),
        ("  Ana \t Sousa ", "Ana Sousa"),
    ],
)
def test_accents_case_hyphens_spacing_and_order_do_not_matter(one, other):
    assert words_of(one) == words_of(other)
    assert agrees(one, other) == "whole name"


def test_given_and_family_names_may_be_swapped():
    assert agrees("Thomas Martin", "Martin Thomas") == "whole name"


def test_a_middle_name_that_one_side_leaves_out_is_no_way_to_be_missed():
    assert agrees("Anna Smith", "Anna Maria Smith") == "two words of the name"
    assert agrees("Anna Maria Smith", "Anna Smith") == "two words of the name"
    assert agrees("Anna Maria Smith", "Smith Anna Maria") == "whole name"


@pytest.mark.parametrize(
    ("one", "other"), [("Anna Smith", "Anna Smyth"), ("Anna", "Anna Smith"), ("An Na", "Anna")]
)
def test_another_name_does_not_agree(one, other):
    assert agrees(one, other) is None


def test_another_birth_date_does_not_agree():
    assert agrees("Anna Smith", "Anna Smith", other_born="1990-12-30") is None


def test_without_the_key_nothing_agrees_and_no_name_can_be_tried():
    assert agrees("Anna Smith", "Anna Smith", other_key=bytes(32)) is None
    digests = digests_of(Subject("Anna Smith", BORN), KEY)
    text = f"passerby subject 1\nwhole\nanna\nsmith\n{BORN}".encode()
    assert hashlib.sha256(text).hexdigest() not in digests
    assert hmac.new(KEY, text, hashlib.sha256).hexdigest() in digests


def test_the_number_of_digests_does_not_tell_how_many_words_a_name_has():
    for name in ("Anna", "Anna Smith", "a b c d e f g h i j k"):
        digests = digests_of(Subject(name, BORN), KEY)
        assert len(set(digests)) == len(digests) == SLOTS
        assert list(digests) == sorted(digests)
        assert agreement(Subject(name, BORN), set(digests), KEY) == "whole name"


def test_a_wrong_key_is_a_fault_of_the_program():
    with pytest.raises(ValueError, match="32 bytes"):
        digests_of(Subject("Anna Smith", BORN), b"short")


@pytest.mark.parametrize(
    ("name", "born"),
    [
        ("", BORN),
        ("--- ''", BORN),
        ("x" * 201, BORN),
        ("Anna Smith", ""),
        ("Anna Smith", "31.12.1990"),
        ("Anna Smith", "1990-02-30"),
        ("Anna Smith", "19901231"),
    ],
)
def test_what_is_no_name_or_no_date_is_refused_without_repeating_it(name, born):
    with pytest.raises(ConfigurationError) as caught:
        Subject(name, born)
    assert not name.strip("-' ") or name not in str(caught.value)


def test_a_subject_is_never_printed():
    assert "Anna" not in repr(Subject("Anna Smith", BORN))
    assert "1990" not in repr(Subject("Anna Smith", BORN))


@given(st.text(max_size=60))
def test_any_text_is_folded_the_same_way_however_it_is_composed(text):
    composed = words_of(unicodedata.normalize("NFC", text))
    assert composed == words_of(unicodedata.normalize("NFD", text))
    assert words_of(" ".join(composed)) == composed
    assert words_of(" ".join(reversed(composed))) == composed

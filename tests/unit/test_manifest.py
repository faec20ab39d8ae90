"""`manifest.csv` of a data set: read as it is, refused when it is damaged."""

import pytest

from device.errors import PictureError
from tools.lab.manifest import MANIFEST, Item, read_manifest, read_manifest_file

HEAD = "file,identity,source_set,role,subset,licence_class"


def write(folder, *lines):
    (folder / MANIFEST).write_text("\n".join(lines) + "\n", "utf-8")
    return folder


def refusal(folder):
    with pytest.raises(PictureError) as caught:
        read_manifest(folder)
    sentence = str(caught.value)
    assert str(folder / MANIFEST) in sentence
    return sentence


def test_every_line_is_an_item_with_its_path_in_the_folder(tmp_path):
    write(tmp_path, HEAD, "a/1.jpg,p-1,set,enrol,main,open", "b/2.jpg,p-2,set,probe,main,open")
    first, second = read_manifest(tmp_path)
    assert first == Item(tmp_path / "a/1.jpg", ("p-1",), "set", "enrol", "main", "open")
    assert (second.path, second.role) == (tmp_path / "b/2.jpg", "probe")


@pytest.mark.parametrize(
    ("cell", "identities"),
    [("", ()), ("p-1", ("p-1",)), ("p-1|p-2", ("p-1", "p-2")), ("p-1||p-2|", ("p-1", "p-2"))],
)
def test_a_file_shows_none_one_or_several_identities(tmp_path, cell, identities):
    write(tmp_path, HEAD, f"1.jpg,{cell},set,probe,main,open")
    assert read_manifest(tmp_path)[0].identities == identities


def test_columns_may_come_in_any_order_and_with_others(tmp_path):
    write(tmp_path, "sha256,role,file,identity,source_set,subset,licence_class", "x,r,1.jpg,,s,m,o")
    (item,) = read_manifest(tmp_path)
    assert (item.role, item.path.name, item.source_set) == ("r", "1.jpg", "s")


def test_names_may_hold_commas_quotes_and_any_letter(tmp_path):
    write(tmp_path, HEAD, '"Müller, ""A"".jpg",p-1,set,probe,main,open')
    assert read_manifest(tmp_path)[0].path.name == 'Müller, "A".jpg'


def test_a_manifest_without_lines_has_no_items(tmp_path):
    assert read_manifest(write(tmp_path, HEAD)) == []


def test_missing_columns_are_named(tmp_path):
    write(tmp_path, "file,identity,role,subset", "1.jpg,p-1,probe,main")
    assert "lacks the columns source_set, licence_class" in refusal(tmp_path)


def test_an_empty_manifest_lacks_all_columns(tmp_path):
    (tmp_path / MANIFEST).touch()
    assert "lacks the columns file, identity" in refusal(tmp_path)


def test_a_line_that_was_cut_is_refused(tmp_path):
    write(tmp_path, HEAD, "1.jpg,p-1,set,probe,main,open", "2.jpg,p-2")
    assert "line 3" in refusal(tmp_path)


def test_no_manifest_is_a_sentence(tmp_path):
    assert "does not exist; --data must name a data set" in refusal(tmp_path)


def test_a_manifest_that_is_not_utf8_is_a_sentence(tmp_path):
    (tmp_path / MANIFEST).write_bytes(HEAD.encode() + b"\nM\xfcller.jpg,,s,r,m,o\n")
    assert "cannot be read" in refusal(tmp_path)


def test_a_folder_in_the_place_of_the_manifest_is_a_sentence(tmp_path):
    (tmp_path / MANIFEST).mkdir()
    assert "cannot be read" in refusal(tmp_path)


def test_what_people_said_of_themselves_is_read_where_it_is_there(tmp_path):
    write(tmp_path, HEAD + ",age,gender,notes", "1.jpg,p,set,probe,main,A,41, female ,simulated")
    (item,) = read_manifest(tmp_path)
    assert (item.age, item.gender, item.ethnicity, item.notes) == ("41", "female", "", "simulated")


def test_a_manifest_of_any_name_needs_only_the_columns_that_are_asked_for(tmp_path):
    file = tmp_path / "people.csv"
    file.write_text("\ufefffile,role\nfaces/1.jpg,probe\n", "utf-8")
    (item,) = read_manifest_file(file, ("file", "role"))
    assert (item.path, item.role, item.identities) == (tmp_path / "faces/1.jpg", "probe", ())
    with pytest.raises(PictureError, match="lacks the columns identity"):
        read_manifest_file(file, ("file", "identity"))


def test_a_line_without_a_file_is_refused(tmp_path):
    write(tmp_path, HEAD, ",p-1,set,probe,main,open")
    assert "line 2 names no file" in refusal(tmp_path)

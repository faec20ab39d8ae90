"""Which photographs of a folder belong to which reference, and which folders are refused."""

import pytest

from device.errors import WatchlistError
from tools.desk.enrolment import photographs_in


def put(folder, *names):
    """Make empty files; the rules look at names only."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(work, folder):
    return {
        reference: [str(path.relative_to(folder)) for path in images]
        for reference, images in work.items()
    }


def refusal(folder):
    with pytest.raises(WatchlistError) as caught:
        photographs_in(folder)
    return str(caught.value)


def test_each_image_is_one_reference_named_by_its_stem(tmp_path):
    put(tmp_path, "r-001.jpg", "r-002.png")
    assert names_of(photographs_in(tmp_path), tmp_path) == {
        "r-001": ["r-001.jpg"],
        "r-002": ["r-002.png"],
    }


def test_each_sub_folder_is_one_reference_with_all_its_images(tmp_path):
    put(tmp_path, "r-001/b.jpg", "r-001/a.PNG", "r-001/notes.txt", "r-002.webp")
    assert names_of(photographs_in(tmp_path), tmp_path) == {
        "r-001": ["r-001/a.PNG", "r-001/b.jpg"],
        "r-002": ["r-002.webp"],
    }


@pytest.mark.parametrize("suffix", ["JPG", "jpeg", "Png", "bmp", "TIF", "tiff", "webp"])
def test_suffixes_count_in_any_case(tmp_path, suffix):
    put(tmp_path, f"r-001.{suffix}")
    assert list(photographs_in(tmp_path)) == ["r-001"]


def test_a_dot_within_a_name_belongs_to_the_reference_id(tmp_path):
    put(tmp_path, "r.001.jpg")
    assert list(photographs_in(tmp_path)) == ["r.001"]


def test_other_files_and_empty_sub_folders_are_left_out(tmp_path):
    put(tmp_path, "r-001.jpg", "notes.txt", "clip.mp4", "jpg")
    (tmp_path / "r-002").mkdir()
    assert list(photographs_in(tmp_path)) == ["r-001"]


def test_folders_below_a_sub_folder_are_not_searched(tmp_path):
    put(tmp_path, "r-001/a.jpg", "r-001/deeper/b.jpg")
    assert names_of(photographs_in(tmp_path), tmp_path) == {"r-001": ["r-001/a.jpg"]}


def test_hidden_files_and_folders_are_left_out(tmp_path):
    put(tmp_path, "r-001.jpg", ".r-002.jpg", "._r-001.jpg", ".trash/r-003.jpg")
    assert list(photographs_in(tmp_path)) == ["r-001"]


def test_hidden_files_in_a_sub_folder_are_left_out(tmp_path):
    put(tmp_path, "r-001/a.jpg", "r-001/._a.jpg")
    assert names_of(photographs_in(tmp_path), tmp_path) == {"r-001": ["r-001/a.jpg"]}


@pytest.mark.parametrize("other", ["r-001.png", "r-001/a.jpg"])
def test_two_photographs_that_claim_one_reference_are_refused(tmp_path, other):
    put(tmp_path, "r-001.jpg", other)
    assert 'Two photographs claim the reference id "r-001"' in refusal(tmp_path)


def test_a_list_has_two_thousand_references_at_most(tmp_path):
    put(tmp_path, *(f"r-{number:04}.jpg" for number in range(2000)))
    assert len(photographs_in(tmp_path)) == 2000
    put(tmp_path, "one-more.jpg")
    assert "holds 2001 references; a list has 2000 at most (R12)" in refusal(tmp_path)


def test_a_reference_has_thirty_two_images_at_most(tmp_path):
    put(tmp_path, *(f"r-001/{number}.jpg" for number in range(32)))
    assert len(photographs_in(tmp_path)["r-001"]) == 32
    put(tmp_path, "r-001/one-more.jpg")
    assert refusal(tmp_path) == f"{tmp_path / 'r-001'} holds 33 images; 32 at most."


def test_a_reference_id_has_128_characters_at_most(tmp_path):
    put(tmp_path, "r" * 128 + ".jpg")
    assert list(photographs_in(tmp_path)) == ["r" * 128]
    put(tmp_path, "s" * 129 + ".jpg")
    assert "is too long" in refusal(tmp_path)


def test_an_empty_folder_is_refused_by_name(tmp_path):
    assert f"{tmp_path} holds no photographs" in refusal(tmp_path)


def test_a_folder_of_other_files_is_refused_by_name(tmp_path):
    put(tmp_path, "notes.txt", "clip.mp4")
    assert f"{tmp_path} holds no photographs" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["none", "r-001.jpg"])
def test_what_is_no_folder_is_refused_by_name(tmp_path, name):
    put(tmp_path, "r-001.jpg")
    assert refusal(tmp_path / name) == f"{tmp_path / name} is no folder; --photos must name one."

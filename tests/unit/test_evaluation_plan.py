"""Who is who in a data set, and which data sets are refused in a sentence."""

import pytest

from device.errors import PictureError
from tools.lab.evaluate.plan import REQUIRED_COLUMNS, counted, plan_of
from tools.lab.manifest import read_manifest_file

HEAD = "file,identity,role"
ENOUGH = ("a1.jpg,a,gallery", "a2.jpg,a,probe", "b1.jpg,b,probe")


def plan(folder, *lines, head=HEAD, missing=()):
    for line in lines:
        name = line.split(",")[0]
        if name not in missing:
            (folder / name).touch()
    manifest = folder / "people.csv"
    manifest.write_text("\n".join([head, *lines]) + "\n", "utf-8")
    return plan_of(read_manifest_file(manifest, REQUIRED_COLUMNS), manifest)


def names(items):
    return [item.path.name for item in items]


def test_three_columns_are_enough(tmp_path):
    made = plan(tmp_path, *ENOUGH)
    assert list(made.gallery) == ["a"]
    assert names(made.mated) == ["a2.jpg"]
    assert names(made.non_mated) == ["b1.jpg"]
    assert not made.left_out


def test_lines_are_put_in_the_order_of_their_files(tmp_path):
    made = plan(tmp_path, "c.jpg,c,probe", "b.jpg,b,probe", "a2.jpg,a,probe", "a1.jpg,a,gallery")
    assert names(made.probes) == ["a2.jpg", "b.jpg", "c.jpg"]


def test_other_roles_find_their_place(tmp_path):
    lines = ("n.jpg,,negative", "g.jpg,a|b,group", "s.jpg,a,spoof")
    made = plan(tmp_path, *ENOUGH, *lines)
    assert names([*made.negatives, *made.groups, *made.spoofs]) == ["n.jpg", "g.jpg", "s.jpg"]


def test_what_is_not_evaluated_is_counted_with_the_reason(tmp_path):
    lines = ("v.mp4,a,video", "x.jpg,,probe", "y.jpg,a|b,probe", "z.txt,a,probe")
    assert dict(plan(tmp_path, *ENOUGH, *lines).left_out) == {
        'role "video"': 1,
        "probe of nobody in particular": 2,
        "no picture by its name": 1,
    }


def refusal(folder, *lines, **options):
    with pytest.raises(PictureError) as caught:
        plan(folder, *lines, **options)
    return str(caught.value)


def test_missing_files_are_counted_and_the_first_is_named(tmp_path):
    sentence = refusal(tmp_path, *ENOUGH, missing=("a2.jpg", "b1.jpg"))
    assert "names 2 files that are not there" in sentence
    assert "a2.jpg" in sentence


def test_a_picture_that_is_enrolled_and_compared_is_refused(tmp_path):
    sentence = refusal(tmp_path, *ENOUGH, "a1.jpg,a,probe")
    assert "both enrols and compares" in sentence


@pytest.mark.parametrize(
    ("left", "what"),
    [(0, "nobody to enrol"), (1, "no probe of an enrolled"), (2, "who is not enrolled")],
)
def test_what_is_lacking_is_said(tmp_path, left, what):
    lines = [line for place, line in enumerate(ENOUGH) if place != left]
    assert what in refusal(tmp_path, *lines)


def test_a_manifest_without_a_role_is_refused(tmp_path):
    with pytest.raises(PictureError, match="lacks the columns role"):
        plan(tmp_path, "a1.jpg,a", head="file,identity")


def test_no_manifest_is_a_sentence(tmp_path):
    with pytest.raises(PictureError, match="does not exist"):
        read_manifest_file(tmp_path / "none.csv", REQUIRED_COLUMNS)


def test_made_up_pictures_count_only_where_there_are_no_others(tmp_path):
    head = "file,identity,role,licence_class,notes,subset"
    lines = (
        "a1.jpg,a,gallery,A,,",
        "a2.jpg,a,probe,A,,",
        "a3.jpg,a,probe,A,Simulated rain,",
        "a4.jpg,a,probe,A,,sim_mask",
        "b1.jpg,b,probe,S,,",
        "c1.jpg,c,probe,S,,",
    )
    made = plan(tmp_path, *lines, head=head)
    assert counted(made.mated) == [True, False, False]
    assert counted(made.non_mated) == [True, True]
    assert counted([*made.mated, *made.non_mated]) == [True, False, False, False, False]

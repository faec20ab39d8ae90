"""Enrolment takes the face that the photograph is of, and no photograph that leaves it open."""

import math

import numpy as np
import pytest

from device.vision import StillFace
from device.vision.quality import Pose, faults_of_pose
from tools.desk.gate import (
    LIMITS,
    RECOMMENDED_INTEROCULAR_PX,
    choose_subject,
    prominence,
    remarks_on,
)

WIDTH, HEIGHT = 400, 400


def face(side, centre=(200, 200), *, interocular_px=90.0, yaw=0.0):
    """A square face of `side` pixels around `centre`."""
    box = np.array([centre[0] - side / 2, centre[1] - side / 2, side, side], np.float32)
    pose = Pose(interocular_px=interocular_px, yaw=yaw, pitch=0.0, roll_degrees=0.0)
    return StillFace(box, np.zeros((5, 2), np.float32), 0.9, pose)


def choose(*faces):
    return choose_subject(list(faces), WIDTH, HEIGHT)


def test_a_photograph_without_a_face_is_rejected():
    choice = choose()
    assert choice.face is None
    assert choice.faults == ("no face was found",)


@pytest.mark.parametrize("centre", [(200, 200), (20, 20), (390, 200)])
def test_one_face_is_the_subject_wherever_it_is(centre):
    only = face(50, centre)
    choice = choose(only)
    assert choice.face is only
    assert (choice.faults, choice.remarks) == ((), ())


def test_two_faces_alike_reject_the_photograph():
    choice = choose(face(100, (130, 200)), face(100, (270, 200)))
    assert choice.face is None
    (fault,) = choice.faults
    assert fault == "2 faces, and it is not clear whose photograph it is: crop it"


@pytest.mark.parametrize(("side", "rejected"), [(84, True), (83, False)])
def test_a_rival_is_a_face_with_seven_tenths_of_the_prominence(side, rejected):
    subject = face(100)
    choice = choose(subject, face(side))
    assert (choice.face is None) is rejected


@pytest.mark.parametrize(("side", "remarked"), [(32, True), (31, False)])
def test_a_bystander_is_remarked_from_a_tenth_of_the_prominence_on(side, remarked):
    subject = face(100)
    choice = choose(face(side), subject)
    assert choice.face is subject
    assert choice.faults == ()
    assert bool(choice.remarks) is remarked


def test_the_order_in_which_faces_were_found_does_not_matter():
    subject, bystander = face(120), face(50, (60, 60))
    assert choose(subject, bystander).face is choose(bystander, subject).face is subject


def test_a_third_face_does_not_hide_a_rival():
    choice = choose(face(20, (50, 50)), face(100, (130, 200)), face(98, (270, 200)))
    assert choice.face is None
    assert choice.faults[0].startswith("3 faces")


def test_a_face_in_the_middle_counts_by_its_area():
    assert prominence(face(100), WIDTH, HEIGHT) == pytest.approx(100 * 100)


def test_a_face_half_way_to_the_edge_counts_half():
    assert prominence(face(100, (300, 200)), WIDTH, HEIGHT) == pytest.approx(100 * 100 / 2)


def test_a_face_in_the_corner_still_counts_a_little():
    assert prominence(face(100, (400, 400)), WIDTH, HEIGHT) == pytest.approx(100 * 100 * 0.05)


def test_off_centre_is_measured_by_the_pictures_own_shape():
    wide = prominence(face(100, (600, 200)), 800, 400)
    expected = 100 * 100 * (1 - 2 * math.hypot(600 / 800 - 0.5, 0))
    assert wide == pytest.approx(expected)


def test_a_large_face_aside_gives_way_to_a_central_one_of_the_same_size():
    central = face(100)
    assert choose(face(100, (340, 200)), central).face is central


def test_a_good_photograph_has_no_remark():
    assert remarks_on(face(200)) == []


def test_few_pixels_between_the_eyes_are_remarked_with_the_figures():
    (remark,) = remarks_on(face(200, interocular_px=RECOMMENDED_INTEROCULAR_PX - 1))
    assert remark == "59 pixels between the eyes, 60 are recommended"


@pytest.mark.parametrize("yaw", [0.2, -0.2])
def test_a_turned_head_is_remarked_to_either_side(yaw):
    (remark,) = remarks_on(face(200, yaw=yaw))
    assert remark == "turned aside: yaw 0.20, 0.15 is recommended"


def test_remarks_add_up():
    assert len(remarks_on(face(200, interocular_px=30, yaw=0.3))) == 2


def test_what_is_only_remarked_is_within_the_gates_limits():
    pose = face(200, interocular_px=RECOMMENDED_INTEROCULAR_PX - 1, yaw=0.2).pose
    assert faults_of_pose(pose, LIMITS) == []


def test_what_is_far_too_small_or_turned_away_does_not_pass_the_gate():
    small, turned = faults_of_pose(face(200, interocular_px=19, yaw=-0.41).pose, LIMITS)
    assert small.startswith("too small: 19 pixels")
    assert turned.startswith("turned aside: yaw 0.41")

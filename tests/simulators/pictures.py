"""Booking photographs and a clip of people who do not exist."""

import cv2

from tools.lab.people import Person, Street, View, render, walk_past

PASSERS_BY = (600_012, 600_028, 600_020)
"""Who walks past in the clip, one after the other."""
_STREET = Street(size=(640, 480), rate=10, gap_s=2.2)
_PHOTO_PX = 480


def photograph(path, seed):
    """A frontal picture of a person."""
    image = render(Person.from_seed(seed), View.frontal(seed), _PHOTO_PX).image
    cv2.imwrite(str(path), image)


def passages(path):
    """A clip, MP4, in which `PASSERS_BY` walk past a camera."""
    clip = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), _STREET.rate, _STREET.size)
    for scene in walk_past([Person.from_seed(seed) for seed in PASSERS_BY], 5, _STREET):
        clip.write(scene.image)
    clip.release()

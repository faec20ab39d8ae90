"""A situation in which a device is armed, and for every rule situations in which only it forbids.

`ARMED` is at noon of a day with a window from nine to five. `BROKEN` names, by the function of
`device.policy`, situations that this function alone refuses.
"""

from dataclasses import dataclass, replace

import msgspec

from device.policy.situation import OpenList, Situation
from device.policy.standing import Standing
from device.policy.stop_rule import verdict
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import (
    Authorisation,
    Retention,
    Signage,
    StopRule,
    Threshold,
    Window,
)
from device.protocol.identifiers import utc_ns
from device.settings import MatchingSettings, VisionSettings
from tests.simulators.clocks import FAULTS

DEVICE = "urn:passerby:site-1:camera-2"
DEPLOYMENT = "0199d1a4-0000-7000-8000-000000000001"
OTHER_DEPLOYMENT = "0199d1a4-0000-7000-8000-000000000002"
DETECTOR = ModelHash("detector", "yunet", "d" * 64)
EMBEDDER = ModelHash("embedder", "omz", "e" * 64)
ATTACKS = ModelHash("attack-detection", "fas", "f" * 64)
LIST = ListVersion("list-1", 3)
MS = 1_000_000


def at(text):
    """`at("05 12:00")`: nanoseconds of an hour in the month of the deployment."""
    day, hour = text.split()
    return utc_ns(f"2026-12-{day}T{hour}:00.000Z")


def window(day, begins="09:00", ends="17:00"):
    return Window(f"2026-12-{day}T{begins}:00.000Z", f"2026-12-{day}T{ends}:00.000Z")


THRESHOLD = Threshold(
    "evaluated", "t-1", 0.62, 0.6, 0.001, 1900, "a" * 64, "Shown with 95 % at 1,900 references."
)
PROVISIONAL = msgspec.structs.replace(THRESHOLD, kind="provisional", evaluation_sha256=None)
AUTHORISATION = Authorisation(
    deployment=DEPLOYMENT,
    version=1,
    signed_at="2026-12-01T10:00:00.000Z",
    objective="Finding people who are wanted by warrant for robbery.",
    place="North entrance of the station",
    devices=[DEVICE],
    windows=[window("05"), window("07")],
    legal_basis="Act 12, section 3",
    impact_assessment="PIA-2026-14",
    signage=Signage("Officer 4411", "2026-11-30T08:00:00.000Z"),
    threshold=THRESHOLD,
    models=[DETECTOR, EMBEDDER],
    watchlist=LIST,
    officer="Superintendent 17",
    custodian="Custodian 23",
    pilot_ends_at="2026-12-31T00:00:00.000Z",
    exit_evaluation="Oversight board, report 9",
    mode="alerting",
)
OPEN = OpenList(deployment=DEPLOYMENT, watchlist=LIST, size=2000, held=1990, comparable=1980)
ARMED = Situation(
    now_ns=at("05 12:00"),
    floor_ns=at("05 11:59"),
    device=DEVICE,
    authorisation=AUTHORISATION,
    fresh_until_ns=at("12 00:00"),
    standing=Standing(),
    opened=OPEN,
    models=(DETECTOR, EMBEDDER),
    threshold=0.62,
)


def authorised(**changes):
    """Return an authorisation with other values."""
    return msgspec.structs.replace(AUTHORISATION, **changes)


def signed(**changes):
    """Return the armed situation under an authorisation with other values."""
    return replace(ARMED, authorisation=authorised(**changes))


def listed(**changes):
    """Return the armed situation with a list of other values."""
    return replace(ARMED, opened=replace(OPEN, **changes))


def now(text, **changes):
    """Return the armed situation at another time."""
    return replace(ARMED, now_ns=at(text), floor_ns=at(text), **changes)


def with_threshold(threshold):
    return replace(signed(threshold=threshold), threshold=threshold.threshold)


_BELOW = msgspec.structs.replace(THRESHOLD, threshold=0.5, floor=0.6)
_SHORT = msgspec.structs.replace(THRESHOLD, list_size=1799)
_LATE = Signage("Officer 4411", "2026-12-05T09:00:00.001Z")
_UNSIGNED = Signage("Officer 4411", "2026-12-01T10:00:00.001Z")
_LOOSE = ("matching.margin is 0, and the evaluation stands for at least 0.03",)
_UNDATED = Standing(ended="over")
_ENDED = Standing(ended="it is over", ended_at="2026-12-02T00:00:00.000Z")

_BACK = FAULTS["below what was seen"]
_SET_BACK = _BACK.clock.judged(_BACK.reading)[1]

BROKEN = {
    "unverified": [
        replace(ARMED, authorisation=None),
        replace(ARMED, authorisation=None, bundle_fault="Its signatures are wrong."),
    ],
    "clock_untrusted": [replace(ARMED, clock_fault=_SET_BACK)],
    "ended": [replace(ARMED, standing=_ENDED), replace(ARMED, standing=_UNDATED)],
    "suspended": [replace(ARMED, standing=Standing(suspended="a drill"))],
    "stopped": [
        replace(ARMED, stop_rule=verdict(StopRule(), 3, 818)),
        replace(ARMED, standing=Standing(stopped="Too many false alerts.")),
    ],
    "unrecorded": [replace(ARMED, storage_fault="The disk is full.")],
    "memory_open": [replace(ARMED, memory_fault="The list would reach the swap.")],
    "misplaced": [replace(ARMED, device="urn:passerby:site-1:camera-3"), signed(devices=[])],
    "stale": [
        replace(ARMED, fresh_until_ns=ARMED.now_ns),
        replace(ARMED, fresh_until_ns=None),
        now("05 12:00", fresh_until_ns=at("05 11:00")),
    ],
    "pilot_over": [signed(pilot_ends_at="2026-12-05T12:00:00.000Z")],
    "unevaluated": [signed(exit_evaluation="  "), signed(exit_evaluation="n/a")],
    "unassessed": [signed(impact_assessment="--"), signed(impact_assessment="T.B.D.")],
    "unannounced": [
        signed(signage=None),
        signed(signage=_UNSIGNED),
        signed(signage=_LATE, signed_at="2026-12-05T10:00:00.000Z"),
    ],
    "floor_undercut": [with_threshold(_BELOW)],
    "unproven": [signed(threshold=PROVISIONAL)],
    "settings_loosened": [replace(ARMED, loosened=_LOOSE)],
    "outside_windows": [
        now("05 08:59"),
        now("05 17:00"),
        now("06 12:00"),
        now("07 17:00"),
        now("04 12:00"),
    ],
    "another_list": [
        listed(watchlist=ListVersion("list-1", 2)),
        listed(watchlist=ListVersion("list-2", 3)),
        listed(deployment=OTHER_DEPLOYMENT),
    ],
    "too_long": [listed(size=2001), signed(list_cap=1999)],
    "uncovered": [with_threshold(_SHORT)],
    "nothing_left": [listed(comparable=0)],
    "other_models": [
        replace(ARMED, models=None),
        replace(ARMED, models=(DETECTOR,)),
        replace(ARMED, models=(DETECTOR, EMBEDDER, ATTACKS)),
        replace(ARMED, models=(DETECTOR, msgspec.structs.replace(EMBEDDER, sha256="0" * 64))),
        replace(signed(models=[DETECTOR, EMBEDDER, ATTACKS]), models=(DETECTOR, EMBEDDER)),
        replace(signed(models=[DETECTOR, DETECTOR]), models=(DETECTOR,)),
    ],
    "other_threshold": [
        replace(ARMED, threshold=None),
        replace(ARMED, threshold=0.61),
        replace(ARMED, threshold=0.63),
    ],
    "blind": [replace(ARMED, camera_fault="The camera gives no frames.")],
}

HOLD = [
    ARMED,
    now("05 09:00"),
    now("07 16:59"),
    now("05 12:00", fresh_until_ns=at("05 12:00") + MS),
    signed(mode="silent"),
    signed(mode="silent", threshold=PROVISIONAL),
    signed(signage=Signage("Officer 4411", "2026-12-01T10:00:00.000Z")),
    signed(
        signage=Signage("Officer 4411", "2026-12-05T09:00:00.000Z"),
        signed_at="2026-12-05T10:00:00.000Z",
    ),
    signed(pilot_ends_at="2026-12-05T12:00:00.001Z"),
    with_threshold(msgspec.structs.replace(THRESHOLD, list_size=1800)),
    with_threshold(msgspec.structs.replace(THRESHOLD, threshold=0.6)),
    listed(comparable=1, held=1),
    listed(size=1),
    replace(signed(list_cap=10), opened=replace(OPEN, size=10)),
    replace(signed(models=[DETECTOR, EMBEDDER, ATTACKS]), models=(ATTACKS, EMBEDDER, DETECTOR)),
    replace(ARMED, standing=Standing(revoked=("r-1",))),
    replace(ARMED, standing=Standing(ended="over", ended_at="2026-12-01T09:59:59.999Z")),
    replace(ARMED, memory_fault="It cannot be locked.", swaps=False),
    replace(ARMED, stop_rule=None, standing=Standing(outcomes={"a": "false alert"})),
]
"""Just inside each limit: nothing forbids comparing."""


class End:
    """When a list is to be erased. because: a part of the sentence; None: not yet."""

    def __init__(
        self, because, time="05 12:00", *, standing=None, held=None, signed=True, **changes
    ):
        self.because = because
        self.time_ns = at(time)
        self.standing = standing or Standing()
        self.held = held
        self.authorisation = authorised(**changes) if signed else None


_DAY = Retention(watchlist_h=24.0)
_HALF_HOUR = Retention(watchlist_h=0.5)

ENDS = [
    End(None),
    End(None, "06 12:00"),
    End(None, "07 16:59"),
    End("last time window", "07 17:00"),
    End("last time window", "30 17:00"),
    End(None, "07 17:29", retention=_HALF_HOUR),
    End("last time window", "07 17:30", retention=_HALF_HOUR),
    End(None, "08 16:59", retention=_DAY),
    End("last time window", "08 17:00", retention=_DAY),
    End("pilot", "07 17:00", retention=_DAY, pilot_ends_at="2026-12-07T17:00:00.000Z"),
    End("pilot", "31 00:00"),
    End("desk has ended", standing=_ENDED),
    End(None, "04 12:00", standing=_UNDATED),
    End("last time window", "07 17:00", standing=_UNDATED),
    End(None, standing=Standing(ended="over", ended_at="2026-12-01T09:59:59.999Z")),
    End(None, standing=Standing(suspended="a drill")),
    End(None, held=1),
    End("revoked", held=0),
    End(None, "30 12:00", signed=False, standing=_ENDED),
]

SETTINGS = [
    (MatchingSettings(), VisionSettings(), 0.5, 0),
    (MatchingSettings(0.9, 0.1, 4, 600.0), VisionSettings(), None, 0),
    (MatchingSettings(margin=0.029), VisionSettings(), None, 1),
    (MatchingSettings(margin=float("nan")), VisionSettings(), None, 1),
    (MatchingSettings(shots=1), VisionSettings(), None, 1),
    (MatchingSettings(cooldown_s=600.1), VisionSettings(), None, 1),
    (MatchingSettings(), VisionSettings(0.8, interocular_px=20, sharpness=0.1), None, 0),
    (MatchingSettings(), VisionSettings(yaw=0.3, roll_degrees=30, shots_per_track=6), None, 0),
    (MatchingSettings(), VisionSettings(detection_threshold=0.69), None, 1),
    (MatchingSettings(), VisionSettings(interocular_px=15.9), None, 1),
    (MatchingSettings(), VisionSettings(sharpness=0.0), None, 1),
    (MatchingSettings(), VisionSettings(yaw=0.36), None, 1),
    (MatchingSettings(), VisionSettings(roll_degrees=35.1), None, 1),
    (MatchingSettings(), VisionSettings(shots_per_track=13), None, 1),
    (MatchingSettings(), VisionSettings(live_threshold=0.5), 0.5, 0),
    (MatchingSettings(), VisionSettings(live_threshold=0.49), 0.5, 1),
    (MatchingSettings(), VisionSettings(live_threshold=0.01), None, 0),
    (MatchingSettings(margin=0.0, cooldown_s=1e4), VisionSettings(yaw=1.0, sharpness=0), 0.5, 4),
]
"""Matching, vision, the attack detector's own live threshold; how many values are too loose."""

LEAVING = [
    (ARMED, "alert"),
    (signed(mode="silent"), "record"),
    (replace(ARMED, authorisation=None), "nothing"),
    (replace(ARMED, opened=None), "nothing"),
    *((one, "nothing") for some in BROKEN.values() for one in some),
]
"""What becomes of a candidate."""

SHUT = {"opened": None, "models": None, "threshold": None}
VERDICTS = [
    (ARMED, "armed"),
    (replace(ARMED, **SHUT), "ready"),
    (now("05 08:00", **SHUT), "waiting"),
    (now("06 12:00"), "waiting"),
    (replace(ARMED, camera_fault="The camera gives no frames."), "waiting"),
    (now("07 17:00"), "over"),
    (replace(now("07 17:00"), floor_ns=at("05 12:00")), "over"),
    (now("07 17:00", **SHUT), "over"),
    (listed(held=0, comparable=0), "over"),
    (replace(ARMED, standing=_ENDED), "over"),
    (replace(ARMED, standing=_UNDATED), "waiting"),
    # The clock is not believed: it says that all is over, and the floor does not.
    (replace(now("20 12:00"), floor_ns=at("05 11:00"), clock_fault="It jumped."), "waiting"),
    (replace(now("05 12:00"), floor_ns=at("07 17:00"), clock_fault="Set back."), "over"),
    (replace(ARMED, authorisation=None, opened=None, fresh_until_ns=None), "waiting"),
]


@dataclass(frozen=True)
class Entry:
    """What an open list says of one reference."""

    reference_id: str = "r-1"
    expires_at: str = "2026-12-06T00:00:00.000Z"
    review_at: str = "2026-12-05T00:00:00.000Z"


REFERENCES = [
    ("04 23:59", (), "comparable"),
    ("05 00:00", (), "overdue"),
    ("05 23:59", (), "overdue"),
    ("06 00:00", (), "expired"),
    ("04 23:59", ("r-2",), "comparable"),
    ("04 23:59", ("r-1",), "revoked"),
    ("06 00:00", ("r-1",), "revoked"),
]
"""When, what is revoked, and what may then be done with `Entry()`."""

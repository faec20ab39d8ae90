"""`Schedule`: the retention schedule as a typed value, read from `retention.toml` (R23)."""

import sys
from pathlib import Path
from typing import Annotated, Final, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from device.configuration import read_text
from device.errors import ConfigurationError

FILE: Final = "retention.toml"
_HOUR_NS: Final = 3600 * 10**9
_HOURS_OF: Final = {"hours": 1, "days": 24}

Period = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,4}) (hours|days)\Z")]
"""As "24 hours" or "30 days"."""
Words = Annotated[str, Meta(min_length=3, max_length=600)]
ItemName = Literal[
    "faces",
    "alerts_device",
    "alerts_broker",
    "alerts_desk",
    "alerts_held",
    "watchlist_device",
    "watchlist_desk",
    "manifests",
    "requests",
    "journal",
    "audit",
    "backups",
]
ITEMS: Final[tuple[ItemName, ...]] = get_args(ItemName)


class Item(Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the schedule. The file's head says what each field means."""

    what: Words
    where: Words
    keep: Period
    maximum: Period
    counted_from: Words
    why: Words
    erased_by: Literal["program", "person"]
    how: Words
    exceptional: Period | None = None
    notice_en: Words | None = None
    notice_fr: Words | None = None

    @property
    def keep_h(self) -> float:
        """Hours for which it is kept unless somebody shortens that."""
        return hours(self.keep)

    @property
    def maximum_h(self) -> float:
        """Hours that are not exceeded without a law that says otherwise."""
        return hours(self.maximum)

    @property
    def longest_h(self) -> float:
        """Hours that no setting takes more than."""
        return hours(self.exceptional or self.maximum)


class Deadlines(Struct, frozen=True, forbid_unknown_fields=True):
    """For requests of the people concerned (R39), from the day on which one was received."""

    answer: Period
    extension: Period
    due_soon: Period


class Schedule(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole schedule. kept: one item for each of `ITEMS`."""

    version: Literal[1]
    deadlines: Deadlines
    kept: dict[ItemName, Item]

    def item(self, name: ItemName) -> Item:
        """Return one item; there is one for every name."""
        return self.kept[name]


def hours(period: str) -> float:
    """Return the hours of a period as "30 days"."""
    number, unit = period.split(" ")
    return float(int(number) * _HOURS_OF[unit])


def nanoseconds(period: str) -> int:
    """Return the nanoseconds of a period as "30 days"."""
    return int(hours(period)) * _HOUR_NS


def default_path() -> Path:
    """Return the schedule that came with Passerby: beside the code, or installed."""
    places = (
        Path(__file__).resolve().parents[3] / "firmware_config" / FILE,
        Path(sys.prefix) / "share/passerby" / FILE,
        Path("/usr/share/passerby") / FILE,
    )
    return next((place for place in places if place.is_file()), places[-1])


def schedule_of(workplace: Path) -> Schedule:
    """Return the schedule that a workplace works by: its own, where it has one, or the shipped one.

    Raises ConfigurationError: also when its own keeps anything longer than the shipped one does.
    """
    shipped = read_schedule(default_path())
    own = workplace / FILE
    if not own.is_file():
        return shipped
    found = read_schedule(own)
    _refuse_longer(found, shipped, own)
    return found


def read_schedule(path: Path) -> Schedule:
    """Read a schedule. Raises ConfigurationError naming the line and what is wrong."""
    text = read_text(path)
    try:
        found = msgspec.toml.decode(text, type=Schedule)
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigurationError(f"The retention schedule {path} is wrong: {error}.") from error
    try:
        _check(found)
    except ConfigurationError as error:
        raise ConfigurationError(f"The retention schedule {path}: {error}") from error
    return found


def _check(schedule: Schedule) -> None:
    missing = sorted(set(ITEMS) - set(schedule.kept))
    if missing:
        raise ConfigurationError(
            f"[kept.{missing[0]}] is missing: nothing is kept without a period."
        )
    for name, item in schedule.kept.items():
        if item.keep_h > item.maximum_h:
            raise ConfigurationError(f"[kept.{name}] keeps longer than its own maximum.")
        if item.longest_h < item.maximum_h:
            raise ConfigurationError(f"[kept.{name}] has an exceptional period below its maximum.")
        if (item.notice_en is None) != (item.notice_fr is None):
            raise ConfigurationError(f"[kept.{name}] has words for the notice in one language.")
    if hours(schedule.deadlines.answer) <= 0:
        raise ConfigurationError("[deadlines] answer leaves no time for an answer.")


def _refuse_longer(own: Schedule, shipped: Schedule, path: Path) -> None:
    for name in ITEMS:
        for field in ("keep_h", "maximum_h", "longest_h"):
            if getattr(own.item(name), field) > getattr(shipped.item(name), field):
                raise ConfigurationError(
                    f"The retention schedule {path}: [kept.{name}] is longer than that of "
                    "Passerby. A workplace may shorten periods; to lengthen one is a new version."
                )
    for field in ("answer", "extension"):
        if hours(getattr(own.deadlines, field)) > hours(getattr(shipped.deadlines, field)):
            raise ConfigurationError(
                f"The retention schedule {path}: [deadlines] {field} is longer than that of "
                "Passerby. People are not to wait longer for an answer."
            )

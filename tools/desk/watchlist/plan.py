"""The plan: what the authorising officer writes down (`examples/authorisation.toml`).

It says everything of an authorisation that a person decides. What follows from the list, the models
and the evaluation is added by `authorising`, so that nobody types a digest or a threshold.
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import ConfigurationError
from device.protocol.authorisation import (
    LIST_CAP,
    Fraction,
    Mode,
    Name,
    Retention,
    Sentence,
    Signage,
    StopRule,
    Window,
)
from device.protocol.identifiers import utc_text
from tools.desk.watchlist.regular import beginning_of

LARGEST_BYTES: Final = 1024 * 1024
Moment = Annotated[datetime, Meta(tz=True)]
SiteDevice = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}/[a-z0-9][a-z0-9-]{0,31}\Z")]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class PlannedWindow(Struct, frozen=True, forbid_unknown_fields=True):
    """When comparing shall be allowed. Times name their zone, as 2026-03-01T18:00:00-05:00."""

    begins_at: Moment
    ends_at: Moment


class PlannedSignage(Struct, frozen=True, forbid_unknown_fields=True):
    """Who saw the notice at the place, and when (R36)."""

    attested_by: Name
    attested_at: Moment


class Plan(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`authorisation.toml`. target_fpir: the wanted rate of false alerts per face.

    other_detectors: that may run as well: a small one, or larger ones where people stand farther.
    """

    objective: Sentence
    place: Name
    devices: Annotated[list[SiteDevice], Meta(min_length=1, max_length=256)]
    windows: Annotated[list[PlannedWindow], Meta(min_length=1, max_length=366)]
    legal_basis: Name
    impact_assessment: Name
    officer: Name
    custodian: Name
    pilot_ends_at: Moment
    exit_evaluation: Name
    signage: PlannedSignage | None = None
    mode: Mode = "silent"
    list_cap: Annotated[int, Meta(ge=1, le=LIST_CAP)] = LIST_CAP
    target_fpir: Fraction = 0.001
    retention: Retention = Retention()
    stop_rule: StopRule = StopRule()
    detector: str = "yunet-s-640x480"
    embedder: str = "omz-0095"
    attack_detector: str = ""
    other_detectors: Annotated[list[str], Meta(max_length=8)] = []
    kind: Literal["passerby plan 1"] = "passerby plan 1"

    @property
    def sources(self) -> list[str]:
        """The devices as messages name them."""
        return [f"urn:passerby:{one.replace('/', ':')}" for one in self.devices]

    @property
    def pilot_end(self) -> str:
        """When the pilot ends, as it is signed."""
        return text_of(self.pilot_ends_at)

    def signage_signed(self) -> Signage | None:
        """Return the attestation as it is signed."""
        if self.signage is None:
            return None
        return Signage(self.signage.attested_by, text_of(self.signage.attested_at))

    def windows_signed(self) -> list[Window]:
        """Return the windows as they are signed."""
        return [Window(text_of(one.begins_at), text_of(one.ends_at)) for one in self.windows]


def read_plan(path: Path) -> Plan:
    """Return the plan of a TOML file. Raises ConfigurationError, naming the key."""
    try:
        content = beginning_of(path, LARGEST_BYTES + 1)
        if len(content) > LARGEST_BYTES:
            raise ConfigurationError(f"{path} is too large for an authorisation's plan.")
        return msgspec.convert(tomllib.loads(content.decode()), Plan)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} does not exist: examples/authorisation.toml shows what it says."
        ) from error
    except RecursionError as error:
        raise ConfigurationError(f"{path} is nested too deeply for a plan.") from error
    except (OSError, ValueError) as error:
        # Of it no text, no TOML, or a number with thousands of digits.
        raise ConfigurationError(f"{path} cannot be read ({error}).") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{path} is no authorisation: {error}. examples/authorisation.toml explains every key."
        ) from error


def text_of(moment: datetime) -> str:
    """Return a moment as messages have it, in UTC. Raises ConfigurationError before 1970."""
    try:
        elapsed = (moment.astimezone(UTC) - _EPOCH).total_seconds()
    except OverflowError as error:
        raise ConfigurationError(
            f"{moment.isoformat()} is a day that there is not in UTC: correct the year."
        ) from error
    if elapsed < 0:
        raise ConfigurationError(f"{moment.isoformat()} is too long ago: correct the year.")
    return utc_text(int(elapsed * 1000) * 1_000_000)

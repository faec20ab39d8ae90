"""The configured list of serious offences, and how long an entry may stand (R7, R9)."""

import sys
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from device.errors import ConfigurationError
from tools.desk.watchlist.entry import OffenceClass
from tools.desk.watchlist.regular import beginning_of

_LARGEST_BYTES = 1_000_000


class Offences(Struct, frozen=True, forbid_unknown_fields=True):
    """`firmware_config/offences.toml`, as a deployment was bound to it when it was made."""

    offence: Annotated[list[OffenceClass], Meta(min_length=1, max_length=100)]
    longest_days: Annotated[int, Meta(ge=1, le=366)]
    longest_review_days: Annotated[int, Meta(ge=1, le=366)]

    @property
    def ids(self) -> list[str]:
        """The ids of the offence classes, in the order of the file."""
        return [one.id for one in self.offence]


def read_offences(path: Path) -> Offences:
    """Return the offences of a file. Raises ConfigurationError."""
    try:
        content = beginning_of(path, _LARGEST_BYTES).decode()
        found = msgspec.convert(tomllib.loads(content), Offences)
    except FileNotFoundError as error:
        raise ConfigurationError(
            f"{path} does not exist: --offences names the list of serious offences; "
            "firmware_config/offences.toml is one."
        ) from error
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        # A number of thousands of digits is a ValueError, a deep nesting a RecursionError.
        raise ConfigurationError(f"{path} is no list of offences: {error}.") from error
    if len(set(found.ids)) != len(found.ids):
        raise ConfigurationError(f"{path} names an offence class twice: remove one.")
    return found


def default_offences() -> Path:
    """Return the list that came with Passerby: beside the code, or installed."""
    places = (
        Path(__file__).resolve().parents[3] / "firmware_config/offences.toml",
        Path(sys.prefix) / "share/passerby/offences.toml",
    )
    return next((place for place in places if place.is_file()), places[0])

"""`Office`: who answers, for letters and the public notice; `office.toml` in the workplace."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from device.configuration import read_text
from device.errors import ConfigurationError

FILE: Final = "office.toml"
Line = Annotated[str, Meta(min_length=2, max_length=300)]


class Office(Struct, frozen=True, forbid_unknown_fields=True):
    """The service in both languages. contact: where to write and call. complaints: to whom else."""

    service_en: Line
    service_fr: Line
    contact_en: Line
    contact_fr: Line
    complaints_en: Line
    complaints_fr: Line


def read_office(path: Path) -> Office:
    """Read an `office.toml`. Raises ConfigurationError."""
    try:
        return msgspec.toml.decode(read_text(path), type=Office)
    except (msgspec.MsgspecError, ValueError) as error:
        fields = ", ".join(field.name for field in msgspec.structs.fields(Office))
        raise ConfigurationError(f"{path} must hold {fields}: {error}.") from error

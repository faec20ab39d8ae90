"""The signed configuration: the tables of `device.toml` that a bundle sets, and no other."""

from pathlib import Path

from msgspec import Struct

from device.bundles.refusal import BundleError
from device.configuration import parse_as
from device.errors import ConfigurationError
from device.protocol.bundle import CONFIGURATION
from device.settings import (
    MatchingSettings,
    ModelSettings,
    RetentionSettings,
    VisionSettings,
)


class SignedConfiguration(Struct, frozen=True, forbid_unknown_fields=True):
    """What the target `configuration.toml` sets; a table that is left out has its defaults.

    Its fields are `device.protocol.bundle.CONFIGURABLE`; they replace the device's own as a whole.
    """

    vision: VisionSettings = VisionSettings()
    matching: MatchingSettings = MatchingSettings()
    models: ModelSettings = ModelSettings()
    retention: RetentionSettings = RetentionSettings()


def read_signed(text: str) -> SignedConfiguration:
    """Return the settings of a signed configuration. Raises BundleError."""
    try:
        found = parse_as(SignedConfiguration, text, Path(CONFIGURATION), ())
    except ConfigurationError as error:
        raise BundleError(f"The bundle's configuration is refused: {error}") from error
    directory = found.models.directory
    if directory and not Path(directory).is_absolute():
        raise BundleError(
            f"The bundle's configuration is refused: models.directory {directory!r} counts from no "
            "folder; it must be absolute, or empty."
        )
    return found

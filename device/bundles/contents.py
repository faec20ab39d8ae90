"""What the small targets of a bundle must say, each alone and one with another. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from device.bundles.configuration import read_signed
from device.bundles.refusal import BundleError
from device.errors import MessageError
from device.protocol.authorisation import Authorisation, decode_authorisation
from device.protocol.bundle import (
    AUTHORISATION,
    CONFIGURATION,
    LOCAL_KEYS,
    MODELS,
    LocalKeys,
    ModelList,
    decode_local_keys,
    decode_models,
)
from device.protocol.identifiers import utc_ns

CLOCK_TOLERANCE_NS: Final = 5 * 60 * 10**9
"""How much later than this device's clock a bundle may have been signed: clocks differ a little."""
SMALL_TARGETS: Final = (AUTHORISATION, CONFIGURATION, MODELS, LOCAL_KEYS)


@dataclass(frozen=True, slots=True)
class Contents:
    """The small targets, decoded. configuration: the TOML text."""

    authorisation: Authorisation
    configuration: str
    models: ModelList
    local_keys: LocalKeys


def read_contents(files: Mapping[str, bytes], now_ns: int, device: str | None = None) -> Contents:
    """Decode and check the small targets.

    files: content by target name, SMALL_TARGETS at least. now_ns: nanoseconds since 1970. device:
    urn of this device, which the authorisation must name; None: not asked. Raises BundleError.
    """
    try:
        contents = Contents(
            authorisation=decode_authorisation(files[AUTHORISATION]),
            configuration=files[CONFIGURATION].decode("utf-8"),
            models=decode_models(files[MODELS]),
            local_keys=decode_local_keys(files[LOCAL_KEYS]),
        )
    except MessageError as error:
        raise BundleError(f"The bundle's contents are refused: {error}") from error
    except UnicodeDecodeError as error:
        raise BundleError("The bundle's configuration is no UTF-8 text.") from error
    read_signed(contents.configuration)
    _check_models(contents)
    _check_clock(contents.authorisation, now_ns)
    if device is not None and device not in contents.authorisation.devices:
        raise BundleError(
            f"This bundle is not for this device: its authorisation does not name {device}. Take "
            "the stick for this site, or correct device.site and device.id."
        )
    return contents


def _check_models(contents: Contents) -> None:
    """R34: one list of models, signed twice over; a second one would be a way around it."""
    if contents.models.models != contents.authorisation.models:
        raise BundleError(
            "The bundle's models.json names other models than its authorisation (R34): the desk "
            "must make it again."
        )


def _check_clock(authorisation: Authorisation, now_ns: int) -> None:
    """Nothing was signed in the future; a clock that says so has been set back, or was lost."""
    if utc_ns(authorisation.signed_at) > now_ns + CLOCK_TOLERANCE_NS:
        raise BundleError(
            f"The clock of this device is behind: this bundle was signed at "
            f"{authorisation.signed_at}. Set the clock, or connect the network and wait for NTP."
        )

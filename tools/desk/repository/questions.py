"""Asking a person before something is signed."""

import sys

from device.errors import ConfigurationError


def confirm(what: str, *, yes: bool) -> None:
    """Return when the person types yes, or has said so already. Raises ConfigurationError."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what} Nobody can be asked here: repeat it with --yes.")
    if input(f"{what} Type yes: ").strip() != "yes":
        raise ConfigurationError("Nothing was signed.")

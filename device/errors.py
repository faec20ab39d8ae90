"""The one tree of errors. Every message is a sentence for a technician: what is wrong, what to do.

`PasserbyError` is never raised itself. A command prints the message and exits with the class's
`exit_code`; it never prints a traceback for one of these.
"""

from typing import ClassVar


class PasserbyError(Exception):
    """Base of all errors that a person can act on."""

    exit_code: ClassVar[int] = 1


class ConfigurationError(PasserbyError):
    """The configuration, or a command's arguments, cannot be used."""

    exit_code = 2


class CameraError(PasserbyError):
    """The camera, or the clip that stands in for it, gives no frames."""

    exit_code = 3


class PictureError(PasserbyError):
    """One input file cannot be read as a picture or a clip. Other inputs go on."""

    exit_code = 4


class ModelError(PasserbyError):
    """A model is missing, is not the one that was named, or does not fit its contract."""

    exit_code = 5


class WatchlistError(PasserbyError):
    """The watchlist cannot be read, or does not fit the models."""

    exit_code = 6


class NotArmedError(PasserbyError):
    """A rule forbids comparing; the message names the rule."""

    exit_code = 7


class BrokerError(PasserbyError):
    """The broker cannot be reached or refuses us."""

    exit_code = 8


class StorageError(PasserbyError):
    """A file or the state directory cannot be read or written."""

    exit_code = 9


class MessageError(PasserbyError):
    """A received or stored message is not one of ours, or is damaged."""

    exit_code = 10

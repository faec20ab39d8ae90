"""Why a message is refused: one class for each thing that a caller can act on.

`MessageError` is their base. A refusal is final: nothing of a refused message is used.
"""

from device.errors import MessageError


class OversizeError(MessageError):
    """Longer than anything that Passerby sends."""


class TruncatedError(MessageError):
    """Shorter than its format says: cut on the way, or not ours."""


class NotCanonicalError(MessageError):
    """Well-formed, but not the one form in which Passerby writes it."""


class UnknownVersionError(MessageError):
    """Of another version of the protocol, or sealed with a suite that is not allowed here."""


class MisaddressedError(MessageError):
    """Meant for, or sent in the name of, somebody else."""


class WrongTopicError(MisaddressedError):
    """On a topic of another kind than its own. Only a broker does that: there is no receipt."""


class ForgedError(MessageError):
    """It does not open, or its signature is not the expected sender's."""


class ReplayedError(MessageError):
    """Already seen, or older than something already obeyed."""


class ExpiredError(MessageError):
    """Too late, or from a future that the clock here does not know."""

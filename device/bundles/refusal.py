"""Why a bundle is not taken, or no longer believed."""

from typing import ClassVar

from device.errors import PasserbyError


class BundleError(PasserbyError):
    """A bundle is refused, or the installed one is damaged or stale. What was installed stays."""

    exit_code: ClassVar[int] = 11

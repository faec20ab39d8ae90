"""Who may write in the state directory: the user whose service reads it, and nobody else.

What another user makes there, root as well, belongs to that user: the service can then neither
read nor append to it, and compares nothing until somebody corrects the rights by hand.
"""

import os
import pwd
from pathlib import Path

from device.errors import StorageError


def refuse_another_user(state: Path, command: str) -> None:
    """Raise StorageError where the state directory exists and is not this user's.

    command: as it was typed, after `passerby`.
    """
    try:
        owner = state.stat().st_uid
    except OSError:
        # There is none yet, or it cannot be seen: whoever reads or writes in it says so.
        return
    if owner == os.geteuid():
        return
    name = _name_of(owner)
    raise StorageError(
        f"{state} belongs to {name}, whose service could not read what another user writes there: "
        f"use `sudo -u {name} passerby {command} …`."
    )


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"'#{user}'"

"""Deployments that have ended here: their list was erased, and no stick brings it back (R24).

`device.erasure` writes the note and erases the targets. The metadata of the last bundle stay,
because their versions are the floor for the next one; they hold lengths, hashes and keys' public
halves: no template, no reference, no name.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from device.bundles.refusal import BundleError
from device.bundles.shelf import Shelf
from device.errors import StorageError
from device.protocol.authorisation import Authorisation
from device.protocol.event import Uuid

NAME: Final = "ended.json"


class Ended(Struct, frozen=True, forbid_unknown_fields=True):
    """The highest version of each deployment's authorisation whose list was erased here."""

    versions: dict[Uuid, int] = {}
    kind: Literal["passerby ended deployments 1"] = "passerby ended deployments 1"

    def covers(self, authorisation: Authorisation) -> bool:
        """Return whether an authorisation's list was erased here, or a later one of its was."""
        return authorisation.version <= self.versions.get(authorisation.deployment, 0)


def read_ended(shelf: Shelf) -> Ended:
    """Return the deployments that have ended. Raises StorageError: it is no list to guess at."""
    path = shelf.folder / NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Ended)
    except FileNotFoundError:
        return Ended()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StorageError(
            f"{path} is damaged or cannot be read: nobody can say which lists have ended here. "
            "Move the folder `bundle` of the state directory away, and ask the desk for a new "
            "bundle."
        ) from error


def refuse_ended(shelf: Shelf, authorisation: Authorisation) -> None:
    """Raise BundleError where a bundle would bring an erased list back."""
    if read_ended(shelf).covers(authorisation):
        raise BundleError(
            "This bundle's list has ended on this device and was erased (R24); it does not come "
            "back. The desk must sign and publish a new version."
        )

"""Marks beside a deployment's bundle, for commands that run without a keeper, or after the end.

They hold nothing that the published bundle does not say, and no name.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Literal

import msgspec
from msgspec import Struct

from device.errors import StorageError
from device.files import write_atomically
from device.protocol.event import Source
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.vault import destroy

_PUBLIC = 0o644


class AtGateway(Struct, frozen=True, forbid_unknown_fields=True):
    """`gateway.json`: for which devices a gateway has, or had, the deployment's key."""

    devices: list[Source]
    kind: Literal["passerby at gateway 1"] = "passerby at gateway 1"


def mark_gateway(deployment: Deployment, devices: Sequence[str]) -> None:
    """Note, before a gateway gets the key, that it has it. Raises StorageError."""
    everybody = sorted({*devices, *devices_at_gateway(deployment)})
    content = msgspec.json.format(msgspec.json.encode(AtGateway(everybody)))
    write_atomically(deployment.at_gateway, content, mode=_PUBLIC)


def is_at_gateway(deployment: Deployment) -> bool:
    """Return whether a gateway may still give out the key."""
    return deployment.at_gateway.exists()


def devices_at_gateway(deployment: Deployment) -> list[str]:
    """Return the devices of `gateway.json`; none where it is missing or damaged.

    Nothing depends on it alone: the bundle and the register name the devices too.
    """
    with suppress(OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        found = msgspec.json.decode(deployment.at_gateway.read_bytes(), type=AtGateway)
        return list(found.devices)
    return []


def forget_gateway(deployment: Deployment) -> None:
    """Note that no gateway has the key any more. Raises StorageError."""
    destroy(deployment.at_gateway)


def mark_withdrawn(deployment: Deployment) -> None:
    """Note that what is published must not be given out any more (R8). Raises StorageError."""
    write_atomically(deployment.withdrawn, b"Seal, sign and publish the list anew.\n", mode=_PUBLIC)


def unmark_withdrawn(deployment: Deployment) -> None:
    """Note that what is published now lists nobody who was taken off. Raises StorageError."""
    destroy(deployment.withdrawn)


def refuse_withdrawn(deployment: Deployment) -> None:
    """Raise StorageError while what is published lists somebody who was taken off since."""
    if deployment.withdrawn.exists():
        raise StorageError(
            f"The published list of {deployment.id} still names somebody who was suspended or "
            "revoked: it is given out no more. Seal, sign and publish the list without them (R8)."
        )

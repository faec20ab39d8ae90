"""`Conditions`: what a running appliance asks before every frame: may it compare, may it alert."""

from typing import Protocol

from device.obedience import Obedience
from device.policy.arming import Facts, reasons_not_to_compare
from device.protocol.authorisation import Operation
from device.protocol.status import StatusData
from device.settings import Settings


class Conditions(Protocol):
    """The rules of one list's session."""

    @property
    def mode(self) -> Operation:
        """What becomes of a candidate: an alert, or only a line in the audit log."""
        ...

    @property
    def purpose(self) -> str:
        """Why is compared: the objective of the authorisation (R42)."""
        ...

    @property
    def threshold_id(self) -> str | None:
        """Name of the signed threshold; None where the settings' own counts."""
        ...

    def reasons(self, storage_fault: str | None, camera_fault: str | None) -> list[str]:
        """Return every reason not to compare, a sentence each; empty means armed."""
        ...

    @property
    def over(self) -> bool:
        """True when this session must end: camera off, list wiped."""
        ...

    def told(self, status: StatusData) -> StatusData:
        """Return the status with what only the session's owner knows."""
        ...


class DemonstrationConditions:
    """An unsigned list: only the configuration, the desk's orders and faults decide."""

    mode: Operation = "demonstration"
    purpose = "demonstration"
    threshold_id: str | None = None
    over = False

    def __init__(self, settings: Settings, obedience: Obedience) -> None:
        self._settings = settings
        self._obedience = obedience

    def told(self, status: StatusData) -> StatusData:
        """See `Conditions.told`."""
        return status

    def reasons(self, storage_fault: str | None, camera_fault: str | None) -> list[str]:
        """See `Conditions.reasons`."""
        return reasons_not_to_compare(
            Facts(
                signed=False,
                demonstration=self._settings.device.demonstration,
                orders=tuple(self._obedience.standing.reasons()),
                storage_fault=storage_fault,
                camera_fault=camera_fault,
            )
        )

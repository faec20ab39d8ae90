"""A signed list that is open for a search by hand, for as long as policy allows it.

The same conditions as for the camera: window, place, signatures, models, threshold, clock. Nothing
is shown to anybody while the authorisation says that the pilot is silent (R35).
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from device.charge import Charge
from device.correspondence import correspondence
from device.errors import NotArmedError
from device.inbox import Inbox
from device.policy.arming import may_alert
from device.settings import Settings

_PATIENCE_S = 60.0
"""For the desk's answer; a device that does not get it says why."""
_LOOK_S = 0.1
_SILENT = (
    "This deployment is in silent mode: candidates are recorded for evaluation and shown to "
    "nobody. The officer must authorise the mode alerting before stills can be searched."
)


@contextmanager
def opened_list(settings: Settings, process_fault: str | None = None) -> Iterator[Charge]:
    """Open the installed list and keep it open.

    process_fault: see `Charge`.
    Ask `refuse_unless_armed` before each search, and all along one that takes longer than a still.
    Raises NotArmedError with every reason why it may not be opened.
    """
    inbox = Inbox()
    courier, notebook, obedience = correspondence(settings, inbox)
    charge = Charge(settings, inbox, courier, notebook, obedience, process_fault=process_fault)
    courier.start()
    try:
        _wait(charge)
        yield charge
    finally:
        charge.leave()
        courier.stop()


def refuse_unless_armed(charge: Charge) -> None:
    """Raise NotArmedError unless everything holds at this moment."""
    charge.obey()
    charge.tend()
    verdict = charge.decide()
    if verdict.state != "armed":
        raise NotArmedError(" ".join(verdict.reasons))
    if not may_alert(charge.situation(None)):
        raise NotArmedError(_SILENT)


def _wait(charge: Charge) -> None:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        charge.obey()
        charge.tend()
        verdict = charge.decide()
        if verdict.state == "armed":
            return
        if not charge.asks or time.monotonic() > deadline_s:
            raise NotArmedError(" ".join(verdict.reasons))
        time.sleep(_LOOK_S)

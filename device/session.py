"""`SessionConditions`: the rules of a signed list's session, asked before every frame."""

from device.capture import Camera
from device.charge import Charge
from device.policy.arming import judge, what_leaves
from device.protocol.authorisation import Operation
from device.protocol.status import StatusData
from device.trusted_time import boot_s

_JUDGE_EVERY_S = 0.5


class SessionConditions:
    """One session. why: the reasons that ended it, in sentences, once it is over.

    Everything is judged anew twice a second; at once when the desk's orders or a fault of the
    machine change; and at the moment at which a window ends.
    """

    def __init__(self, charge: Charge, camera: Camera) -> None:
        self._charge = charge
        self._camera = camera
        self._judged: tuple[object, ...] = ()
        self._judge_again_s = 0.0
        self._reasons: list[str] = []
        # Told in the log before the first frame is judged.
        self._silent = what_leaves(charge.situation(None)) != "alert"
        self.over = False
        self.why: str | None = None

    @property
    def mode(self) -> Operation:
        """Silent unless everything that an alert needs holds at this moment (R35)."""
        return "silent" if self._silent else "alerting"

    @property
    def purpose(self) -> str:
        """See `Conditions.purpose`."""
        return self._charge.authorisation.objective

    @property
    def threshold_id(self) -> str | None:
        """See `Conditions.threshold_id`."""
        return self._charge.authorisation.threshold.threshold_id

    def reasons(self, storage_fault: str | None, camera_fault: str | None) -> list[str]:
        """See `Conditions.reasons`."""
        now_s = boot_s()
        about = (storage_fault, camera_fault, self._charge.obedience.standing)
        if now_s >= self._judge_again_s or about != self._judged:
            self._judged = about
            self._judge_again_s = now_s + self._judge(camera_fault)
        return self._reasons

    def told(self, status: StatusData) -> StatusData:
        """See `Conditions.told`."""
        return self._charge.told(status)

    def _judge(self, camera_fault: str | None) -> float:
        """Judge anew. Returns for how many seconds this may be taken to hold."""
        self._charge.tend()
        closed = self._charge.custody.closed_because
        if closed is not None:
            self._reasons, self.over, self.why = [closed], True, closed
            return _JUDGE_EVERY_S
        situation = self._charge.situation(camera_fault)
        verdict = judge(situation)
        self._reasons = list(verdict.reasons)
        self._silent = what_leaves(situation) != "alert"
        if verdict.state == "armed":
            return min(_JUDGE_EVERY_S, _seconds_until(verdict.next_change_ns, situation.now_ns))
        # A camera that is being plugged in again, or a disk, does not end the session: nothing is
        # compared meanwhile. Whatever else fails does, and the list is wiped.
        without = judge(self._charge.situation(None, storage=False))
        if without.state != "armed":
            self.over, self.why = True, " ".join(without.reasons)
        return _JUDGE_EVERY_S


def _seconds_until(moment_ns: int | None, now_ns: int) -> float:
    return float("inf") if moment_ns is None else (moment_ns - now_ns) / 1e9

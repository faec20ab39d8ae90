"""How many faces were seen since the stop rule began to count, kept over restarts (R32).

Only while the device could alert: faces that were seen in silent mode say nothing of alerts.

A file that is damaged or lost counts as unknown, which weighs against the device.
"""

from pathlib import Path

import msgspec

from device.audit import Ledger
from device.errors import StorageError
from device.files import write_atomically
from device.notebook import Notebook
from device.policy.standing import Standing
from device.policy.stop_rule import Exposure, verdict
from device.protocol.authorisation import StopRule

NAME = "exposure.json"
_KEEP_EVERY_S = 60.0
_LARGEST_BYTES = 4_096


class Exposures:
    """directory: the state directory. One thread calls it."""

    def __init__(self, directory: Path, notebook: Notebook) -> None:
        self._path = directory / NAME
        self._notebook = notebook
        self._kept = self._read()
        self._unknown = self._kept is None
        self._base = self._kept or Exposure()
        self._next_s = 0.0

    def begin(self, ledger: Ledger, standing: Standing) -> None:
        """Count a new session's ledger from here on."""
        self._ledger = ledger
        self._faces = self._alerts = 0
        self._session = _served(standing)
        self._grow(standing)

    def step(self, standing: Standing, now_s: float) -> None:
        """Take over what the ledger has counted; keep it once a minute. now_s: monotonic."""
        self._grow(standing)
        if now_s >= self._next_s:
            self._next_s = now_s + _KEEP_EVERY_S
            self.keep()

    def keep(self) -> None:
        """Write the counts, where they have changed."""
        if self._base == self._kept:
            return
        try:
            write_atomically(self._path, msgspec.json.encode(self._base))
        except StorageError as error:
            self._notebook.failed(error)
            return
        self._kept = self._base

    def verdict(self, rule: StopRule, standing: Standing) -> str | None:
        """Return why this device must suspend itself, or None."""
        base = self._base
        if base.counted_for != _counted_for(standing):
            # What was seen before says nothing about the alerts since then.
            return verdict(rule, standing.false_alerts, 0)
        return verdict(
            rule, standing.false_alerts, None if self._unknown else base.faces, base.alerts
        )

    def _grow(self, standing: Standing) -> None:
        faces, alerts = self._ledger.faces - self._faces, self._ledger.alerts - self._alerts
        self._faces, self._alerts = self._ledger.faces, self._ledger.alerts
        if standing.silent:
            return
        if _served(standing) != self._session:
            # Another bundle is in force, and this session still ran under the one before.
            faces = alerts = 0
        if self._base.counted_for != _counted_for(standing):
            # A new count begins at nothing, and that is known.
            self._unknown = False
        self._base = self._base.grown(
            faces,
            alerts,
            deployment=standing.deployment,
            resumed=standing.resumed,
            threshold_id=standing.threshold_id,
        )

    def _read(self) -> Exposure | None:
        """Return what was kept; None where it is lost."""
        try:
            content = self._path.read_bytes()
            if len(content) > _LARGEST_BYTES:
                return None
            return msgspec.json.decode(content, type=Exposure)
        except FileNotFoundError:
            return Exposure()
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None


def _counted_for(standing: Standing) -> tuple[str | None, int, str | None]:
    return standing.deployment, standing.resumed, standing.threshold_id


def _served(standing: Standing) -> tuple[str | None, str | None, bool]:
    return standing.deployment, standing.threshold_id, standing.silent

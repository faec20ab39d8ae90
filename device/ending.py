"""`Ending`: the record that answers the end of a deployment, whatever ended it (R24, R37).

It is made before anything is erased, for afterwards nobody knows which list it was; and it is owed,
on the disk, before it is made, so that a power cut in between does not lose it. Where it cannot be
sent yet, it is made again later from what stays: the audit log and the manifests.
"""

from pathlib import Path

import msgspec

from device.alerts import AlertSink
from device.deployment import deployment_record
from device.erasure import INTENT
from device.errors import MessageError, StorageError
from device.manifests import FOLDER
from device.notebook import Notebook
from device.obedience import Obedience
from device.protocol.authorisation import Authorisation
from device.protocol.manifest import Manifest, decode_manifest
from device.remains import unsigned_authorisation
from device.settings import Settings


class Ending:
    """One thread calls it. sink: takes the record."""

    def __init__(
        self, settings: Settings, sink: AlertSink, notebook: Notebook, obedience: Obedience
    ) -> None:
        self._settings = settings
        self._state = Path(settings.device.state_directory)
        self._sink = sink
        self._notebook = notebook
        self._obedience = obedience
        self._signed: Authorisation | None = None
        self._told: str | None = None

    def begin(self, signed: Authorisation | None) -> None:
        """Owe the record, and send it if that can be. To be called before anything is erased.

        signed: the authorisation; None where the bundle cannot be verified any more. Called again
        for an erasure that did not succeed, it does nothing.
        """
        self._signed = signed = signed or unsigned_authorisation(self._state)
        which = "unknown" if signed is None else f"{signed.deployment} {signed.version}"
        if self._told == which or (self._state / INTENT).exists():
            return
        self._told = which
        standing = self._obedience.standing
        if standing.end_in_force(None if signed is None else signed.signed_at) is None:
            # Nobody has ordered this end, so that no order is there to be answered.
            self._obedience.keep(msgspec.structs.replace(standing, record_owed=True))
        self.settle()

    def settle(self) -> None:
        """Send the record if it is owed."""
        if not self._obedience.standing.record_owed:
            return
        signed, manifest = self._signed, self._newest(self._signed)
        listed = {one.reference_id for one in manifest.listings} if manifest else set()
        known = signed or manifest
        try:
            record = deployment_record(
                self._settings,
                None if known is None else known.watchlist,
                len(listed) or "unknown",
                "unknown" if signed is None else signed.threshold.threshold_id,
                running=False,
                written=self._notebook.fault is None,
            )
        except StorageError as error:
            self._notebook.failed(error)
            return
        if self._sink.submit_record(record):
            self._obedience.record_submitted()

    def _newest(self, signed: Authorisation | None) -> Manifest | None:
        """Return the manifest of this list; where it is not known, that of the newest erased."""
        found = [
            one
            for one in map(_read, (self._state / FOLDER).glob("*.json"))
            if one is not None
            and (
                signed is None
                or (one.deployment, one.watchlist) == (signed.deployment, signed.watchlist)
            )
        ]
        return max(found, key=_when, default=None)


def _when(manifest: Manifest) -> tuple[str, str]:
    """What was erased comes before what is held, the newest before older ones."""
    erased, loaded = (
        "" if at == "unknown" else at for at in (manifest.erased_at, manifest.loaded_at)
    )
    return erased, loaded


def _read(path: Path) -> Manifest | None:
    try:
        return decode_manifest(path.read_bytes())
    except (OSError, MessageError):
        return None

"""`Unlocks`: the keys of deployments, and who gets them (R49, R24).

A key lies in the database wrapped for the desk's own keys; who has the database alone has nothing.
A device that asks gets it wrapped for the keys in its request when every one of these holds:

1. it is registered and not revoked;
2. it was not reported stolen;
3. the key of its deployment is kept, and was not destroyed;
4. it is one of the devices of that deployment;
5. it does not ask for a list that a newer one has superseded (R8).

Whatever is answered is written down before it leaves. Any gateway may answer, and twice: an answer
is of use to one question only. A key that was destroyed is in no memory either: it is read for
every answer.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, delete, exists, insert, select, update

from device.errors import ConfigurationError, MessageError
from device.protocol.alert import ListVersion
from device.protocol.envelope import desk_source
from device.protocol.identifiers import utc_text, uuid7
from device.protocol.keys import PrivateKeys, PublicKeys
from device.protocol.unlocking import (
    Refusal,
    Unlock,
    UnlockData,
    UnlockRequest,
    UnlockRequestData,
    unwrap_key,
    wrap_key,
)
from tools.desk.gateway.database import Database
from tools.desk.gateway.tables import (
    deployment_devices,
    deployment_keys,
    deployment_lists,
    devices,
    stolen,
    unlocks,
)

log = logging.getLogger(__name__)

Outcome = Literal["unlocked"] | Refusal
UNLOCKED: Final = "unlocked"
_OVERWRITTEN = b"\0" * 2_048


@dataclass(frozen=True, slots=True)
class Current:
    """The list of a deployment that is in force. sealed_sha256: of its file."""

    watchlist: ListVersion
    sealed_sha256: str


@dataclass(frozen=True, slots=True)
class Unlocked:
    """An answer that was given, as a person looks at it."""

    source: str
    request: str
    outcome: str
    deployment: str
    watchlist: str
    version: int
    sealed_sha256: str
    answered_at: str


class Unlocks:
    """The keys of all deployments. Every method raises StorageError. now_ns: wall clock."""

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def keep(
        self,
        deployment: str,
        devices: Sequence[str],
        deployment_key: bytes,
        desk_public_keys: PublicKeys,
        current: Current | None = None,
    ) -> None:
        """Keep a deployment's key for its devices, and for no others from now on.

        devices: their sources. current: the list in force; whoever asks for an older one, or for
        another file of the same version, gets no key. A newer one may come on a stick before the
        gateway hears of it. None: any list. Again, it replaces all of this. Raises
        ConfigurationError when the key of this deployment was destroyed, MessageError when it is no
        key.
        """
        place = desk_source(desk_public_keys)
        row = {
            "wrapped_key": wrap_key(deployment_key, desk_public_keys, place, deployment),
            "kept_at": utc_text(self._now_ns()),
        }
        with self._database.writing() as connection:
            made = connection.execute(
                self._database.insert_or_ignore(deployment_keys), {"deployment": deployment, **row}
            )
            if made.rowcount <= 0:
                kept = connection.execute(
                    update(deployment_keys)
                    .where(
                        deployment_keys.c.deployment == deployment,
                        deployment_keys.c.destroyed_at.is_(None),
                    )
                    .values(row)
                )
                if not kept.rowcount:
                    raise ConfigurationError(
                        f"The deployment {deployment} has ended and its key was destroyed: begin a "
                        "new one."
                    )
            connection.execute(
                delete(deployment_devices).where(deployment_devices.c.deployment == deployment)
            )
            for source in sorted(set(devices)):
                member = {"deployment": deployment, "source": source}
                connection.execute(insert(deployment_devices).values(member))
            connection.execute(
                delete(deployment_lists).where(deployment_lists.c.deployment == deployment)
            )
            if current is not None:
                connection.execute(insert(deployment_lists).values(_row(deployment, current)))

    def elsewhere(self, deployment: str) -> set[str]:
        """Return the devices of all other deployments that go on."""
        query = select(deployment_devices.c.source).where(
            deployment_devices.c.deployment != deployment
        )
        with self._database.reading() as connection:
            return set(connection.execute(query).scalars())

    def stolen(self) -> set[str]:
        """Return the devices that were reported stolen."""
        with self._database.reading() as connection:
            return set(connection.execute(select(stolen.c.source)).scalars())

    def destroy(self, deployment: str) -> None:
        """Overwrite a deployment's key and remove it, for good (R24); it is no error to repeat it.

        A deployment that this desk never had a key of is closed all the same. What the database's
        log still holds is overwritten now or, while somebody reads it, by a gateway soon after.
        """
        now = utc_text(self._now_ns())
        this = deployment_keys.c.deployment == deployment
        with self._database.writing() as connection:
            row = {"deployment": deployment, "kept_at": now, "destroyed_at": now}
            connection.execute(self._database.insert_or_ignore(deployment_keys), row)
            connection.execute(
                update(deployment_keys)
                .where(this, deployment_keys.c.wrapped_key.is_not(None))
                .values(wrapped_key=_OVERWRITTEN, destroyed_at=now, overwritten_at=None)
            )
        with self._database.writing() as connection:
            connection.execute(update(deployment_keys).where(this).values(wrapped_key=None))
            connection.execute(
                delete(deployment_devices).where(deployment_devices.c.deployment == deployment)
            )
        self.overwrite_destroyed()

    def overwrite_destroyed(self) -> bool:
        """Remove what was destroyed from the database's log, too; False: ask again later."""
        open_rows = (
            deployment_keys.c.destroyed_at.is_not(None),
            deployment_keys.c.overwritten_at.is_(None),
        )
        with self._database.reading() as connection:
            if not connection.execute(select(exists().where(*open_rows))).scalar():
                return True
        if not self._database.overwrite_erased():
            return False
        with self._database.writing() as connection:
            now = utc_text(self._now_ns())
            connection.execute(update(deployment_keys).where(*open_rows).values(overwritten_at=now))
        return True

    def answer(self, source: str, request: UnlockRequest, desk: PrivateKeys) -> Unlock:
        """Decide about a device's request, write it down, and return what it is told."""
        now_ns = self._now_ns()
        with self._database.writing() as connection:
            decided = self._decided(connection, source, request.data, desk)
            outcome: str = UNLOCKED if isinstance(decided, bytes) else decided
            self._write_down(connection, source, request, outcome, utc_text(now_ns))
        log.info("%s asks for the key of %s: %s", source, request.data.deployment, outcome)
        data = request.data
        wrapped, refusal = None, None
        if isinstance(decided, bytes):
            wrapped = wrap_key(decided, data.keys, source, data.deployment)
        else:
            refusal = decided
        content = UnlockData(source, request.id, data.nonce, data.deployment, wrapped, refusal)
        return Unlock(uuid7(now_ns), desk_source(desk.public), utc_text(now_ns), content)

    def listing(self) -> list[Unlocked]:
        """Return all answers, the newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(select(unlocks).order_by(unlocks.c.answered_at.desc())).all()
        return [Unlocked(**row._mapping) for row in rows]  # noqa: SLF001 - SQLAlchemy's public name

    def _decided(
        self, connection: Connection, source: str, asked: UnlockRequestData, desk: PrivateKeys
    ) -> bytes | Refusal:
        """Return the deployment's key, or why the device does not get it."""
        deployment = asked.deployment
        if connection.execute(select(exists().where(stolen.c.source == source))).scalar():
            return "reported stolen"
        # Locked, so that on PostgreSQL a key that is being destroyed is waited for, not read.
        row = connection.execute(
            select(deployment_keys.c.wrapped_key, deployment_keys.c.destroyed_at)
            .where(deployment_keys.c.deployment == deployment)
            .with_for_update()
        ).first()
        if row is None or not _entitled(connection, source, deployment, row.destroyed_at):
            return "unknown"
        if row.destroyed_at is not None or row.wrapped_key is None:
            return "ended"
        if _superseded(connection, asked):
            return "unknown"
        try:
            return unwrap_key(row.wrapped_key, desk, desk_source(desk.public), deployment)
        except MessageError as error:
            log.error(  # noqa: TRY400 - a sentence, no traceback
                "The key of the deployment %s cannot be opened with this desk's keys (%s): publish "
                "its list again with --config.",
                deployment,
                error,
            )
            return "unknown"

    def _write_down(
        self, connection: Connection, source: str, request: UnlockRequest, outcome: str, now: str
    ) -> None:
        data = request.data
        row = {
            "source": source,
            "request": request.id,
            "outcome": outcome,
            "deployment": data.deployment,
            "watchlist": data.watchlist.id,
            "version": data.watchlist.version,
            "sealed_sha256": data.sealed_sha256,
            "answered_at": now,
        }
        connection.execute(self._database.insert_or_ignore(unlocks), row)


def _row(deployment: str, current: Current) -> dict[str, str | int]:
    return {
        "deployment": deployment,
        "watchlist": current.watchlist.id,
        "version": current.watchlist.version,
        "sealed_sha256": current.sealed_sha256,
    }


def _superseded(connection: Connection, asked: UnlockRequestData) -> bool:
    """Return whether a device asks for a list that is not in force any more."""
    query = select(deployment_lists).where(deployment_lists.c.deployment == asked.deployment)
    kept = connection.execute(query).first()
    if kept is None:
        return False
    if asked.watchlist.id != kept.watchlist or asked.watchlist.version < kept.version:
        return True
    same_version: bool = asked.watchlist.version == kept.version
    return same_version and asked.sealed_sha256 != str(kept.sealed_sha256)


def _entitled(
    connection: Connection, source: str, deployment: str, destroyed_at: str | None
) -> bool:
    """Return whether a device is listened to, and one of the deployment's while there is one."""
    known = exists().where(devices.c.source == source, devices.c.revoked_at.is_(None))
    if not connection.execute(select(known)).scalar():
        return False
    if destroyed_at is not None:
        return True  # it is told that its deployment has ended; who belonged to it is gone
    member = exists().where(
        deployment_devices.c.deployment == deployment, deployment_devices.c.source == source
    )
    return bool(connection.execute(select(member)).scalar())

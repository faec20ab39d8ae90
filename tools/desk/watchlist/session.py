"""A deployment that somebody has opened: locked against others, readable, saved in one step."""

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from device.errors import ConfigurationError, StorageError
from device.protocol.watchlist import Reference
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.keepers import open_identity
from tools.desk.watchlist.register import (
    Register,
    decode_register,
    decode_templates,
    encode_register,
    encode_templates,
)
from tools.desk.watchlist.vault import Vault, destroy_leftovers, held_alone

_NS = 10**9


class Session:
    """An opened deployment. now_ns: wall clock when it was opened."""

    def __init__(self, deployment: Deployment, identity: Identity, now_ns: int) -> None:
        """Raises StorageError: not here, not for us; ConfigurationError: other recipients."""
        self.deployment = deployment
        self.now_ns = now_ns
        self.vault = Vault.of(deployment.workplace.recipients, identity)
        if not deployment.register.exists():
            raise StorageError(
                f"The deployment {deployment.id} has no register: it has ended. Only its manifest "
                "is left (`passerby-desk rights`)."
            )
        self.register = decode_register(self.vault.read(deployment.register))
        self._refuse_foreign()

    @property
    def today(self) -> date:
        """The day in UTC."""
        return day_of(self.now_ns)

    def keep(self, register: Register) -> None:
        """Replace the register. Raises StorageError; the old one stays then."""
        self.vault.write(self.deployment.register, encode_register(register))
        self.register = register

    def templates(self) -> list[Reference]:
        """Return the templates of all entries. Raises StorageError."""
        if not self.deployment.templates.exists():
            return []
        listed = {entry.reference_id for entry in self.register.entries}
        found = decode_templates(self.vault.read(self.deployment.templates))
        # A command that was killed between the two files may have left one too many.
        return [one for one in found if one.reference_id in listed]

    def keep_templates(self, references: list[Reference]) -> None:
        """Replace the templates. Raises StorageError; the old ones stay then."""
        self.vault.write(self.deployment.templates, encode_templates(references))

    def refuse_ended(self) -> None:
        """Raise StorageError once the key is gone: the list cannot be made readable again."""
        if self.deployment.has_ended:
            raise StorageError(
                f"The deployment {self.deployment.id} is ending: its key is destroyed. Finish with "
                "`passerby-desk watchlist end`; a new list needs a new deployment."
            )

    def _refuse_foreign(self) -> None:
        if self.register.deployment != self.deployment.id:
            raise StorageError(
                f"{self.deployment.register} belongs to the deployment "
                f"{self.register.deployment}: put it back where it was."
            )
        if sorted(self.register.recipients) != sorted(self.vault.recipients):
            raise ConfigurationError(
                f"{self.deployment.workplace.recipients} names other keepers than this deployment "
                "was made for. If you know all of them: `passerby-desk watchlist keeper admit`."
            )


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Session]:
    """Open the deployment of --deployment with --keeper, alone, while the block runs.

    Raises ConfigurationError, StorageError.
    """
    deployment = Deployment.at(options.deployment)
    passphrase_file: Path | None = options.keeper_passphrase_file
    with held_alone(deployment.lock):
        destroy_leftovers(deployment.folder, deployment.written)
        identity = open_identity(options.keeper, passphrase_file)
        yield Session(deployment, identity, time.time_ns())


@dataclass(frozen=True, slots=True)
class Ending:
    """A deployment that is to end. session: None once its register is gone. now_ns: wall clock."""

    deployment: Deployment
    vault: Vault
    session: Session | None
    now_ns: int


@contextmanager
def opened_to_end(options: argparse.Namespace) -> Iterator[Ending]:
    """Open a deployment as `opened` does, or what a killed or incomplete end has left of it."""
    deployment = Deployment.at(options.deployment)
    with held_alone(deployment.lock):
        identity = open_identity(options.keeper, options.keeper_passphrase_file)
        now_ns = time.time_ns()
        vault = Vault.of(deployment.workplace.recipients, identity)
        session = None
        try:
            if deployment.register.exists():
                session = Session(deployment, identity, now_ns)
        except StorageError:
            # Half destroyed by an earlier end. While there is a key it may be a good one, cut.
            if not deployment.has_ended:
                raise
        yield Ending(deployment, vault, session, now_ns)


def day_of(now_ns: int) -> date:
    """Return the day in UTC of nanoseconds since 1970."""
    return datetime.fromtimestamp(now_ns // _NS, UTC).date()


def start_of(day: date) -> str:
    """Return the first moment of a day in UTC, as messages have it."""
    return f"{day.isoformat()}T00:00:00.000Z"

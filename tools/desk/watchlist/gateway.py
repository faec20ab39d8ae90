"""The desk's side of the gateway, by --config: keys, bundles and orders in its database."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from device.errors import PasserbyError, StorageError
from device.protocol.authorisation import Authorisation
from tools.desk.shown import shown_device
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.public import repository_of
from tools.desk.watchlist.vault import PACKING


class Gateway:
    """The gateway's database and the desk's public keys. Loads the database late."""

    def __init__(self, config: Path) -> None:
        """Raises ConfigurationError, StorageError."""
        configuration: Any = import_module("tools.desk.gateway.configuration")
        settings = configuration.read_desk_configuration(config)
        database: Any = import_module("tools.desk.gateway.database")
        self.database: Any = database.Database(settings.desk.database)
        keys: Any = import_module("tools.desk.keys")
        self.public: Any = keys.read_private_keys(Path(settings.desk.keys)).public
        self._unlocks: Any = import_module("tools.desk.gateway.unlocking").Unlocks(self.database)
        self._bundles: Any = import_module("tools.desk.gateway.bundles").Bundles(self.database)

    def keep(
        self,
        deployment: Deployment,
        authorisation: Authorisation,
        deployment_key: bytes,
        sealed_sha256: str,
    ) -> None:
        """Let the gateway open this version, and no older one, for the authorised devices."""
        current: Any = import_module("tools.desk.gateway.unlocking").Current
        self._unlocks.keep(
            deployment.id,
            authorisation.devices,
            deployment_key,
            self.public,
            current(authorisation.watchlist, sealed_sha256),
        )

    def offer(self, deployment: Deployment, authorisation: Authorisation) -> None:
        """Offer what is published now, and nothing of what was: a revoked entry must not travel."""
        try:
            with TemporaryDirectory(dir=deployment.folder, prefix=PACKING) as folder:
                repository_of(deployment).copy_to(Path(folder))
                archive = import_module("device.bundles.archive").pack(Path(folder))
        except OSError as error:
            raise StorageError(
                f"The bundle cannot be packed in {deployment.folder} ({error.strerror or error}): "
                "free some space, and repeat the command."
            ) from error
        self._bundles.offer(authorisation.devices, archive)

    def revoke(self, devices: Sequence[str], reason: str, reference_id: str) -> list[str]:
        """Order every device to look for a reference no more, and take back what is offered.

        Return what could not be done: one device must not stop the others. One that was reported
        stolen gets no order, which is no fault.
        """
        stolen = self._stolen()
        steps: list[Callable[[], object]] = [lambda: self._bundles.withdraw(list(devices))]
        for source in devices:
            if source in stolen:
                print(f"{shown_device(source)}: reported stolen; it gets no order but to end.")
                continue
            steps.append(lambda one=source: self._order(one, "revoke", reason, reference_id))  # type: ignore[misc]
        return _faults(steps)

    def end(self, deployment: Deployment, devices: Sequence[str], reason: str) -> list[str]:
        """Order devices to end, and offer them nothing; return what could not be done.

        Those that another deployment of this gateway names are left to that one.
        """
        steps: list[Callable[[], object]] = []
        try:
            elsewhere = self._unlocks.elsewhere(deployment.id)
        except PasserbyError as error:
            return [str(error)]
        for source in devices:
            if source in elsewhere:
                print(f"{shown_device(source)}: belongs to another deployment now; not told.")
                continue
            steps.append(lambda one=source: self._order(one, "end", reason))  # type: ignore[misc]
            steps.append(lambda one=source: self._bundles.withdraw([one]))  # type: ignore[misc]
        return _faults(steps)

    def destroy(self, deployment: Deployment) -> list[str]:
        """Destroy the deployment's key there; return what could not be done."""
        return _faults([lambda: self._unlocks.destroy(deployment.id)])

    def _order(
        self, source: str, action: str, reason: str, reference_id: str | None = None
    ) -> None:
        """Give a device an order that holds for a week."""
        book: Any = import_module("tools.desk.gateway.orderbook").Orders(self.database)
        longest: int = import_module("device.protocol.order").LONGEST_VALIDITY_S
        book.command(self.public, source, float(longest), action, reason, reference_id)

    def _stolen(self) -> set[str]:
        try:
            found: set[str] = self._unlocks.stolen()
        except PasserbyError:
            # Whoever was stolen then is named with the fault of the order itself.
            return set()
        return found


def _faults(steps: Sequence[Callable[[], object]]) -> list[str]:
    faults = []
    for step in steps:
        try:
            step()
        except PasserbyError as error:
            faults.append(str(error))
    return faults

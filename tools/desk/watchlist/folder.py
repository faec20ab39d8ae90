"""Where things of a watchlist lie. Names only; no I/O but listing a folder.

In a <workplace>:

    recipients.txt       public keys of those who may read (`vault`)
    rights/              manifests and requests, which stay (R27, R38)
    rights.key.age

and in <workplace>/<deployment>:

    register.age         names, birth dates, why they are listed
    templates.age        by reference id, without a name (R56)
    authorisation.age    the draft of what two people sign
    deployment.key.age   32 bytes; without them the list is noise
    sealed.json          counts and digests, for those who sign
    gateway.json         devices for which a gateway has the key (`marks`)
    withdrawn            what is published must not be given out any more (`marks`)
    bundle/              the signed repository: public files only
"""

import uuid
from dataclasses import dataclass
from pathlib import Path

from device.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Workplace:
    """The folder of one desk, with all its deployments."""

    folder: Path

    @property
    def recipients(self) -> Path:
        """Public keys of the keepers, one a line."""
        return self.folder / "recipients.txt"

    @property
    def rights(self) -> Path:
        """What outlives every list: manifests and requests."""
        return self.folder / "rights"

    @property
    def manifests(self) -> Path:
        """What answers "was this person listed?" once a list is erased (R27)."""
        return self.rights / "manifests"

    @property
    def rights_key(self) -> Path:
        """The key of `tools.desk.rights`, encrypted for the keepers."""
        return self.folder / "rights.key.age"

    def deployment(self, identifier: str) -> "Deployment":
        """Return the deployment with that id, whether it is there or not."""
        return Deployment(self.folder / identifier)

    def deployments(self) -> list["Deployment"]:
        """Return all deployments that are there, ended ones included, the oldest first."""
        if not self.folder.is_dir():
            return []
        return [
            Deployment(path)
            for path in sorted(self.folder.iterdir())
            if path.is_dir() and _is_uuid(path.name)
        ]


@dataclass(frozen=True, slots=True)
class Deployment:
    """The folder of one deployment."""

    folder: Path

    @classmethod
    def at(cls, folder: Path) -> "Deployment":
        """Return the deployment of an existing folder. Raises ConfigurationError."""
        found = folder.absolute()
        if not found.is_dir() or not _is_uuid(found.name):
            raise ConfigurationError(
                f"{folder} is no folder of a deployment: `passerby-desk watchlist new` makes one "
                "and prints its name."
            )
        return cls(found)

    @property
    def id(self) -> str:
        """The deployment's id, as in the authorisation."""
        return self.folder.name

    @property
    def workplace(self) -> Workplace:
        """The desk that it belongs to."""
        return Workplace(self.folder.parent)

    @property
    def register(self) -> Path:
        """Names, birth dates and reasons; encrypted. Gone once the deployment has ended."""
        return self.folder / "register.age"

    @property
    def templates(self) -> Path:
        """Templates by reference id; encrypted, apart from the names (R56)."""
        return self.folder / "templates.age"

    @property
    def authorisation(self) -> Path:
        """The draft of the authorisation; encrypted."""
        return self.folder / "authorisation.age"

    @property
    def key(self) -> Path:
        """The deployment key; encrypted. Gone once the deployment has ended."""
        return self.folder / "deployment.key.age"

    @property
    def repository(self) -> Path:
        """The TUF repository: public files only."""
        return self.folder / "bundle"

    @property
    def shown(self) -> Path:
        """What those who sign are shown of the sealed list, without a name: counts and digests."""
        return self.folder / "sealed.json"

    @property
    def at_gateway(self) -> Path:
        """Which devices a gateway gives the key to; gone once it was told that it is over."""
        return self.folder / "gateway.json"

    @property
    def withdrawn(self) -> Path:
        """There while what is published lists somebody who was suspended or revoked since."""
        return self.folder / "withdrawn"

    @property
    def lock(self) -> Path:
        """Held by the one command that writes."""
        return self.folder / ".lock"

    @property
    def written(self) -> tuple[str, ...]:
        """Names of all files that are replaced in one step: a kill may leave temporary ones."""
        secret = (self.register, self.templates, self.authorisation, self.key)
        public = (self.shown, self.at_gateway, self.withdrawn)
        return tuple(path.name for path in (*secret, *public))

    @property
    def has_ended(self) -> bool:
        """Whether its key is gone: then nothing of it can be opened or published again."""
        return not self.key.exists()


def _is_uuid(name: str) -> bool:
    try:
        return str(uuid.UUID(name)) == name
    except ValueError:
        return False

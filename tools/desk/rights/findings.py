"""What the desk holds of a person, for the officer who decides: lists, and entries of registers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct

from device.errors import StorageError
from tools.desk.rights.journal import Journal
from tools.desk.rights.keeping import rights_key_of
from tools.desk.rights.manifests import Found, Manifests
from tools.desk.rights.names import Agreement, Subject, agreement, digests_of
from tools.desk.rights.requests import Request
from tools.desk.rights.witness import Witness
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.entry import Entry
from tools.desk.watchlist.folder import Deployment, Workplace
from tools.desk.watchlist.register import Register
from tools.desk.watchlist.session import Session
from tools.desk.watchlist.vault import Vault, held_alone

UNCERTAIN: Final = "two words of the name"


@dataclass(frozen=True, slots=True)
class Keeper:
    """A workplace that a keeper has opened. now_ns: wall clock."""

    workplace: Workplace
    identity: Identity
    vault: Vault
    now_ns: int


class Entered(Struct, frozen=True):
    """An entry of a register that agrees with a request, whether or not it was ever published."""

    deployment: str
    entry: Entry
    agreement: Agreement | Literal["reference id"]


@dataclass(frozen=True, slots=True)
class Findings:
    """listed: on lists that were published, running or erased. entered: in registers now.

    deployments: how many were searched, by their manifests or registers.
    """

    listed: list[Found]
    entered: list[Entered]
    deployments: int

    def certain(self, confirmed: frozenset[str]) -> list[Found]:
        """Return the listings that are the person's.

        The whole name agrees, or the reference was asked for, or an officer says so. confirmed: the
        reference ids of which one does.
        """
        return [
            one
            for one in self.listed
            if one.agreement != UNCERTAIN or one.listing.reference_id in confirmed
        ]

    def certainly_entered(self, confirmed: frozenset[str]) -> list[Entered]:
        """Return the entries that are the person's, by the same rule."""
        return [
            one
            for one in self.entered
            if one.agreement != UNCERTAIN or one.entry.reference_id in confirmed
        ]

    @property
    def uncertain(self) -> list[str]:
        """The references of which only two words of the name agree, each once."""
        listed = {one.listing.reference_id for one in self.listed if one.agreement == UNCERTAIN}
        entered = {one.entry.reference_id for one in self.entered if one.agreement == UNCERTAIN}
        return sorted(listed | entered)


def manifests_of(workplace: Workplace, vault: Vault) -> Manifests:
    """Return the desk's manifests; their key is made now where there are none yet.

    Raises StorageError: also when the key is lost, for no manifest could be searched by name then.
    """
    witness = Witness(Journal(workplace.folder))
    return Manifests(workplace.manifests, rights_key_of(workplace, vault), witness)


def search(
    request: Request, keeper: Keeper, from_ns: int = 0, until_ns: int = 2**63 - 1
) -> Findings:
    """Search everything that the desk holds. Raises StorageError rather than leave a part out."""
    workplace, vault = keeper.workplace, keeper.vault
    manifests = manifests_of(workplace, vault)
    key = rights_key_of(workplace, vault)
    listed = manifests.find(
        subject=request.subject,
        reference_id=request.reference_id,
        from_ns=from_ns,
        until_ns=until_ns,
    )
    entered: list[Entered] = []
    searched = {one.deployment for one in manifests.all()}
    for deployment in open_deployments(workplace):
        with held_alone(deployment.lock):
            session = Session(deployment, keeper.identity, keeper.now_ns)
            entered += _entered(session.register, request, key)
        searched.add(deployment.id)
    return Findings(listed, entered, len(searched))


def open_deployments(workplace: Workplace) -> list[Deployment]:
    """Return the deployments that still have a register. Raises StorageError when one was lost."""
    found = []
    for deployment in workplace.deployments():
        if deployment.register.exists():
            found.append(deployment)
        elif not deployment.has_ended and not _never_began(deployment):
            raise StorageError(
                f"{deployment.register} is gone though the deployment has not ended: take it from "
                "the backup. Until then no request can be answered."
            )
    return found


def _never_began(deployment: Deployment) -> bool:
    """Whether there is a key and nothing else: the command that makes both was interrupted.

    A lock, or what a write that was killed left, is nothing.
    """
    there = {path.name for path in deployment.folder.iterdir() if not path.name.startswith(".")}
    return there <= {deployment.key.name}


def _entered(register: Register, request: Request, key: bytes) -> Iterator[Entered]:
    for entry in register.entries:
        if request.reference_id is not None and entry.reference_id == request.reference_id:
            yield Entered(register.deployment, entry, "reference id")
        if request.subject is None:
            continue
        listed = Subject(entry.name, entry.born_on.isoformat())
        agrees = agreement(request.subject, frozenset(digests_of(listed, key)), key)
        if agrees is not None:
            yield Entered(register.deployment, entry, agrees)

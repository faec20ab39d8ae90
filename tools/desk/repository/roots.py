"""The root of trust: whose keys sign what. Rules only; no I/O.

A root is accepted here only in one shape: three root keys of three people, of which two sign; the
authorising officer's and the custodian's key for targets, of which both sign (R5); the publishing
key alone for snapshot and timestamp; consistent snapshots. No key has two offices.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.api.metadata import Role as TufRole
from tuf.api.serialization import DeserializationError

from device.errors import ConfigurationError
from device.protocol.authorisation import same_person
from device.protocol.bundle import (
    ROOT_KEYS,
    ROOT_THRESHOLD,
    TARGETS_KEYS,
    TARGETS_THRESHOLD,
)
from tools.desk.repository.holders import PublicHalf, Role, half_of
from tools.desk.repository.times import moment

LARGEST_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Keyholders:
    """The six keys of a root. Made only of keys that may stand together; ConfigurationError."""

    root: tuple[PublicHalf, ...]
    officer: PublicHalf
    custodian: PublicHalf
    publishing: PublicHalf

    def __post_init__(self) -> None:
        if len(self.root) != ROOT_KEYS:
            raise ConfigurationError(f"A root has {ROOT_KEYS} root keys, not {len(self.root)}.")
        self._check_offices()
        for one, other in combinations(self.everybody, 2):
            if one.keyid == other.keyid:
                raise ConfigurationError(
                    f"{one.holder} and {other.holder} hold one and the same key, as {one.role} and "
                    f"{other.role}: every office needs a key of its own."
                )
        for one, other in combinations(self.root, 2):
            if same_person(one.holder, other.holder):
                raise ConfigurationError(
                    f"{one.holder} holds two root keys: three people hold them, so that no one "
                    "can make a root alone."
                )
        if same_person(self.officer.holder, self.custodian.holder):
            raise ConfigurationError(
                f"{self.officer.holder} is officer and custodian: two people sign a list (R5)."
            )

    @property
    def everybody(self) -> tuple[PublicHalf, ...]:
        """All six, root keys first."""
        return (*self.root, self.officer, self.custodian, self.publishing)

    def _check_offices(self) -> None:
        roots: list[Role] = ["root"] * ROOT_KEYS
        offices: list[Role] = [*roots, "officer", "custodian", "publishing"]
        for half, office in zip(self.everybody, offices, strict=True):
            if half.role != office:
                raise ConfigurationError(
                    f"The key of {half.holder} was made as a key of the {half.role}, so it cannot "
                    f"be that of the {office}."
                )


def make_root(keys: Keyholders, version: int, expires_ns: int) -> Metadata[Root]:
    """Return an unsigned root."""
    root = Root(version=version, expires=moment(expires_ns), consistent_snapshot=True)
    for half in keys.root:
        root.add_key(half.key(), Root.type)
    root.roles[Root.type].threshold = ROOT_THRESHOLD
    for half in (keys.officer, keys.custodian):
        root.add_key(half.key(), Targets.type)
    root.roles[Targets.type].threshold = TARGETS_THRESHOLD
    for role in (Snapshot.type, Timestamp.type):
        root.add_key(keys.publishing.key(), role)
    return Metadata(root)


def holders_of(root: Root) -> Keyholders:
    """Return whose keys a root names. Raises ConfigurationError when it is not of the one shape."""
    try:
        halves = {name: _halves(root, role) for name, role in root.roles.items()}
        thresholds = {name: role.threshold for name, role in root.roles.items()}
    except (KeyError, ConfigurationError) as error:
        raise ConfigurationError(f"This root is none of Passerby's: {error}.") from error
    wanted = {Root.type: ROOT_THRESHOLD, Targets.type: TARGETS_THRESHOLD}
    if (
        thresholds != wanted | {Snapshot.type: 1, Timestamp.type: 1}
        or len(halves[Targets.type]) != TARGETS_KEYS
        or [half.keyid for half in halves[Snapshot.type]]
        != [half.keyid for half in halves[Timestamp.type]]
        or len(halves[Snapshot.type]) != 1
        or not root.consistent_snapshot
    ):
        raise ConfigurationError(
            "This root is none of Passerby's: it must ask for two of three root keys and for the "
            "signatures of officer and custodian both (R5)."
        )
    officer, custodian = halves[Targets.type]
    return Keyholders(tuple(halves[Root.type]), officer, custodian, halves[Snapshot.type][0])


def read_root(content: bytes) -> Metadata[Root]:
    """Return a root of the one shape, whoever signed it. Raises ConfigurationError."""
    try:
        found: Metadata[Root] = Metadata.from_bytes(content)
    except DeserializationError as error:
        raise ConfigurationError(f"This root is damaged ({error}).") from error
    if not isinstance(found.signed, Root):
        raise ConfigurationError(f"This is no root, but {found.signed.type} metadata.")
    holders_of(found.signed)
    return found


def read_chain(contents: Sequence[bytes]) -> list[Metadata[Root]]:
    """Return the roots of a chain, the oldest first, each signed as the one before it asks.

    Raises ConfigurationError.
    """
    if not contents:
        raise ConfigurationError(
            "There is no root of trust: `passerby-desk root create` makes one."
        )
    chain = [read_root(content) for content in contents]
    previous: Root | None = None
    for found in chain:
        if still_missing(found, previous):
            raise ConfigurationError(
                f"Root {found.signed.version} is not signed as it must be: "
                + "; ".join(still_missing(found, previous))
                + "."
            )
        previous = found.signed
    return chain


def still_missing(draft: Metadata[Root], previous: Root | None) -> list[str]:
    """Return what signatures a root still lacks, in words; empty when it is complete.

    previous: the root before it, whose holders must agree too; None for the first.
    Raises ConfigurationError when the two do not follow each other.
    """
    try:
        result = draft.signed.get_root_verification_result(
            previous, draft.signed_bytes, draft.signatures
        )
    except ValueError as error:
        raise ConfigurationError(
            f"Root {draft.signed.version} does not follow root "
            f"{previous.version if previous else 0}: one is missing between them."
        ) from error
    verdicts = [(result.first, "old "), (result.second, "new ")]
    if previous is None:
        verdicts = [(result.second, "")]
    return [
        f"{verdict.missing} more of the {words}root keys ({_names(verdict.unsigned)})"
        for verdict, words in verdicts
        if verdict.missing
    ]


def may_sign(draft: Metadata[Root], previous: Root | None) -> dict[str, Key]:
    """Return, by keyid, the keys whose signatures count for a root."""
    roots = [draft.signed] if previous is None else [previous, draft.signed]
    return {keyid: root.keys[keyid] for root in roots for keyid in root.roles[Root.type].keyids}


def _halves(root: Root, asked: TufRole) -> list[PublicHalf]:
    return [half_of(root.keys[keyid]) for keyid in asked.keyids]


def _names(keys: dict[str, Key]) -> str:
    return ", ".join(half_of(key).holder for key in keys.values())

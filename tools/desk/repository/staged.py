"""What lies ready to be signed: the next targets, and who has signed them. Rules only."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets

from device.errors import ConfigurationError, MessageError
from device.protocol.authorisation import Authorisation, decode_authorisation, same_person
from device.protocol.bundle import AUTHORISATION, LARGEST_TARGET_BYTES, TARGET_NAMES
from tools.desk.repository.holders import half_of
from tools.desk.repository.published import Published
from tools.desk.repository.roots import holders_of
from tools.desk.repository.times import moment, shown

_AGAIN = "Stage it again, and let both sign what is staged then."


@dataclass(frozen=True, slots=True)
class Staged:
    """The next targets. root: the newest, which says whose signatures count."""

    metadata: Metadata[Targets]
    root: Root

    @property
    def version(self) -> int:
        """Version that it will have when it is published."""
        return self.metadata.signed.version

    @property
    def digest(self) -> str:
        """SHA-256 of what is signed, the same before and after a signature."""
        return hashlib.sha256(self.metadata.signed_bytes).hexdigest()

    @property
    def targets(self) -> dict[str, TargetFile]:
        """The files by name, with length and hash."""
        return self.metadata.signed.targets

    @property
    def signed_by(self) -> list[str]:
        """Holders whose good signatures are there, the officer first."""
        return [half_of(key).holder for key in self._keys if self._is_good(key)]

    @property
    def missing(self) -> list[str]:
        """Holders whose signatures are not there, each with the office."""
        return [
            f"{half.holder} ({half.role})"
            for half in (half_of(key) for key in self._keys if not self._is_good(key))
        ]

    def is_same(self, other: Metadata[Targets]) -> bool:
        """Return whether these targets say the same; signatures do not count."""
        return self.metadata.signed_bytes == other.signed_bytes

    def key(self, keyid: str) -> Key:
        """Return the key of one who may still sign. Raises ConfigurationError."""
        key = next((key for key in self._keys if key.keyid == keyid), None)
        if key is None:
            names = " and ".join(half_of(key).holder for key in self._keys)
            raise ConfigurationError(
                f"This key may not sign a watchlist here: root {self.root.version} names the keys "
                f"of {names}."
            )
        if self._is_good(key):
            raise ConfigurationError(
                f"{half_of(key).holder} has signed this already"
                + (f"; {self.missing[0]} is missing." if self.missing else ".")
            )
        return key

    def check_signatures(self) -> None:
        """Raise ConfigurationError when a signature is there that what is staged does not bear."""
        for key in self._keys:
            if key.keyid in self.metadata.signatures and not self._is_good(key):
                raise ConfigurationError(
                    f"What is staged is not what {half_of(key).holder} has signed. {_AGAIN}"
                )

    def check_files(self, contents: Mapping[str, bytes]) -> None:
        """Raise ConfigurationError unless these are the files that the metadata list."""
        for name, target in self.targets.items():
            try:
                target.verify_length_and_hashes(contents[name])
            except (KeyError, RepositoryError) as error:
                raise ConfigurationError(
                    f"The staged {name} is not the file that is to be signed. {_AGAIN}"
                ) from error
        self._check_people(contents)

    def _check_people(self, contents: Mapping[str, bytes]) -> None:
        """Whoever the authorisation names must be who signs: R5 asks for named people."""
        try:
            names: Authorisation = decode_authorisation(contents[AUTHORISATION])
        except MessageError as error:
            raise ConfigurationError(
                f"The staged authorisation cannot be signed: {error}"
            ) from error
        holders = holders_of(self.root)
        for office, named, half in (
            ("officer", names.officer, holders.officer),
            ("custodian", names.custodian, holders.custodian),
        ):
            if not same_person(named, half.holder):
                raise ConfigurationError(
                    f"The authorisation names {named} as its {office}, but the {office}'s key is "
                    f"held by {half.holder}: correct the authorisation, or change the key with "
                    "`passerby-desk root rotate` (R5)."
                )

    @property
    def _keys(self) -> list[Key]:
        return [self.root.keys[keyid] for keyid in self.root.roles[Targets.type].keyids]

    def _is_good(self, key: Key) -> bool:
        signature = self.metadata.signatures.get(key.keyid)
        if signature is None:
            return False
        try:
            key.verify_signature(signature, self.metadata.signed_bytes)
        except UnverifiedSignatureError:
            return False
        return True


def make_targets(
    contents: Mapping[str, bytes], version: int, expires_at_ns: int
) -> Metadata[Targets]:
    """Return unsigned targets metadata of a bundle's files. Raises ConfigurationError."""
    if set(contents) != set(TARGET_NAMES):
        raise ConfigurationError(
            "A bundle has exactly the files " + ", ".join(TARGET_NAMES) + "; these are "
            f"{', '.join(sorted(contents)) or 'none'}."
        )
    targets = Targets(version=version, expires=moment(expires_at_ns))
    for name in TARGET_NAMES:
        largest = LARGEST_TARGET_BYTES[name]
        if len(contents[name]) > largest:
            raise ConfigurationError(
                f"{name} has {len(contents[name])} bytes; {largest} at most fit into a bundle."
            )
        targets.targets[name] = TargetFile.from_data(name, contents[name], ["sha256"])
    return Metadata(targets)


def check_publishable(staged: Staged, public: Published | None, now_ns: int) -> None:
    """Raise ConfigurationError unless both have signed and it is the next version (R5).

    What is published already may be published again: a crash may have come in between.
    """
    staged.check_signatures()
    if staged.missing:
        raise ConfigurationError(
            "This is not signed by both, so it is not published (R5); missing: "
            + " and ".join(staged.missing)
            + "."
        )
    if staged.metadata.signed.is_expired(moment(now_ns)):
        raise ConfigurationError(
            f"What is staged ended on {shown(staged.metadata.signed.expires)}: it is not published."
        )
    if public and public.version >= staged.version and not staged.is_same(public.targets):
        raise ConfigurationError(
            f"Version {public.version} is published already: stage this again."
        )

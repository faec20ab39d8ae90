"""The repository of one deployment: stage, sign twice, publish, refresh.

What is published lies in `metadata/` and `targets/`, as `device.protocol.bundle` says; what is
staged lies beside it in `staged/` until both have signed. Every file is written in one step, and
`metadata/timestamp.json` is written last: whoever reads, at whatever moment the power fails,
follows it to a whole old or a whole new bundle.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from securesystemslib.signer import Signer
from tuf.api.metadata import Root, Snapshot, Targets

from device.errors import ConfigurationError, StorageError
from device.protocol.bundle import METADATA, TARGETS
from tools.desk.repository import published as rules
from tools.desk.repository.metadata import check_publisher, make_snapshot, sign, timestamped
from tools.desk.repository.published import Published
from tools.desk.repository.roots import read_chain
from tools.desk.repository.staged import Staged, check_publishable, make_targets
from tools.desk.repository.staging import Staging
from tools.desk.repository.stick import copy, leftovers, reader, write_in_order
from tools.desk.repository.storage import alone, remove
from tools.desk.repository.times import moment, nanoseconds, next_version, shown

_SECOND_NS = 10**9


class Repository:
    """The TUF repository in a folder.

    Methods raise ConfigurationError when something may not be done now, and StorageError when the
    disk or the files on it are at fault. `now_ns` is nanoseconds since 1970.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read = reader(folder)
        self._staging = Staging(folder)

    @classmethod
    def create(cls, folder: Path, roots: Sequence[bytes]) -> "Repository":
        """Make an empty repository. roots: all roots, the first first (`root_files`)."""
        if (folder / METADATA).exists():
            raise ConfigurationError(f"{folder} is a repository already.")
        read_chain(roots)
        try:
            for name in (METADATA, TARGETS):
                (folder / name).mkdir(parents=True)
        except OSError as error:
            raise StorageError(
                f"{folder} cannot be made ({error.strerror or error}); check the disk and the "
                "rights of its folder."
            ) from error
        repository = cls(folder)
        repository._write_roots(roots)
        return repository

    @property
    def root(self) -> Root:
        """The newest root, of a chain that has been verified."""
        return rules.read_roots(self._read)[-1].signed

    def adopt(self, roots: Sequence[bytes]) -> int:
        """Take over newer roots after a change of keys; return the newest version."""
        chain = read_chain(roots)
        with alone(self._folder):
            own = rules.root_contents(self._read)
            if list(roots[: len(own)]) != own:
                raise ConfigurationError(
                    f"These roots do not continue those of {self._folder}: they are another "
                    "agency's, or older."
                )
            self._write_roots(roots)
        return chain[-1].signed.version

    def published(self) -> Published | None:
        """Return what is published, read but not verified; None where nothing is."""
        return rules.read_published(self._read)

    def staged(self) -> Staged | None:
        """Return what lies ready to be signed or published; None where nothing does."""
        found, public = self._staging.read(self.root), self.published()
        if found is None or (public is not None and found.is_same(public.targets)):
            return None
        return found

    def signed_by(self) -> list[str]:
        """Return the holders who have signed what is staged, the officer first."""
        staged = self.staged()
        return staged.signed_by if staged else []

    def stage(self, targets: Mapping[str, bytes], expires_at_ns: int, now_ns: int) -> Staged:
        """Lay the next bundle ready; what was staged before, signed or not, is forgotten.

        Args:
            targets: content by name, exactly those of TARGET_NAMES.
            expires_at_ns: when it stops counting: the deployment's end and a day.
            now_ns: the time.
        """
        with alone(self._folder):
            root, public = self.root, self.published()
            if expires_at_ns <= now_ns:
                raise ConfigurationError("This bundle would be out of date before it is signed.")
            if nanoseconds(root.expires) < expires_at_ns - _SECOND_NS:
                raise ConfigurationError(
                    f"Root {root.version} counts until {shown(root.expires)} only, which is before "
                    "the end of this bundle: make the next one with `passerby-desk root rotate`."
                )
            version = next_version(public.version if public else 0, now_ns)
            staged = Staged(make_targets(targets, version, expires_at_ns), root)
            staged.check_files(targets)
            self._staging.write(staged, targets)
        return staged

    def sign(self, signer: Signer, digest: str | None = None) -> Staged:
        """Add a signature of the officer or the custodian to what is staged.

        digest: of what the signer was shown (`Staged.digest`); something else is not signed.
        """
        with alone(self._folder):
            staged = self._to_sign()
            if digest not in (None, staged.digest):
                raise ConfigurationError(
                    "Something else was staged while you were reading: nothing was signed. Look at "
                    "it again."
                )
            key = staged.key(signer.public_key.keyid)
            staged.check_signatures()
            staged.check_files(self._staging.contents(staged))
            sign(staged.metadata, signer, key)
            self._staging.write_metadata(staged)
        return staged

    def publish(self, signer: Signer, now_ns: int, fresh_for_s: float) -> int:
        """Publish what officer and custodian have signed; return the version of the targets.

        What was published before is kept for whoever is reading it; what was before that is
        removed. After a crash, publish is called again and ends what had begun: what is staged
        stays until `clear`.

        Args:
            signer: of the publishing key.
            now_ns: the time.
            fresh_for_s: for how long devices believe that there is nothing newer.
        """
        with alone(self._folder):
            staged, public = self._to_sign(), self.published()
            check_publishable(staged, public, now_ns)
            contents = self._staging.contents(staged)
            staged.check_files(contents)
            key = check_publisher(staged.root, signer, now_ns)
            files = {rules.target_name(t): contents[n] for n, t in staged.targets.items()}
            targets = staged.metadata.to_bytes()
            files[rules.meta_name(Targets.type, staged.version)] = targets
            snapshot = make_snapshot(staged.metadata, targets, public, now_ns)
            sign(snapshot, signer, key)
            until_ns = now_ns + int(fresh_for_s * _SECOND_NS)
            files |= timestamped(snapshot, public, signer, key, (now_ns, until_ns))
            write_in_order(self._folder, files, self._read)
            self._forget_all_but(public)
        return staged.version

    def refresh(self, signer: Signer, now_ns: int, fresh_for_s: float) -> int:
        """Say anew that what is published is the newest; return the timestamp's version.

        After a change of the publishing key the snapshot is signed anew too.
        """
        with alone(self._folder):
            root, public = self.root, self._required()
            key = check_publisher(root, signer, now_ns)
            _check_current(public, root, now_ns)
            snapshot = public.snapshot
            if not rules.is_signed(root, Snapshot.type, snapshot):
                targets = public.contents[rules.meta_name(Targets.type, public.version)]
                snapshot = make_snapshot(public.targets, targets, public, now_ns)
                sign(snapshot, signer, key)
            until_ns = now_ns + int(fresh_for_s * _SECOND_NS)
            files = timestamped(snapshot, public, signer, key, (now_ns, until_ns))
            write_in_order(self._folder, files, self._read)
        return self._required().timestamp.signed.version

    def clear(self) -> None:
        """Forget what is staged."""
        with alone(self._folder):
            self._staging.clear()

    def verify(self) -> Published:
        """Return what is published after verifying all signatures and files; expiry apart."""
        public = self._required()
        rules.check(public, self.root, self._read)
        return public

    def copy_to(self, folder: Path) -> Published:
        """Copy what is published onto a stick, and read it back (`tools.desk.repository.stick`)."""
        with alone(self._folder):
            public = self.verify()
            copy(public, rules.root_contents(self._read), self._read, folder)
        return public

    def _to_sign(self) -> Staged:
        found = self._staging.read(self.root)
        if found is None:
            raise ConfigurationError(f"Nothing is staged in {self._folder}.")
        return found

    def _required(self) -> Published:
        found = self.published()
        if found is None:
            raise ConfigurationError(f"Nothing is published in {self._folder} yet.")
        return found

    def _write_roots(self, roots: Sequence[bytes]) -> None:
        files = {rules.root_name(number): root for number, root in enumerate(roots, 1)}
        write_in_order(self._folder, files, self._read)

    def _forget_all_but(self, previous: Published | None) -> None:
        kept = self._required().names | (previous.names if previous else set())
        remove(leftovers(self._folder, kept))


def _check_current(public: Published, root: Root, now_ns: int) -> None:
    """Refuse to refresh what devices would refuse all the same."""
    if not rules.is_signed(root, Targets.type, public.targets):
        raise ConfigurationError(
            "What is published is signed by former keys: stage, sign and publish anew."
        )
    if public.targets.signed.is_expired(moment(now_ns)):
        raise ConfigurationError(
            f"What is published ended on {shown(public.targets.signed.expires)}: it can only be "
            "replaced."
        )

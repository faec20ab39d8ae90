"""The folder of a root of trust: `1.root.json` … `N.root.json`, `root.json`, and perhaps a draft.

`root.json` is the newest complete root, which technicians provision. A draft lies in
`draft.root.json` until two holders, and after a change of root keys two old and two new ones, have
signed it.
"""

from itertools import count
from pathlib import Path
from typing import Final

from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Root

from device.errors import ConfigurationError
from device.files import write_atomically
from tools.desk.repository.holders import PublicHalf
from tools.desk.repository.metadata import sign
from tools.desk.repository.roots import (
    LARGEST_BYTES,
    Keyholders,
    make_root,
    may_sign,
    read_chain,
    read_root,
    still_missing,
)
from tools.desk.repository.storage import PUBLIC, alone, read_part, remove, write_once

NEWEST: Final = "root.json"
DRAFT: Final = "draft.root.json"


def root_files(folder: Path) -> list[bytes]:
    """Return the content of all complete roots of a folder, the first first, verified.

    Raises ConfigurationError when there is none or one is not signed, StorageError.
    """
    found: list[bytes] = []
    for version in count(1):
        content = read_part(folder / f"{version}.root.json", LARGEST_BYTES)
        if content is None:
            break
        found.append(content)
    if not found:
        raise ConfigurationError(
            f"There is no complete root of trust in {folder}: `passerby-desk root create` makes "
            "one, and two holders of root keys sign it with `passerby-desk root sign`."
        )
    read_chain(found)
    return found


class RootFolder:
    """Makes and signs roots in a folder.

    Methods raise ConfigurationError when something may not be done, StorageError for the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._draft = folder / DRAFT

    def create(self, keys: Keyholders, expires_ns: int) -> Metadata[Root]:
        """Write the draft of the first root; refuse a folder that has one."""
        for name in ("1.root.json", DRAFT):
            if (self._folder / name).exists():
                raise ConfigurationError(
                    f"{self._folder} holds a root of trust already, which is never overwritten: "
                    "choose a new folder, or change its keys with `passerby-desk root rotate`."
                )
        draft = make_root(keys, 1, expires_ns)
        write_once(self._draft, draft.to_bytes(), PUBLIC)
        return draft

    def rotate(self, keys: Keyholders, expires_ns: int) -> Metadata[Root]:
        """Write the draft of the next root; an unfinished draft of it is replaced."""
        with alone(self._folder):
            last = read_chain(root_files(self._folder))[-1].signed
            draft = make_root(keys, last.version + 1, expires_ns)
            write_atomically(self._draft, draft.to_bytes(), PUBLIC)
        return draft

    def draft(self) -> tuple[Metadata[Root], Root | None]:
        """Return the draft, and the root that it follows."""
        content = read_part(self._draft, LARGEST_BYTES)
        if content is None:
            raise ConfigurationError(
                f"Nothing waits for a signature in {self._folder}: `passerby-desk root create` or "
                "`rotate` makes the draft of a root."
            )
        draft = read_root(content)
        previous = None
        if draft.signed.version > 1:
            previous = read_chain(root_files(self._folder))[-1].signed
        still_missing(draft, previous)
        return draft, previous

    def sign(self, signer: Signer, seen: Root | None = None) -> list[str]:
        """Add a signature to the draft; return what is missing, empty once the root is complete.

        seen: what the signer was shown; another draft is not signed.
        """
        with alone(self._folder):
            draft, previous = self.draft()
            if seen not in (None, draft.signed):
                raise ConfigurationError("The draft was changed meanwhile; nothing was signed.")
            key = may_sign(draft, previous).get(signer.public_key.keyid)
            if key is None:
                raise ConfigurationError(
                    "This key is none of the root keys, so it cannot sign a root."
                )
            sign(draft, signer, key)
            missing = still_missing(draft, previous)
            content = draft.to_bytes()
            write_atomically(self._draft, content, PUBLIC)
            if not missing:
                for name in (f"{draft.signed.version}.root.json", NEWEST):
                    write_atomically(self._folder / name, content, PUBLIC)
                remove([self._draft])
        return missing

    def check_may_sign(self, half: PublicHalf) -> None:
        """Refuse a key before anyone is asked for its passphrase."""
        draft, previous = self.draft()
        if half.keyid not in may_sign(draft, previous):
            raise ConfigurationError(
                f"The key of {half.holder} is none of the root keys, so it cannot sign a root."
            )

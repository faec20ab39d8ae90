"""`Custody`: the signed watchlist on this device: verified, opened into locked memory, wiped.

The bundle is verified again at every start and whenever another one was installed; the list is
opened only while policy allows it, and wiped as soon as it does not.
"""

import hashlib
import logging
from pathlib import Path

import msgspec

from device.allocator import giving_back
from device.bundles import Installed, current_release, installed, read_signed
from device.errors import ConfigurationError, PasserbyError, StorageError, WatchlistError
from device.matching import Gallery
from device.memory import Key, LockedBuffer
from device.notebook import Notebook
from device.policy.references import counts, states
from device.policy.situation import OpenList
from device.protocol.alert import ModelHash
from device.protocol.sealed import ListedReference, open_list
from device.recognition import limits_for
from device.settings import Settings
from device.trusted_time import boot_s
from device.vision import Catalogue, Eye, Surroundings

log = logging.getLogger(__name__)

_NONE = (
    "No signed watchlist is installed: the desk publishes one, or a technician installs it with "
    "`passerby update --from`."
)
_AGAIN_S = 60.0


class Custody:
    """settings: of this device. One thread calls it.

    installed: the verified bundle, or None; fault then says why. settings: this device's, with the
    signed tables in place of its own. eye, gallery: open only between `open` and `close`.
    lock_fault: why the list could not be opened, or None.
    """

    def __init__(self, settings: Settings, notebook: Notebook) -> None:
        self._local = settings
        self._state = Path(settings.device.state_directory)
        self._root = Path(settings.watchlist.root)
        self._notebook = notebook
        self._release: str | None = None
        self._verified_s = float("-inf")
        self._entries: list[ListedReference] = []
        self._gone: set[str] = set()
        self._counted: tuple[tuple[object, int], tuple[int, int]] | None = None
        self.settings = settings
        self.installed: Installed | None = None
        self.fault: str | None = _NONE
        self.eye: Eye | None = None
        self.gallery: Gallery | None = None
        self.lock_fault: str | None = None
        self.closed_because: str | None = None
        """Why an open list was wiped, in words; None until then."""
        self._lockable: tuple[float, str | None] | None = None

    def look(self, now_ns: int, now_s: float) -> bool:
        """Verify what is installed if it is another bundle than before, or was at fault.

        now_ns: wall clock. now_s: of `boot_s`. Returns whether another list is in force, or one
        where there was none; then it is shut. A bundle that only says anew that nothing newer is
        published leaves an open list open.
        """
        try:
            release = current_release(self._state)
        except StorageError as error:
            self._refuse(str(error))
            return False
        changed = release != self._release
        stale = self.installed is None and now_s - self._verified_s >= _AGAIN_S
        if not changed and not stale:
            return False
        self._release, self._verified_s = release, now_s
        try:
            found = self._verified(now_ns)
            signed = None if found is None else read_signed(found.configuration)
        except PasserbyError as error:
            self._refuse(str(error))
            return changed
        if found is not None and self.installed is not None and _same(found, self.installed):
            self.installed = found
            return False
        self.close("Another bundle was installed.")
        self.installed, self.fault = found, None if found is not None else _NONE
        self._lockable = None
        if signed is not None:
            tables = {name: getattr(signed, name) for name in signed.__struct_fields__}
            tables["models"] = msgspec.structs.replace(
                # Where the models lie is this device's business; which ones they are is not.
                signed.models,
                directory=self._local.models.directory,
            )
            self.settings = msgspec.structs.replace(self._local, **tables)
        return changed or found is not None

    def _verified(self, now_ns: int) -> Installed | None:
        if not self._root.is_file():
            raise ConfigurationError(
                f"watchlist.root names {self._root}, which is not there: copy the desk's root.json "
                "there. Without it no signature can be checked."
            )
        return installed(self._state, self._root, now_ns)

    def forget(self) -> None:
        """Let go of a bundle whose list was erased; what is there is looked at anew."""
        self.close("the list is erased")
        self.installed, self.fault, self._release = None, _NONE, None

    def open(self, key: Key) -> bool:
        """Open models and list. key: the deployment's; the caller overwrites it.

        False: `lock_fault` says why not, and nothing is open.
        """
        if self.installed is None:
            return False
        try:
            with giving_back():
                self._open(self.installed, key)
        except PasserbyError as error:
            self.lock_fault = str(error)
            self._drop()
            self._notebook.note("list refused", reason=str(error))
            return False
        self.lock_fault = self.closed_because = None
        return True

    def close(self, reason: str) -> None:
        """Wipe the list and let the models go."""
        if self.gallery is None:
            return
        list_id, version = self.gallery.list_id, self.gallery.version
        self.closed_because = reason
        self._drop()
        self._notebook.note("list wiped", reason=reason, watchlist=list_id, version=version)

    def expire(self, revoked: tuple[str, ...], now_ns: int) -> list[str]:
        """Overwrite references that are revoked, have expired, or are overdue for review.

        Returns which of them are gone since the last call.
        """
        gallery = self.gallery
        if gallery is None:
            return []
        listed = set(gallery.ids)
        new = [one for one in revoked if one in listed and one not in self._gone]
        for reference_id in new:
            gallery.revoke(reference_id)
        new += gallery.expire(now_ns)
        self._gone.update(new)
        return new

    def facts(self, revoked: tuple[str, ...], now_ns: int) -> OpenList | None:
        """Return what policy asks about the open list; None while it is shut."""
        if self.gallery is None or self.installed is None:
            return None
        # Two thousand entries: counted once a second, not at every frame.
        asked = (revoked, now_ns // 10**9)
        if self._counted is None or self._counted[0] != asked:
            self._counted = (asked, counts(states(self._entries, revoked, now_ns)))
        held, comparable = self._counted[1]
        return OpenList(
            deployment=self.installed.authorisation.deployment,
            watchlist=self.installed.authorisation.watchlist,
            size=len(self.gallery.ids),
            held=held,
            comparable=comparable,
        )

    @property
    def models(self) -> tuple[ModelHash, ...] | None:
        """Return the models that are loaded, None while none is."""
        if self.eye is None:
            return None
        return tuple(ModelHash(one.role, one.name, one.sha256) for one in self.eye.entries)

    @property
    def threshold(self) -> float | None:
        """Return the threshold that is applied, None while no model is loaded."""
        if self.eye is None:
            return None
        return limits_for(self.settings, self.eye.embedder_entry).threshold

    @property
    def memory_fault(self) -> str | None:
        """Return why the list could reach a disk, or None; asked before it is opened, too."""
        if self.gallery is not None:
            return self.gallery.fault
        if self.installed is None:
            return None
        now_s = boot_s()
        if self._lockable is None or now_s - self._lockable[0] >= _AGAIN_S:
            self._lockable = (now_s, _lock_fault(self.installed.watchlist_path))
        return self._lockable[1]

    def _open(self, bundle: Installed, key: Key) -> None:
        settings = self.settings
        authorised = frozenset(model.sha256 for model in bundle.authorisation.models)
        self.eye = Eye.open(
            Catalogue.configured(settings.models.directory),
            settings.models,
            settings.vision,
            Surroundings.of(settings, authorised),
        )
        opened = open_list(
            _content(bundle),
            key,
            watchlist=bundle.authorisation.watchlist,
            deployment=bundle.authorisation.deployment,
        )
        self._entries = list(opened.header.entries)
        embedder = self.eye.embedder_entry
        self.gallery = Gallery.opened(opened, embedder.sha256, self.eye.embedder.dimension)
        self._notebook.note(
            "list loaded",
            watchlist=self.gallery.list_id,
            version=self.gallery.version,
            deployment=bundle.authorisation.deployment,
            references=len(self.gallery.ids),
            sha256=bundle.watchlist_sha256,
        )

    def _drop(self) -> None:
        if self.gallery is not None:
            self.gallery.wipe()
        self.gallery = self.eye = self._counted = None
        self._entries, self._gone = [], set()

    def _refuse(self, reason: str) -> None:
        if reason != self.fault:
            log.error("%s", reason)
        self.close("the bundle is at fault")
        self.installed, self.fault = None, reason


def _same(one: Installed, other: Installed) -> bool:
    """Return whether two bundles differ in nothing but their metadata: versions and expiry."""
    return (one.watchlist_sha256, one.authorisation, one.configuration, one.models) == (
        other.watchlist_sha256,
        other.authorisation,
        other.configuration,
        other.models,
    )


def _lock_fault(sealed: Path) -> str | None:
    """Return why a list of this size cannot be locked in memory: tried before a key is asked."""
    try:
        buffer = LockedBuffer(sealed.stat().st_size)
    except (OSError, ValueError, MemoryError) as error:
        return f"There is no memory for the watchlist ({error}): stop other programs."
    fault = buffer.fault
    buffer.wipe()
    return fault


def _content(bundle: Installed) -> bytes:
    """Read the sealed list, which may have changed since it was verified. Raises WatchlistError."""
    try:
        content = bundle.watchlist_path.read_bytes()
    except OSError as error:
        raise WatchlistError(
            f"The sealed watchlist cannot be read ({error.strerror or error}): install the bundle "
            "again."
        ) from error
    if hashlib.sha256(content).hexdigest() != bundle.watchlist_sha256:
        raise WatchlistError("The sealed watchlist was changed after its check: install it again.")
    return content

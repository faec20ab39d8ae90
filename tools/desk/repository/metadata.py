"""Making and signing the snapshot and the timestamp. No I/O but the signer's own."""

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signer
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from device.errors import ConfigurationError, PasserbyError
from tools.desk.repository.holders import half_of
from tools.desk.repository.published import TIMESTAMP, Published, meta_name
from tools.desk.repository.signers import refused
from tools.desk.repository.times import moment, next_version, shown


def sign(metadata: Metadata, signer: Signer, key: Key) -> None:  # type: ignore[type-arg]
    """Add a signature to the others, and see that a device would accept it.

    key: the signer's in root metadata. Raises ConfigurationError when the signer fails; the
    metadata are then to be dropped.
    """
    try:
        signature = metadata.sign(signer, append=True)
    except UnsignedMetadataError as error:
        if isinstance(error.__cause__, PasserbyError):
            raise error.__cause__ from error
        raise refused(half_of(key).holder, error.__cause__ or error) from error
    try:
        key.verify_signature(signature, metadata.signed_bytes)
    except UnverifiedSignatureError as error:
        raise ConfigurationError(
            f"The signature that was made is not of {half_of(key).holder}'s key: nothing was kept."
        ) from error


def check_publisher(root: Root, signer: Signer, now_ns: int) -> Key:
    """Return the publishing key. Raises ConfigurationError unless it is this one, and may now."""
    (keyid,) = root.roles[Timestamp.type].keyids
    if signer.public_key.keyid != keyid:
        raise ConfigurationError(
            f"This is not the publishing key of root {root.version}, which is held by "
            f"{half_of(root.keys[keyid]).holder}."
        )
    if root.is_expired(moment(now_ns)):
        raise ConfigurationError(
            f"Root {root.version} ended on {shown(root.expires)}: make the next one with "
            "`passerby-desk root rotate`."
        )
    return root.keys[keyid]


def make_snapshot(
    targets: Metadata[Targets], content: bytes, last: Published | None, now_ns: int
) -> Metadata[Snapshot]:
    """Return the unsigned snapshot of targets. content: their file. last: what it replaces."""
    version = targets.signed.version
    listed = {"targets.json": MetaFile.from_data(version, content, ["sha256"])}
    number = next_version(last.snapshot.signed.version if last else 0, now_ns)
    return Metadata(Snapshot(number, expires=targets.signed.expires, meta=listed))


def timestamped(
    snapshot: Metadata[Snapshot],
    last: Published | None,
    signer: Signer,
    key: Key,
    fresh: tuple[int, int],
) -> dict[str, bytes]:
    """Return the files of a snapshot and its new timestamp by name, in the order of writing.

    fresh: from when until when the timestamp is believed, ns; no longer than the snapshot is.
    """
    content = snapshot.to_bytes()
    if last is not None and snapshot is last.snapshot:
        # Byte for byte as it was published: it is named by its hash.
        content = last.contents[meta_name(Snapshot.type, snapshot.signed.version)]
    now_ns, until_ns = fresh
    named = MetaFile.from_data(snapshot.signed.version, content, ["sha256"])
    number = next_version(last.timestamp.signed.version if last else 0, now_ns)
    until = min(moment(until_ns), snapshot.signed.expires)
    made = Metadata(Timestamp(number, expires=until, snapshot_meta=named))
    sign(made, signer, key)
    return {meta_name(Snapshot.type, snapshot.signed.version): content, TIMESTAMP: made.to_bytes()}

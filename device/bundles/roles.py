"""Who may sign, and what may be signed: what Passerby asks of metadata beyond TUF's own rules.

TUF trusts a root to say how many keys are enough. Here the law does (R5): two of three for the
root, both of two for the list. Pure rules over python-tuf's types. Needs tuf: imported in the
verifying process only.
"""

from collections.abc import Iterable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_public_key,
)
from securesystemslib.signer import Key
from tuf.api.metadata import Root, Snapshot, TargetFile, Targets

from device.bundles.refusal import BundleError
from device.files import shown
from device.protocol.bundle import (
    LARGEST_TARGET_BYTES,
    ROOT_KEYS,
    ROOT_THRESHOLD,
    TARGET_NAMES,
    TARGETS_KEYS,
    TARGETS_THRESHOLD,
)

_TARGETS_JSON: Final = "targets.json"


def check_root(root: Root) -> None:
    """Raise BundleError where a root lets fewer people decide than R5 asks for."""
    if root.consistent_snapshot is not True:
        raise BundleError(
            "The bundle's root does not keep versions apart (consistent snapshots): the desk must "
            "make it again."
        )
    _check_role(root, Root.type, ROOT_KEYS, ROOT_THRESHOLD)
    _check_role(root, Targets.type, TARGETS_KEYS, TARGETS_THRESHOLD)


def _check_role(root: Root, name: str, keys: int, threshold: int) -> None:
    role = root.roles[name]
    different = {_public_bytes(root.keys[keyid]) for keyid in role.keyids if keyid in root.keys}
    if len(role.keyids) != keys or role.threshold != threshold:
        raise BundleError(
            f"The bundle's root lets {role.threshold} of {len(role.keyids)} keys sign the {name}; "
            f"{threshold} of {keys} must (R5)."
        )
    if len(different) != keys:
        raise BundleError(
            f"The bundle's root names one key twice for the {name}: {keys} different keys must be "
            "there, one for each person (R5)."
        )


def _public_bytes(key: Key) -> bytes:
    """Return a public key in its one form (DER), so that no spelling makes two keys of one."""
    try:
        public = str(key.keyval["public"])
        if key.keytype == "ed25519":
            loaded: object = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        else:
            loaded = load_pem_public_key(public.encode())
    except (KeyError, ValueError, TypeError) as error:
        raise BundleError("A key of the bundle's root cannot be read.") from error
    if not isinstance(loaded, Ed25519PublicKey | EllipticCurvePublicKey):
        raise BundleError(
            f"A key of the bundle's root is of a kind that this device does not take "
            f"({shown(key.keytype)}): Ed25519 and ECDSA are."
        )
    return loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def check_snapshot(snapshot: Snapshot) -> None:
    """Raise BundleError where a snapshot speaks of more than the one list of targets."""
    if set(snapshot.meta) != {_TARGETS_JSON}:
        raise BundleError(
            f"The bundle's snapshot names files that no bundle has: {_listed(snapshot.meta)}."
        )


def check_targets(targets: Targets) -> None:
    """Raise BundleError unless there are exactly our targets, within their bounds, by SHA-256."""
    if targets.delegations is not None:
        raise BundleError(
            "The bundle lets somebody else sign for its targets (a delegation): only the officer "
            "and the custodian may (R5)."
        )
    if missing := set(TARGET_NAMES) - set(targets.targets):
        raise BundleError(f"The bundle's list of targets lacks {_listed(missing)}.")
    if extra := set(targets.targets) - set(TARGET_NAMES):
        raise BundleError(f"The bundle has targets that no bundle has: {_listed(extra)}.")
    for name in TARGET_NAMES:
        _check_target(name, targets.targets[name])


def _check_target(name: str, target: TargetFile) -> None:
    if target.length > LARGEST_TARGET_BYTES[name]:
        raise BundleError(
            f"The bundle's {name} is too large: {target.length} bytes, and "
            f"{LARGEST_TARGET_BYTES[name]} is the most."
        )
    if set(target.hashes) != {"sha256"}:
        raise BundleError(f"The bundle's {name} is not bound by its SHA-256.")


def _listed(names: Iterable[str]) -> str:
    found = sorted(shown(name)[:64] for name in names)
    return ", ".join(found[:5]) + (" …" if len(found) > 5 else "")  # noqa: PLR2004 - enough to see

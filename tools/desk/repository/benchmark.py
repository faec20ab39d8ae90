"""How long signing and publishing take: `python -m tools.desk.repository.benchmark`."""

import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from device.protocol.authorisation import Authorisation, encode_authorisation
from device.protocol.bundle import (
    AUTHORISATION,
    CONFIGURATION,
    LOCAL_KEYS,
    MODELS,
    WATCHLIST,
    LocalKeys,
    ModelList,
    encode_part,
)
from tools.desk.repository import keyfile
from tools.desk.repository.holders import Role, public_half
from tools.desk.repository.repository import Repository
from tools.desk.repository.roots import Keyholders, make_root

ENTRIES = 2000
BYTES_PER_ENTRY = 1300
"""A template of 256 float32, its id, two dates and what JSON and encryption add."""
_DAY_NS = 86_400 * 10**9
_OFFICES: tuple[Role, ...] = ("root", "root", "root", "officer", "custodian", "publishing")
_MODELS = [{"role": role, "name": role, "sha256": "a" * 64} for role in ("detector", "embedder")]
_AUTHORISATION = {
    "deployment": "00000000-0000-7000-8000-000000000000",
    "version": 1,
    "signed_at": "2026-01-01T00:00:00.000Z",
    "objective": "A bundle to measure with; it authorises nothing.",
    "place": "nowhere",
    "devices": ["urn:passerby:site:device"],
    "windows": [{"begins_at": "2026-01-01T00:00:00.000Z", "ends_at": "2026-01-02T00:00:00.000Z"}],
    "legal_basis": "none",
    "impact_assessment": "none",
    "signage": None,
    "threshold": {
        "kind": "provisional",
        "threshold_id": "none",
        "threshold": 0.5,
        "floor": 0.5,
        "target_fpir": 0.001,
        "list_size": 1,
        "evaluation_sha256": None,
        "words": "Made for a measurement only.",
    },
    "models": _MODELS,
    "watchlist": {"id": "benchmark", "version": 1},
    "officer": "officer 4",
    "custodian": "custodian 5",
    "pilot_ends_at": "2026-01-02T00:00:00.000Z",
    "exit_evaluation": "none",
}


def measure(folder: Path, watchlist: bytes) -> dict[str, float]:
    """Return the seconds that each step takes, from keys in encrypted files to a copied stick.

    folder: an empty one; what is written is fsynced, so its disk counts. watchlist: a sealed list.
    """
    keys = [Ed25519PrivateKey.generate() for _ in _OFFICES]
    signers = [CryptoSigner(key, SSlibKey.from_crypto(key.public_key())) for key in keys]
    repository = Repository.create(folder / "bundle", [_root(signers)])
    now_ns = time.time_ns()
    encrypted = keyfile.encrypted(keys[3], "five words that rarely meet")
    officer, custodian, publishing = signers[3:]
    steps: dict[str, Callable[[], object]] = {
        "open an encrypted key": lambda: keyfile.opened(encrypted, "five words that rarely meet"),
        "stage": lambda: repository.stage(_targets(watchlist), now_ns + 9 * _DAY_NS, now_ns),
        "sign as officer": lambda: repository.sign(officer),
        "sign as custodian": lambda: repository.sign(custodian),
        "publish": lambda: repository.publish(publishing, now_ns, 86_400.0),
        "verify": repository.verify,
        "copy and read back": lambda: repository.copy_to(folder / "stick"),
    }
    taken = {}
    for name, step in steps.items():
        begun = time.perf_counter()
        step()
        taken[name] = time.perf_counter() - begun
    return taken


def main() -> int:
    """Print the figures for a list of 2,000 entries."""
    watchlist = secrets.token_bytes(ENTRIES * BYTES_PER_ENTRY)
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(Path(folder), watchlist)
    print(f"{ENTRIES} entries, {len(watchlist)} bytes")
    for name, seconds in taken.items():
        print(f"{seconds * 1000:8.1f} ms  {name}")
    print(f"{sum(taken.values()) * 1000:8.1f} ms  together; two more people open a key each")
    return 0


def _root(signers: list[CryptoSigner]) -> bytes:
    halves = [
        public_half(signer.public_key, role, f"{role} {number}")
        for number, (signer, role) in enumerate(zip(signers, _OFFICES, strict=True), 1)
    ]
    keys = Keyholders(tuple(halves[:3]), *halves[3:])
    root = make_root(keys, 1, time.time_ns() + 365 * _DAY_NS)
    rooted: list[Signer] = [*signers[:2]]
    for signer in rooted:
        root.sign(signer, append=True)
    return root.to_bytes()


def _targets(watchlist: bytes) -> Mapping[str, bytes]:
    authorisation = msgspec.convert(_AUTHORISATION, Authorisation)
    return {
        WATCHLIST: watchlist,
        AUTHORISATION: encode_authorisation(authorisation),
        CONFIGURATION: b"",
        MODELS: encode_part(ModelList(models=authorisation.models)),
        LOCAL_KEYS: encode_part(LocalKeys(wrapped={})),
    }


if __name__ == "__main__":
    raise SystemExit(main())

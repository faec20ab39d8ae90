"""`Repository`: an honest desk's TUF repository in a folder; tests alter its parts and re-sign.

    repository = Repository(folder)          # published, valid, signed by all who must
    repository.publish()                     # the next version
    repository.targets.delegations = …       # a dishonest desk
    repository.save("targets")               # signs, and writes N.targets.json

All times count from NOW, which is not the time of the machine that runs the tests.
"""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import (
    Authorisation,
    Signage,
    Threshold,
    Window,
    encode_authorisation,
)
from device.protocol.bundle import (
    AUTHORISATION,
    CONFIGURATION,
    LOCAL_KEYS,
    METADATA,
    MODELS,
    TARGETS,
    WATCHLIST,
    LocalKeys,
    ModelList,
    encode_part,
)
from device.protocol.identifiers import utc_text

DAY_NS = 86_400 * 10**9
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
NOW_NS = (NOW - EPOCH) // timedelta(seconds=1) * 10**9
DEVICE = "urn:passerby:site-1:device-1"
DEPLOYMENT = "0195d2f0-0000-7000-8000-000000000001"
LIFE = {"root": 300, "targets": 60, "snapshot": 30, "timestamp": 7}
"""Days until a role expires."""


def an_authorisation(**changes):
    """Return an authorisation in which everything holds at NOW."""
    plain = Authorisation(
        deployment=DEPLOYMENT,
        version=1,
        signed_at=utc_text(NOW_NS - DAY_NS),
        objective="Find persons wanted on a warrant for a listed offence.",
        place="North entrance of the station hall",
        devices=[DEVICE],
        windows=[Window(utc_text(NOW_NS - 3600 * 10**9), utc_text(NOW_NS + 5 * DAY_NS))],
        legal_basis="Order 12 of the court, section 3",
        impact_assessment="PIA-17",
        signage=Signage("Technician 4", utc_text(NOW_NS - DAY_NS)),
        threshold=Threshold(
            "provisional", "t-1", 0.5, 0.45, 0.001, 2000, None, "Provisional: no evaluation yet."
        ),
        models=[
            ModelHash("detector", "yunet-s-640x480", "a" * 64),
            ModelHash("embedder", "omz-0095", "b" * 64),
        ],
        watchlist=ListVersion("list-1", 1),
        officer="Authorising officer 7",
        custodian="Custodian 9",
        pilot_ends_at=utc_text(NOW_NS + 30 * DAY_NS),
        exit_evaluation="Office of the auditor, report 3",
    )
    return msgspec.structs.replace(plain, **changes)


def contents(authorisation=None, **changes):
    """Return the five targets, valid unless changed: `contents(watchlist=b"…")`.

    authorisation: one, or any bytes in its place.
    """
    changed = {name.replace("_", "-"): content for name, content in changes.items()}
    if isinstance(authorisation, bytes):
        changed["authorisation"], authorisation = authorisation, None
    authorisation = authorisation or an_authorisation()
    plain = {
        WATCHLIST: b"sealed " + authorisation.watchlist.id.encode() * 4000,
        AUTHORISATION: encode_authorisation(authorisation),
        CONFIGURATION: b"[vision]\ndetection_threshold = 0.6\n",
        MODELS: encode_part(ModelList(models=authorisation.models)),
        LOCAL_KEYS: encode_part(LocalKeys(wrapped={})),
    }
    assert set(changed) <= {name.partition(".")[0] for name in plain}
    return {name: changed.get(name.partition(".")[0], content) for name, content in plain.items()}


class Repository:
    """A repository below `folder`. signers: by role; files: content of the targets, by name."""

    def __init__(self, folder, files=None):
        self.folder = Path(folder)
        self.files = files if files is not None else contents()
        self.signers = {
            "root": [CryptoSigner.generate_ed25519() for _ in range(3)],
            "targets": [CryptoSigner.generate_ed25519() for _ in range(2)],
        }
        self.signers["snapshot"] = self.signers["timestamp"] = [CryptoSigner.generate_ed25519()]
        for room in (METADATA, TARGETS):
            (self.folder / room).mkdir(parents=True, exist_ok=True)
        self.root = Root(expires=_expiry("root"), consistent_snapshot=True)
        self.targets = Targets(expires=_expiry("targets"), version=1)
        self.snapshot = Snapshot(expires=_expiry("snapshot"))
        self.timestamp = Timestamp(expires=_expiry("timestamp"))
        self.allow("root", self.signers["root"], 2)
        self.allow("targets", self.signers["targets"], 2)
        for role in ("snapshot", "timestamp"):
            self.allow(role, self.signers[role], 1)
        self.save("root")
        self._write_targets()
        self.save("targets", "snapshot", "timestamp")

    @property
    def pinned(self):
        """The first root, as devices are provisioned with it."""
        return (self.folder / METADATA / "1.root.json").read_bytes()

    def allow(self, role, signers, threshold):
        """Let exactly these sign for a role, from the next root on."""
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for signer in signers:
            self.root.add_key(signer.public_key, role)
        self.root.roles[role].threshold = threshold

    def rotate(self, role, signers, threshold=None, by=None):
        """Give a role new keys with the next root, signed by `by`, else by all old and new ones."""
        old = self.signers["root"]
        self.signers[role] = signers
        self.allow(role, signers, threshold or self.root.roles[role].threshold)
        self.root.version += 1
        self.save("root", by=by or list(dict.fromkeys([*old, *self.signers["root"]])))

    def publish(self, files=None):
        """Publish the next version of the list."""
        if files is not None:
            self.files = files
        self.targets.version += 1
        self._write_targets()
        self.save("targets")
        self.refresh(snapshot=True)

    def refresh(self, *, snapshot=False):
        """Sign what is there for another while."""
        if snapshot:
            self.snapshot.version += 1
            self.save("snapshot")
        self.timestamp.version += 1
        self.save("timestamp")

    def save(self, *roles, by=None):
        """Sign roles as they stand, and write them; what names their version is not changed."""
        for role in roles:
            signed = getattr(self, role)
            if role == "snapshot":
                signed.meta.setdefault("targets.json", MetaFile()).version = self.targets.version
            if role == "timestamp":
                signed.snapshot_meta.version = self.snapshot.version
            self.write(self.path(role), signed, self.signers[role] if by is None else by)

    def path(self, role):
        """Return where a role's file lies in its present version."""
        name = f"{getattr(self, role).version}.{role}.json"
        return self.folder / METADATA / ("timestamp.json" if role == "timestamp" else name)

    def write(self, path, signed, signers):
        """Sign metadata with these signers, and write them."""
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        path.write_bytes(metadata.to_bytes(JSONSerializer(compact=True)))

    def target(self, name):
        """Return where a target lies in its present version."""
        sha256 = self.targets.targets[name].hashes["sha256"]
        return self.folder / TARGETS / f"{sha256}.{name}"

    def _write_targets(self):
        self.targets.targets = {}
        for name, content in self.files.items():
            digest = hashlib.sha256(content).hexdigest()
            self.targets.targets[name] = TargetFile(len(content), {"sha256": digest}, name)
            self.target(name).write_bytes(content)


def altered(path, change):
    """Let `change` edit a file of metadata as a dict, and leave its signatures as they are."""
    found = json.loads(path.read_bytes())
    change(found)
    path.write_bytes(json.dumps(found).encode())


def later(days):
    """Return NOW and some days, for `expires`."""
    return NOW + timedelta(days=days)


def _expiry(role):
    return later(LIFE[role])

"""The root of trust: two of three, no one twice, and new keys only with the consent of the old."""

import time

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import Metadata

from device.errors import ConfigurationError, StorageError
from tests.unit.test_repository import (
    DAY_NS,
    DAY_S,
    END_NS,
    NOW_NS,
    YEAR_NS,
    Office,
    bundle,
    client,
    taken,
)
from tools.desk.repository import root_files
from tools.desk.repository.holders import decode_half, encode_half, half_of, public_half
from tools.desk.repository.root_folder import RootFolder
from tools.desk.repository.roots import Keyholders, holders_of, read_chain, read_root


@pytest.fixture
def office():
    return Office()


def keys_of(office, **changed):
    return Keyholders(**({f: getattr(office.keyholders(), f) for f in FIELDS} | changed))


FIELDS = ("root", "officer", "custodian", "publishing")


def test_a_root_asks_for_two_of_three_and_for_both_of_two(office):
    root = read_root(office.roots[0]).signed
    found = {name: (len(role.keyids), role.threshold) for name, role in root.roles.items()}
    assert found == {"root": (3, 2), "targets": (2, 2), "snapshot": (1, 1), "timestamp": (1, 1)}
    assert root.consistent_snapshot
    assert holders_of(root) == office.keyholders()


@pytest.mark.parametrize(
    "holder",
    ["authorising  OFFICER 7", "Authorising-Officer, 7", "Authorising Officer \uff17"],
)
def test_officer_and_custodian_are_two_people(office, holder):
    same = public_half(office.signers["custodian"].public_key, "custodian", holder)
    with pytest.raises(ConfigurationError, match=r"officer and custodian.*R5"):
        keys_of(office, custodian=same)


@pytest.mark.parametrize("holder", ["CHIEF 1", "Chief-1.", "Chief \uff11"])
def test_three_people_hold_the_root_keys(office, holder):
    root = list(office.keyholders().root)
    root[2] = public_half(office.signers["root 3"].public_key, "root", holder)
    with pytest.raises(ConfigurationError, match="holds two root keys"):
        keys_of(office, root=tuple(root))


@pytest.mark.parametrize("number", [0, 2, 4])
def test_a_root_has_three_root_keys(office, number):
    with pytest.raises(ConfigurationError, match="3 root keys"):
        keys_of(office, root=(office.keyholders().root * 2)[:number])


@pytest.mark.parametrize(
    ("place", "role", "holder"),
    [("custodian", "custodian", "Custodian 9"), ("publishing", "publishing", "Desk 4")],
)
def test_no_key_has_two_offices(office, place, role, holder):
    same = public_half(office.signers["officer"].public_key, role, holder)
    with pytest.raises(ConfigurationError, match="one and the same key"):
        keys_of(office, **{place: same})


def test_a_key_is_used_for_the_office_that_it_was_made_for(office):
    with pytest.raises(ConfigurationError, match="was made as a key of the publishing"):
        keys_of(office, officer=office.keyholders().publishing)


def test_one_key_cannot_count_twice_under_another_keyid(office):
    """TUF counts keyids, and does not look whether they are those of the keys."""
    half = office.half("officer")
    for change in (
        {"keyid": "0" * 64},
        {"public": half.public.upper()},
        {"public": "zz" * 32},
        {"scheme": "ecdsa-sha2-nistp256"},
        {"keytype": "ecdsa"},
    ):
        content = encode_half(msgspec.structs.replace(half, **change))
        with pytest.raises(ConfigurationError, match=r"keyid that it claims|damaged"):
            decode_half(content)
    key = half.key()
    twin = SSlibKey("1" * 64, key.keytype, key.scheme, key.keyval, key.unrecognized_fields)
    with pytest.raises(ConfigurationError, match="keyid that it claims"):
        half_of(twin)


def loosened(content, change):
    """A root that was signed with other rules than ours."""
    root = Metadata.from_bytes(content)
    change(root.signed)
    return root.to_bytes()


@pytest.mark.parametrize(
    "change",
    [
        lambda root: setattr(root.roles["targets"], "threshold", 1),
        lambda root: setattr(root.roles["root"], "threshold", 1),
        lambda root: root.roles["targets"].keyids.pop(),
        lambda root: root.roles["root"].keyids.pop(),
        lambda root: root.roles["snapshot"].keyids.append(root.roles["root"].keyids[0]),
        lambda root: setattr(root, "consistent_snapshot", False),
        lambda root: root.keys.pop(root.roles["root"].keyids[0]),
        lambda root: root.keys[root.roles["targets"].keyids[0]].unrecognized_fields.clear(),
    ],
)
def test_a_root_of_another_shape_is_refused(office, change):
    with pytest.raises(ConfigurationError, match="root"):
        read_root(loosened(office.roots[0], change))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"signed": {"_type": "root"}}'])
def test_rubbish_is_no_root(content):
    with pytest.raises(ConfigurationError, match="damaged"):
        read_root(content)


def test_other_metadata_are_no_root(office, tmp_path):
    office.published(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="no root, but timestamp"):
        read_root((tmp_path / "r/metadata/timestamp.json").read_bytes())


def test_one_signature_makes_no_root(office, tmp_path):
    folder = RootFolder(tmp_path)
    folder.create(office.keyholders(), YEAR_NS)
    missing = folder.sign(office.signers["root 3"])
    assert missing == ["1 more of the root keys (Chief 1, Chief 2)"]
    # The same key once more changes nothing.
    assert folder.sign(office.signers["root 3"]) == missing
    with pytest.raises(ConfigurationError, match="no complete root"):
        root_files(tmp_path)
    with pytest.raises(ConfigurationError, match="not signed as it must be"):
        read_chain([(tmp_path / "draft.root.json").read_bytes()])
    assert folder.sign(office.signers["root 1"]) == []
    assert (tmp_path / "root.json").read_bytes() == (tmp_path / "1.root.json").read_bytes()
    assert not (tmp_path / "draft.root.json").exists()
    office.roots = root_files(tmp_path)
    office.published(tmp_path / "r")
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()


def test_only_root_keys_sign_a_root(office, tmp_path):
    folder = RootFolder(tmp_path)
    folder.create(office.keyholders(), YEAR_NS)
    for name in ("officer", "publishing"):
        with pytest.raises(ConfigurationError, match="none of the root keys"):
            folder.sign(office.signers[name])


def test_a_root_is_never_overwritten(office, tmp_path):
    folder = RootFolder(tmp_path)
    folder.create(office.keyholders(), YEAR_NS)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="never overwritten"):
            folder.create(office.keyholders(), YEAR_NS)
        for name in ("root 1", "root 2"):
            if (tmp_path / "draft.root.json").exists():
                folder.sign(office.signers[name])


def test_another_draft_than_was_shown_is_not_signed(office, tmp_path):
    folder = RootFolder(tmp_path)
    seen = folder.create(office.keyholders(), YEAR_NS).signed
    (tmp_path / "draft.root.json").unlink()
    folder.create(office.keyholders(), YEAR_NS + DAY_NS)
    with pytest.raises(ConfigurationError, match="changed meanwhile"):
        folder.sign(office.signers["root 1"], seen)


def rooted(office, folder):
    made = RootFolder(folder)
    made.create(office.keyholders(), YEAR_NS)
    made.sign(office.signers["root 1"])
    made.sign(office.signers["root 2"])
    office.roots = root_files(folder)
    return made


def test_new_root_keys_need_two_of_the_old_and_two_of_the_new(office, tmp_path):
    folder = rooted(office, tmp_path)
    old = office.change("root 1", "root 2", "root 3")
    folder.rotate(office.keyholders(), YEAR_NS)
    assert len(folder.sign(office.signers["root 1"])) == 2
    assert folder.sign(office.signers["root 2"]) == [
        "2 more of the old root keys (Chief 1, Chief 2, Chief 3)"
    ]
    with pytest.raises(ConfigurationError, match="none of the root keys"):
        folder.sign(CryptoSigner.generate_ed25519())
    assert len(folder.sign(old[0])) == 1
    assert len(root_files(tmp_path)) == 1
    assert folder.sign(old[2]) == []
    assert len(root_files(tmp_path)) == 2
    assert (tmp_path / "root.json").read_bytes() == (tmp_path / "2.root.json").read_bytes()


def test_after_a_lost_officer_the_device_follows_the_new_one_only(office, tmp_path):
    folder = rooted(office, tmp_path / "root")
    repository = office.published(tmp_path / "r")
    taken(tmp_path / "r", office.roots[0], tmp_path / "cache")
    (lost,) = office.change("officer")
    folder.rotate(office.keyholders(), YEAR_NS)
    for name in ("root 2", "root 3"):
        folder.sign(office.signers[name])
    assert repository.adopt(root_files(tmp_path / "root")) == 2
    repository.stage(bundle(b"second"), END_NS, NOW_NS)
    with pytest.raises(ConfigurationError, match="may not sign a watchlist"):
        repository.sign(lost)
    with pytest.raises(ConfigurationError, match="signed by former keys"):
        repository.refresh(office.signers["publishing"], NOW_NS, DAY_S)
    office.publish(repository, b"second")
    # A device with the first root pinned, and nothing else told.
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle(b"second")


def test_what_a_lost_officer_had_signed_does_not_count_any_more(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    for name in ("officer", "custodian"):
        repository.sign(office.signers[name])
    office.change("officer")
    office.next_root()
    repository.adopt(office.roots)
    with pytest.raises(ConfigurationError, match=r"missing: Authorising officer 7 \(officer\)"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)


def test_a_stolen_publishing_key_that_ran_ahead_is_recovered_from(office, tmp_path):
    """Fast forward: with the version at its end no honest timestamp would be newer."""
    repository = office.published(tmp_path / "r")
    far = (2**53 - 2) * 10**9
    assert repository.refresh(office.signers["publishing"], NOW_NS, DAY_S)
    thief = office.signers["publishing"]
    path = tmp_path / "r/metadata/timestamp.json"
    honest = path.read_bytes()
    forged = Metadata.from_bytes(honest)
    forged.signed.version = far // 10**9
    forged.sign(thief)
    path.write_bytes(forged.to_bytes())
    taken(tmp_path / "r", office.roots[0], tmp_path / "cache")
    path.write_bytes(honest)
    office.change("publishing")
    office.next_root()
    repository.adopt(office.roots)
    with pytest.raises(StorageError, match="is not signed as root 2 asks"):
        repository.verify()
    repository.refresh(office.signers["publishing"], NOW_NS, DAY_S)
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()


def test_a_root_that_the_old_holders_did_not_sign_is_not_adopted(office, tmp_path):
    repository = office.published(tmp_path / "r")
    first = office.roots[0]
    office.change("root 1", "root 2", "root 3")
    office.next_root()
    with pytest.raises(ConfigurationError, match="2 more of the old root keys"):
        repository.adopt(office.roots)
    stranger = Office()
    with pytest.raises(ConfigurationError, match="do not continue"):
        repository.adopt(stranger.roots)
    with pytest.raises(ConfigurationError, match="no root of trust"):
        repository.adopt([])
    assert repository.root.version == 1
    updater = client(tmp_path / "r", first, tmp_path / "cache")
    (tmp_path / "r/metadata/2.root.json").write_bytes(office.roots[1])
    with pytest.raises(UnsignedMetadataError):
        updater.refresh()


def test_roots_with_a_gap_are_no_chain(office):
    office.next_root()
    office.next_root()
    with pytest.raises(ConfigurationError, match="does not follow root 1"):
        read_chain([office.roots[0], office.roots[2]])


def test_a_root_that_has_ended_publishes_nothing(office, tmp_path):
    repository = office.published(tmp_path / "r")
    with pytest.raises(ConfigurationError, match=r"Root 1 ended.*root rotate"):
        repository.refresh(office.signers["publishing"], YEAR_NS, DAY_S)
    assert time.time_ns() < YEAR_NS


def test_a_damaged_root_of_a_repository_is_one_sentence(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    (tmp_path / "r/metadata/1.root.json").write_bytes(office.roots[0][:500])
    with pytest.raises(StorageError, match="root of trust is not usable"):
        repository.sign(office.signers["officer"])

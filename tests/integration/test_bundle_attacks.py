"""Attacks on a bundle: each is refused in one sentence, and what was installed stays.

The names are those of the TUF specification (1.5.2) and of the field: half-copied sticks, clocks.
"""

import copy
import json
import os
import random
import shutil

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Delegations, MetaFile, TargetFile

from device.bundles import BundleError, work
from device.protocol.alert import ModelHash
from device.protocol.bundle import (
    AUTHORISATION,
    LARGEST_TARGET_BYTES,
    METADATA,
    MODELS,
    TARGET_NAMES,
    TARGETS,
    WATCHLIST,
    ModelList,
    encode_part,
)
from device.protocol.identifiers import utc_text
from tests.simulators.repository import (
    DAY_NS,
    DEVICE,
    NOW_NS,
    Repository,
    altered,
    an_authorisation,
    contents,
    later,
)


def ed25519(count):
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


def everything(folder):
    """All of a folder, byte for byte: files, links, folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        if path.is_symlink():
            found[place] = str(path.readlink())
        else:
            found[place] = path.read_bytes() if path.is_file() else None
    return found


class Site:
    """A device with a bundle installed, and the desk whose next stick it is given."""

    def __init__(self, folder):
        self.desk = Repository(folder / "desk")
        self.pinned = self.desk.pinned
        self.state = folder / "state"
        self.stick = folder / "stick"
        self.now_ns = NOW_NS
        self.first = self.offer()

    def copy(self, to=None):
        """Copy the desk's folder, as to a stick."""
        to = to or self.stick
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.desk.folder, to)
        return to

    def offer(self, source=None):
        """Let the device install what the desk has now, or a folder."""
        return work.install(source or self.copy(), self.state, self.pinned, self.now_ns, DEVICE)

    def checked(self):
        return work.check(self.state, self.pinned, self.now_ns)

    def refuses(self, words, source=None):
        """The offer is refused with these words, in a sentence; nothing installed has changed."""
        before, found = everything(self.state), self.checked()
        with pytest.raises(BundleError, match=words) as caught:
            self.offer(source)
        sentence = str(caught.value)
        assert sentence[0].isupper() or sentence[0] == "/"
        assert sentence.endswith(".")
        assert "Error" not in sentence
        assert everything(self.state) == before
        assert self.checked() == found
        return sentence


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


@pytest.fixture
def desk(site):
    return site.desk


def test_an_honest_bundle_is_installed_and_the_next_one_takes_its_place(site, desk):
    assert site.first.targets_version == 1
    desk.publish(contents(an_authorisation(version=2)))
    second = site.offer()
    assert second.targets_version == 2
    assert site.checked() == second
    assert len(list((site.state / "bundle").iterdir())) == 2


def test_the_same_bundle_again_changes_nothing(site):
    before = everything(site.state)
    assert site.offer() == site.first
    assert everything(site.state) == before


def test_a_refreshed_bundle_prolongs_the_same_list(site, desk):
    site.now_ns += 6 * DAY_NS
    desk.timestamp.expires = later(13)
    desk.refresh()
    again = site.offer()
    assert again.targets_version == 1
    assert again.fresh_until_ns == NOW_NS + 13 * DAY_NS
    assert again.sha256 == site.first.sha256


def test_fresh_until_is_the_first_expiry_of_all_roles(site, desk):
    assert site.first.fresh_until_ns == NOW_NS + 7 * DAY_NS
    for days, role in ((6, "timestamp"), (5, "snapshot"), (4, "targets")):
        setattr(getattr(desk, role), "expires", later(days))  # noqa: B010 - role by role
        desk.publish()
        assert site.offer().fresh_until_ns == NOW_NS + days * DAY_NS


# Arbitrary software


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_an_altered_target_is_refused(site, desk, name):
    desk.publish(contents(an_authorisation(version=2)))
    stick = site.copy()
    path = stick / TARGETS / desk.target(name).name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    site.refuses("changed after it was signed", stick)


def test_an_altered_list_of_targets_is_refused(site, desk):
    desk.publish()
    stick = site.copy()
    path = stick / METADATA / "2.targets.json"
    altered(path, lambda found: found["signed"]["targets"][WATCHLIST].update(length=1))
    site.refuses("not signed by keys that this device trusts", stick)


def test_a_bundle_of_another_desk_is_refused(site, tmp_path):
    stranger = Repository(tmp_path / "stranger")
    stranger.publish()
    site.refuses("not signed by keys that this device trusts", stranger.folder)


def test_a_first_bundle_of_another_desk_is_refused(tmp_path):
    stranger = Repository(tmp_path / "stranger")
    pinned = Repository(tmp_path / "ours").pinned
    with pytest.raises(BundleError, match="not signed by keys"):
        work.install(stranger.folder, tmp_path / "state", pinned, NOW_NS)
    assert everything(tmp_path / "state") == {"bundle": None}


# Rollback


def test_an_older_bundle_is_refused(site, desk):
    old = site.copy(site.stick.with_name("old"))
    desk.publish()
    site.offer()
    site.refuses("older than what is installed", old)


def test_an_older_timestamp_with_a_newer_list_is_refused(site, desk):
    desk.refresh()
    site.offer()
    desk.publish()
    desk.timestamp.version = 1
    desk.save("timestamp")
    site.refuses("older than what is installed")


def test_an_older_snapshot_under_a_newer_timestamp_is_refused(site, desk):
    desk.publish()
    site.offer()
    desk.snapshot.version = 1
    desk.timestamp.version = 3
    desk.save("snapshot", "timestamp")
    site.refuses("older than what is installed")


def test_older_targets_under_a_newer_snapshot_are_refused(site, desk):
    desk.publish()
    site.offer()
    desk.targets.version = 1
    desk.refresh(snapshot=True)
    site.refuses("older than what is installed")


def test_an_older_root_cannot_come_back_with_its_keys(site, desk):
    old = copy.deepcopy(desk.root)
    thief = desk.signers["timestamp"]
    for role in ("snapshot", "timestamp"):
        desk.rotate(role, ed25519(1))
    desk.publish()
    site.offer()
    # The stick has the first root only, and newer versions signed by the key that it still names.
    desk.root = old
    desk.signers["snapshot"] = desk.signers["timestamp"] = thief
    desk.publish()
    for path in (desk.folder / METADATA).glob("[23].root.json"):
        path.unlink()
    site.refuses("not signed by keys that this device trusts")


# Indefinite freeze


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_an_expired_role_is_refused_with_its_date(site, desk, role):
    getattr(desk, role).expires = later(2)
    if role == "root":
        desk.rotate("root", desk.signers["root"])
    desk.publish()
    site.now_ns += 2 * DAY_NS
    words = site.refuses("expired on 2031-05-08T12:00:00Z")
    assert f"({role}.json)" in words
    assert "ask the desk" in words


def test_a_bundle_that_is_offered_for_ever_ends_at_its_expiry(site):
    site.now_ns += 7 * DAY_NS - 10**9
    assert site.offer() == site.checked()
    site.now_ns += 10**9
    with pytest.raises(BundleError, match="expired on 2031-05-13"):
        site.offer()
    with pytest.raises(BundleError, match="expired on 2031-05-13"):
        site.checked()


def test_expiry_is_judged_by_the_time_that_is_handed_in(site, monkeypatch):
    # python-tuf's own clock says something else: it would take, or refuse, by that.
    from tuf.ngclient._internal import trusted_metadata_set  # noqa: PLC0415

    real = trusted_metadata_set.datetime.datetime

    class Elsewhere(real):
        @classmethod
        def now(cls, tz=None):
            return real(2060, 1, 1, tzinfo=tz)

    monkeypatch.setattr(trusted_metadata_set.datetime, "datetime", Elsewhere, raising=True)
    assert site.offer() == site.first


# Endless data


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "2.snapshot.json"])
def test_endless_metadata_are_refused(site, desk, name):
    desk.publish()
    stick = site.copy()
    with (stick / METADATA / name).open("ab") as file:
        file.truncate(8 << 30)
    site.refuses("larger than it may be", stick)


def test_metadata_that_declare_themselves_endless_are_refused(site, desk):
    # The key for snapshot and timestamp is online; whoever has it may say any length.
    desk.publish()
    desk.timestamp.snapshot_meta.length = 64 << 20
    desk.refresh()
    stick = site.copy()
    with (stick / METADATA / "2.snapshot.json").open("ab") as file:
        file.truncate(64 << 20)
    site.refuses("larger than it may be", stick)


def test_an_endless_target_is_refused(site, desk):
    desk.publish(contents(watchlist=b"another"))
    stick = site.copy()
    with (stick / TARGETS / desk.target(WATCHLIST).name).open("ab") as file:
        file.truncate(8 << 30)
    site.refuses("larger than it may be", stick)


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_target_that_is_signed_too_large_is_refused(site, desk, name):
    desk.publish()
    desk.targets.targets[name].length = LARGEST_TARGET_BYTES[name] + 1
    desk.save("targets")
    site.refuses("too large")


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.root.json"])
def test_a_pipe_on_the_stick_holds_nobody(site, desk, name):
    desk.publish()
    stick = site.copy()
    (stick / METADATA / name).unlink(missing_ok=True)
    os.mkfifo(stick / METADATA / name)
    site.refuses("no plain file", stick)


def test_a_folder_in_place_of_a_file_is_refused(site):
    stick = site.copy()
    (stick / METADATA / "timestamp.json").unlink()
    (stick / METADATA / "timestamp.json").mkdir()
    site.refuses("no plain file", stick)


def test_deeply_nested_metadata_are_refused(site):
    stick = site.copy()
    (stick / METADATA / "timestamp.json").write_bytes(b"[" * 8000)
    site.refuses("cut or damaged", stick)


# Mix and match


def test_a_list_of_another_version_under_this_ones_name_is_refused(site, desk):
    desk.publish(contents(watchlist=b"second"))
    desk.publish(contents(watchlist=b"third"))
    stick = site.copy()
    shutil.copy(stick / METADATA / "2.targets.json", stick / METADATA / "3.targets.json")
    site.refuses("mixes files of different versions", stick)


def test_a_snapshot_of_another_version_under_this_ones_name_is_refused(site, desk):
    desk.publish()
    desk.publish()
    stick = site.copy()
    shutil.copy(stick / METADATA / "2.snapshot.json", stick / METADATA / "3.snapshot.json")
    site.refuses("mixes files of different versions", stick)


def test_a_root_of_another_version_under_this_ones_name_is_refused(site, desk):
    desk.rotate("root", desk.signers["root"])
    desk.rotate("root", desk.signers["root"])
    stick = site.copy()
    shutil.copy(stick / METADATA / "3.root.json", stick / METADATA / "2.root.json")
    site.refuses("mixes files of different versions", stick)


def test_one_role_in_place_of_another_is_refused(site, desk):
    desk.publish()
    stick = site.copy()
    shutil.copy(stick / METADATA / "2.snapshot.json", stick / METADATA / "timestamp.json")
    site.refuses("contradict", stick)


def test_a_small_target_in_place_of_another_is_refused(site, desk):
    desk.publish(contents(an_authorisation(version=2)))
    stick = site.copy()
    shutil.copy(
        stick / TARGETS / desk.target(MODELS).name,
        stick / TARGETS / desk.target(AUTHORISATION).name,
    )
    site.refuses("changed after it was signed", stick)


# Extraneous dependencies


def test_a_target_that_no_bundle_has_is_refused(site, desk):
    desk.publish({**contents(), "install.sh": b"#!/bin/sh"})
    assert "install.sh" in site.refuses("targets that no bundle has")


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_a_list_without_one_of_the_targets_is_refused(site, desk, name):
    files = contents()
    del files[name]
    desk.publish(files)
    assert name in site.refuses("lacks")


def test_a_snapshot_that_names_other_lists_is_refused(site, desk):
    desk.snapshot.meta["more.json"] = MetaFile()
    desk.publish()
    site.refuses("snapshot names files that no bundle has")


@pytest.mark.parametrize("roles", [{}, None], ids=["empty", "absent"])
def test_a_delegation_is_refused(site, desk, roles):
    desk.targets.delegations = Delegations({}, roles={}) if roles is not None else None
    desk.publish()
    if roles is None:
        site.offer()
    else:
        site.refuses("somebody else sign")


def test_a_target_that_is_bound_by_a_weak_hash_is_refused(site, desk):
    desk.publish()
    target = desk.targets.targets[WATCHLIST]
    desk.targets.targets[WATCHLIST] = TargetFile(target.length, {"md5": "0" * 32}, WATCHLIST)
    desk.save("targets")
    site.refuses("not bound by its SHA-256")


def test_a_root_without_consistent_snapshots_is_refused(site, desk):
    desk.root.consistent_snapshot = False
    desk.rotate("root", desk.signers["root"])
    shutil.copy(desk.path("targets"), desk.folder / METADATA / "targets.json")
    shutil.copy(desk.path("snapshot"), desk.folder / METADATA / "snapshot.json")
    site.refuses("keep versions apart")


# Signatures: two people sign a list, as R5 asks


@pytest.mark.parametrize("signer", [0, 1], ids=["officer", "custodian"])
def test_a_list_that_only_one_of_the_two_signed_is_refused(site, desk, signer):
    desk.publish()
    desk.save("targets", by=desk.signers["targets"][signer : signer + 1])
    site.refuses("only one of the two signatures")


def test_a_list_that_nobody_signed_is_refused(site, desk):
    desk.publish()
    desk.save("targets", by=[])
    site.refuses("not signed by keys")


def test_one_good_and_one_foreign_signature_are_one(site, desk):
    desk.publish()
    desk.save("targets", by=[desk.signers["targets"][0], *ed25519(1)])
    site.refuses("only one of the two signatures")


def test_one_signature_given_twice_is_one(site, desk):
    desk.publish()
    desk.save("targets", by=desk.signers["targets"][:1])
    stick = site.copy()
    path = stick / METADATA / "2.targets.json"
    altered(path, lambda found: found["signatures"].append(found["signatures"][0]))
    site.refuses("cut or damaged", stick)


def test_one_signature_under_the_others_key_id_is_one(site, desk):
    desk.publish()
    desk.save("targets", by=desk.signers["targets"][:1])
    stick = site.copy()

    def relabel(found):
        again = dict(found["signatures"][0], keyid=desk.signers["targets"][1].public_key.keyid)
        found["signatures"].append(again)

    altered(stick / METADATA / "2.targets.json", relabel)
    site.refuses("only one of the two signatures", stick)


def test_a_timestamp_of_an_unknown_key_is_refused(site, desk):
    desk.publish()
    desk.save("timestamp", by=ed25519(1))
    site.refuses("timestamp is not signed")


def respelled(signer):
    """The same key under another key id, and in capital letters."""
    public = signer.public_key
    value = {"public": public.keyval["public"].upper()}
    key = SSlibKey("f" * 64, public.keytype, public.scheme, value)
    return CryptoSigner(signer._private_key, key)


@pytest.mark.parametrize("role", ["root", "targets"])
def test_a_root_that_names_one_key_twice_is_refused(site, desk, role):
    one = desk.signers[role][0]
    rest = desk.signers[role][2:]
    desk.rotate(role, [one, respelled(one), *rest], by=desk.signers["root"])
    if role == "root":
        desk.save("root")
    desk.publish()
    site.refuses("names one key twice")


@pytest.mark.parametrize(
    ("role", "keys", "threshold"),
    [
        ("root", 3, 1),
        ("root", 3, 3),
        ("root", 2, 2),
        ("root", 4, 2),
        ("targets", 2, 1),
        ("targets", 1, 1),
        ("targets", 3, 2),
    ],
)
def test_a_root_that_lets_fewer_or_others_decide_is_refused(site, desk, role, keys, threshold):
    signers = [*desk.signers[role], *ed25519(2)][:keys]
    desk.rotate(role, signers, threshold, by=[*desk.signers["root"], *signers])
    desk.publish()
    site.refuses("keys sign the")


def test_a_pinned_root_that_lets_one_person_decide_is_refused(tmp_path):
    desk = Repository(tmp_path / "desk")
    desk.root.roles["targets"].threshold = 1
    desk.save("root")
    with pytest.raises(BundleError, match="1 of 2 keys sign the targets"):
        work.install(desk.folder, tmp_path / "state", desk.pinned, NOW_NS)


def test_a_weak_root_is_not_healed_by_the_next_one(site, desk):
    desk.rotate("root", desk.signers["root"], 1)
    desk.rotate("root", ed25519(3), 2)
    desk.publish()
    site.refuses("1 of 3 keys sign the root")


def test_a_key_of_an_unknown_kind_is_refused(site, desk):
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = CryptoSigner(rsa.generate_private_key(65537, 2048))
    desk.rotate("targets", [desk.signers["targets"][0], key])
    desk.publish()
    site.refuses("of a kind that this device does not take")


def test_keys_from_a_token_are_taken(site, desk):
    desk.rotate("targets", [CryptoSigner.generate_ecdsa() for _ in range(2)])
    desk.publish()
    assert site.offer().root_version == 2
    assert site.checked().root_version == 2


# Root rotation


def test_two_of_the_three_may_hand_the_root_on(site, desk):
    old = desk.signers["root"]
    new = ed25519(3)
    desk.rotate("root", new, by=[*old[:2], *new[:2]])
    desk.rotate("root", ed25519(3))
    desk.publish()
    assert site.offer().root_version == 3
    assert site.checked().root_version == 3


def test_one_of_the_three_may_not_hand_the_root_on(site, desk):
    old, new = desk.signers["root"], ed25519(3)
    desk.rotate("root", new, by=[old[0], *new])
    desk.publish()
    site.refuses("root carries only one of the two signatures")


def test_new_keys_alone_may_not_take_the_root(site, desk):
    new = ed25519(3)
    desk.rotate("root", new, by=new)
    desk.publish()
    site.refuses("a new root that too few signed")


def test_old_keys_alone_may_not_give_the_root_to_who_does_not_sign(site, desk):
    old = desk.signers["root"]
    desk.rotate("root", ed25519(3), by=old)
    desk.publish()
    site.refuses("a new root that too few signed")


def test_officers_who_were_replaced_sign_no_more(site, desk):
    old = desk.signers["targets"]
    desk.rotate("targets", ed25519(2))
    desk.publish()
    site.offer()
    desk.publish()
    desk.save("targets", by=old)
    site.refuses("targets is not signed by keys that this device trusts")


def test_a_root_file_that_is_missing_in_between_is_no_way_around_it(site, desk):
    desk.rotate("timestamp", ed25519(1))
    desk.publish()
    stick = site.copy()
    (stick / METADATA / "2.root.json").unlink()
    site.refuses("a root file is missing", stick)


@pytest.mark.parametrize("version", [2, 3])
def test_a_damaged_root_in_the_state_directory_brings_no_older_one_back(site, desk, version):
    # The keys of the other roles are the same in all three roots; only the root's own are new.
    for _ in range(2):
        desk.rotate("root", ed25519(3))
    desk.publish()
    installed = site.offer()
    stick = site.copy()
    (stick / METADATA / f"{version}.root.json").unlink()
    history = site.state / "bundle" / installed.release / METADATA / "root_history"
    damaged = history / f"{version}.root.json"
    whole = damaged.read_bytes()
    damaged.unlink()
    with pytest.raises(BundleError, match="installed bundle is damaged"):
        site.checked()
    damaged.write_bytes(whole[:-9])
    with pytest.raises(BundleError):
        site.checked()
    with pytest.raises(BundleError, match="damaged"):
        site.offer(stick)


def test_a_device_that_is_provisioned_anew_takes_its_new_desk(site, tmp_path):
    for _ in range(2):
        site.desk.rotate("root", ed25519(3))
    site.offer()
    other = Repository(tmp_path / "other")
    site.pinned = other.pinned
    with pytest.raises(BundleError):
        site.checked()
    assert site.offer(other.folder).root_version == 1
    assert site.checked().root_version == 1
    other.rotate("root", ed25519(3))
    assert site.offer(other.folder).root_version == 2
    assert site.checked().root_version == 2


def test_a_device_whose_pinned_root_was_renewed_keeps_its_floor(site, desk):
    old = site.copy(site.stick.with_name("old"))
    desk.publish()
    site.offer()
    desk.rotate("root", desk.signers["root"])
    site.pinned = desk.path("root").read_bytes()
    site.refuses("older than what is installed", old)


# Fast-forward


def test_a_fast_forward_is_healed_by_a_new_key_only(site, desk):
    # A thief of the publishing key makes every honest version look old.
    honest = desk.snapshot.version, desk.timestamp.version
    desk.snapshot.version = desk.timestamp.version = 2**53 - 1
    desk.save("snapshot", "timestamp")
    site.offer()
    desk.snapshot.version, desk.timestamp.version = honest
    desk.publish()
    site.refuses("older than what is installed")
    new = ed25519(1)
    desk.rotate("snapshot", new)
    desk.rotate("timestamp", new)
    desk.publish()
    assert site.offer().targets_version == 3
    assert site.checked().timestamp_version == 3


def test_fast_forwarded_targets_are_healed_too(site, desk):
    desk.targets.version = 2**53 - 1
    desk.save("targets")
    desk.refresh(snapshot=True)
    site.offer()
    desk.targets.version = 1
    desk.publish()
    site.refuses("older than what is installed")
    new = ed25519(1)
    desk.rotate("snapshot", new)
    desk.rotate("timestamp", new)
    desk.refresh(snapshot=True)
    assert site.offer().targets_version == 2


# Half-copied sticks


def needed(desk):
    """Every file that a device needs of the desk's newest bundle."""
    metadata = desk.folder / METADATA
    roles = ("root", "targets", "snapshot", "timestamp")
    paths = [*(desk.path(role) for role in roles), *(desk.target(name) for name in TARGET_NAMES)]
    assert all(path.is_file() for path in paths)
    return [path.relative_to(metadata.parent) for path in paths]


def renewed(desk):
    """Publish a bundle in which every file is new."""
    new = ed25519(1)
    desk.rotate("snapshot", new)
    desk.rotate("timestamp", new)
    authorisation = an_authorisation(
        version=2,
        models=[ModelHash("detector", "d", "c" * 64), ModelHash("embedder", "e", "d" * 64)],
    )
    desk.publish(
        contents(
            authorisation,
            watchlist=random.Random(4).randbytes(200_000),
            configuration=b"[matching]\nshots = 3\n",
            local_keys=b'{"kind":"passerby local keys 1","wrapped":{"%s":"AAAA"}}'
            % DEVICE.encode(),
        )
    )


def test_a_stick_without_one_of_its_files_is_refused(site, desk):
    renewed(desk)
    for place in needed(desk):
        stick = site.copy()
        (stick / place).unlink()
        site.refuses("missing", stick)
    assert site.offer().root_version == 3


def test_a_stick_with_a_file_cut_at_any_byte_is_refused(site, desk):
    renewed(desk)
    chance = random.Random(7)
    for place in needed(desk):
        stick = site.copy()
        whole = (stick / place).read_bytes()
        for length in {0, 1, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(6))}:
            (stick / place).write_bytes(whole[:length])
            site.refuses("cut|changed|damaged", stick)
    assert site.offer().root_version == 3


def test_a_stick_with_a_flipped_bit_anywhere_is_refused(site, desk):
    renewed(desk)
    chance = random.Random(8)
    for place in needed(desk):
        stick = site.copy()
        whole = (stick / place).read_bytes()
        for _ in range(6):
            content = bytearray(whole)
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            if _means_the_same(content, whole):
                continue
            (stick / place).write_bytes(content)
            site.refuses("[a-z]", stick)
    assert site.offer().root_version == 3


def _means_the_same(content, whole):
    """A bit in one of the signatures that a root does not need changes nothing that is signed."""
    try:
        changed, signed = json.loads(content), json.loads(whole)
    except ValueError:
        return False
    spare = whole.count(b'"sig"') > 2
    return changed == signed or (spare and changed.get("signed") == signed["signed"])


def test_a_stick_of_zeros_is_refused(site, desk):
    # What a stick looks like that was pulled out before its blocks were written.
    renewed(desk)
    for place in needed(desk):
        stick = site.copy()
        (stick / place).write_bytes(bytes((stick / place).stat().st_size))
        site.refuses("cut|changed|damaged", stick)


@pytest.mark.parametrize("room", [METADATA, TARGETS])
def test_a_stick_without_one_of_its_folders_is_refused(site, desk, room):
    renewed(desk)
    stick = site.copy()
    shutil.rmtree(stick / room)
    site.refuses("missing", stick)


def test_a_stick_that_was_pulled_out_is_refused(site, tmp_path):
    site.refuses("is not there", tmp_path / "nothing")


def test_other_files_on_the_stick_are_no_matter(site, desk):
    renewed(desk)
    stick = site.copy()
    (stick / "autorun.inf").write_bytes(b"x")
    (stick / METADATA / "more.json").write_bytes(b"x")
    (stick / TARGETS / "install.sh").write_bytes(b"x")
    found = site.offer(stick)
    names = {path.name for path in (site.state / "bundle" / found.release).rglob("*")}
    assert not {"more.json", "install.sh", "autorun.inf"} & names


# Clocks


def test_a_clock_that_was_set_back_is_noticed(site, desk):
    desk.publish(contents(an_authorisation(version=2, signed_at=utc_text(NOW_NS))))
    site.now_ns = NOW_NS - 5 * 60 * 10**9 - 1_000_000
    with pytest.raises(BundleError, match="clock of this device is behind"):
        site.offer()
    site.now_ns += 1_000_000
    assert site.offer().targets_version == 2
    site.now_ns -= 1_000_000
    with pytest.raises(BundleError, match="clock of this device is behind"):
        site.checked()


def test_a_clock_that_was_set_forward_is_named(site):
    site.now_ns += 400 * DAY_NS
    with pytest.raises(BundleError, match="clock of this device is ahead"):
        site.offer()
    with pytest.raises(BundleError, match="clock of this device is ahead"):
        site.checked()


def test_an_impossible_clock_is_named(site):
    site.now_ns = 10**30
    with pytest.raises(BundleError, match="clock"):
        site.offer()


# Links on the stick


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_metadata_behind_a_link_are_not_read(site, desk, name):
    desk.publish()
    stick = site.copy()
    (stick / METADATA / name).rename(stick / "elsewhere")
    (stick / METADATA / name).symlink_to(stick / "elsewhere")
    site.refuses("is a link", stick)


def test_a_target_behind_a_link_is_not_read(site, desk):
    desk.publish(contents(watchlist=b"second"))
    stick = site.copy()
    path = stick / TARGETS / desk.target(WATCHLIST).name
    path.rename(stick / "elsewhere")
    path.symlink_to(stick / "elsewhere")
    site.refuses("is a link", stick)


@pytest.mark.parametrize("room", [METADATA, TARGETS])
def test_a_folder_behind_a_link_is_not_entered(site, desk, room):
    desk.publish(contents(watchlist=b"second"))
    stick = site.copy()
    (stick / room).rename(stick / "elsewhere")
    (stick / room).symlink_to(stick / "elsewhere")
    site.refuses("is a link|lies behind one", stick)


# What the targets say


def test_models_that_the_authorisation_does_not_name_are_refused(site, desk):
    other = [ModelHash("detector", "d", "c" * 64), ModelHash("embedder", "e", "d" * 64)]
    desk.publish(contents(models=encode_part(ModelList(models=other))))
    site.refuses("names other models than its authorisation")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[device]\ndemonstration = true\nsite = 's'\nid = 'd'\n", 'table "device" is unknown'),
        (b"[watchlist]\npath = '/tmp/list'\n", 'table "watchlist" is unknown'),
        (b"[broker]\nhost = 'h'\n", 'table "broker" is unknown'),
        (b"[vision]\nsecrets = 1\n", "unknown"),
        (b"[retention]\nalerts_h = 10000\n", "alerts_h"),
        (b"[models]\ndirectory = '../mine'\n", "absolute"),
        (b"[[vision", "not valid TOML"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_configuration_that_sets_what_it_may_not_is_refused(site, desk, text, words):
    desk.publish(contents(configuration=text))
    site.refuses(words)


@pytest.mark.parametrize("name", ["authorisation", "models", "local_keys"])
@pytest.mark.parametrize("garbage", [b"", b"{}", b"[" * 50_000, b"\xff", b'{"kind": 1}'])
def test_garbage_that_was_signed_is_refused(site, desk, name, garbage):
    if name == "authorisation":
        desk.publish(contents(garbage))
    else:
        desk.publish(contents(**{name: garbage}))
    site.refuses("contents are refused")


def test_an_authorisation_that_contradicts_itself_is_refused(site, desk):
    authorisation = an_authorisation(version=2)
    alone = msgspec.structs.replace(authorisation, custodian=authorisation.officer)
    desk.publish(contents(alone))
    site.refuses("one person")


def test_a_bundle_for_other_devices_is_refused(site, desk):
    desk.publish(contents(an_authorisation(devices=["urn:passerby:site-2:device-1"])))
    site.refuses("not for this device")


# What is installed


def test_every_start_finds_any_damage_to_what_is_installed(site):
    release = site.state / "bundle" / site.first.release
    for path in sorted(release.rglob("*")):
        if path.is_symlink() or path.is_dir():
            continue
        whole = path.read_bytes()
        for content in (None, whole[:-1], whole + b"x", bytes([whole[0] ^ 1]) + whole[1:]):
            path.unlink()
            if content is not None:
                path.write_bytes(content)
            with pytest.raises(BundleError, match="bundle"):
                site.checked()
            path.write_bytes(whole)
    assert site.checked() == site.first


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_the_same_stick_heals_a_damaged_target(site, name):
    path = site.state / "bundle" / site.first.release / TARGETS / name
    path.write_bytes(b"damaged")
    assert site.offer() != site.first
    assert site.checked().sha256 == site.first.sha256


@pytest.mark.parametrize("name", ["timestamp.json", "snapshot.json", "targets.json", "root.json"])
def test_without_a_whole_floor_nothing_is_installed(site, desk, name):
    # python-tuf passes over a damaged cache, and would then take an older bundle.
    old = site.copy(site.stick.with_name("old"))
    desk.publish()
    second = site.offer()
    path = site.state / "bundle" / second.release / METADATA / name
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(BundleError, match="nobody can say whether this one is older"):
        site.offer(old)

"""The desk's manifests: what stays after erasure, what it answers; damage is said (R27)."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest

from device.errors import StorageError
from device.protocol.alert import ListVersion
from device.protocol.identifiers import utc_ns
from device.protocol.manifest import Listing, Manifest
from tests.conftest import ROOT
from tools.desk.rights.manifests import INDEX, Manifests
from tools.desk.rights.names import Subject

KEY = bytes(range(32))
ONE = "11111111-1111-7111-8111-111111111111"
OTHER = "22222222-2222-7222-8222-222222222222"
ANNA = Subject("Anna Maria Zylberstein", "1990-12-31")
BOB = Subject("Robert Quarles", "1985-01-02")
DAY = "2026-09-{:02}T00:00:00.000Z"


def manifest(version=1, deployment=ONE, references=("r-1", "r-2"), day=1):
    listings = [Listing(one, DAY.format(day), "unknown", "ab" * 32) for one in references]
    return Manifest(
        deployment, ListVersion("list-1", version), "unknown", "unknown", "", "cd" * 32, listings
    )


def publish(manifests, **options):
    one = manifest(**options)
    people = {"r-1": ANNA, "r-2": BOB}
    manifests.published(
        one, {each.reference_id: people[each.reference_id] for each in one.listings}
    )


@pytest.fixture
def manifests(tmp_path):
    return Manifests(tmp_path / "manifests", KEY)


def ids(found):
    return [(one.deployment, one.watchlist.version, one.listing.reference_id) for one in found]


def test_after_erasure_was_this_person_on_a_list_is_still_answered(manifests):
    publish(manifests)
    manifests.ended(ONE, DAY.format(8), "the last window is over")
    (found,) = manifests.find(subject=Subject("zylberstein anna-maria", "1990-12-31"))
    assert ids([found]) == [(ONE, 1, "r-1")]
    assert found.agreement == "whole name"
    assert (found.listing.from_at, found.listing.until_at) == (DAY.format(1), DAY.format(8))
    assert (found.erased_at, found.reason) == (DAY.format(8), "the last window is over")
    assert not found.running
    assert manifests.find(subject=Subject("Anna Maria Zylberstein", "1990-12-30")) == []
    assert manifests.find(subject=Subject("Nobody Here", "1990-12-31")) == []


def test_a_reference_is_found_by_its_id(manifests):
    publish(manifests)
    (found,) = manifests.find(reference_id="r-2")
    assert found.agreement == "reference id"
    assert found.running
    assert manifests.find(reference_id="r-3") == []


def test_only_listings_that_touch_the_dates_are_answered(manifests):
    publish(manifests)
    manifests.ended(ONE, DAY.format(8), "over")
    for since, until, hits in ((1, 1, 1), (8, 9, 1), (9, 20, 0), (4, 5, 1)):
        found = manifests.find(
            subject=ANNA, from_ns=utc_ns(DAY.format(since)), until_ns=utc_ns(DAY.format(until))
        )
        assert len(found) == hits, (since, until)
    assert manifests.find(subject=ANNA, until_ns=utc_ns(DAY.format(1)) - 1) == []


def test_all_deployments_are_searched_running_and_erased(manifests):
    publish(manifests)
    manifests.ended(ONE, DAY.format(8), "over")
    publish(manifests, deployment=OTHER, day=9)
    found = manifests.find(subject=ANNA)
    assert ids(found) == [(ONE, 1, "r-1"), (OTHER, 1, "r-1")]
    assert [one.running for one in found] == [False, True]


def test_a_new_version_closes_the_one_before_of_the_same_deployment_only(manifests):
    publish(manifests)
    publish(manifests, deployment=OTHER)
    publish(manifests, version=2, references=("r-2",), day=5)
    found = {ids([one])[0]: one for one in manifests.find(subject=ANNA)}
    assert found[(ONE, 1, "r-1")].listing.until_at == DAY.format(5)
    assert found[(ONE, 1, "r-1")].erased_at == DAY.format(5)
    assert found[(OTHER, 1, "r-1")].erased_at == "unknown"
    newest = {ids([one])[0]: one.erased_at for one in manifests.find(reference_id="r-2")}
    assert newest[(ONE, 1, "r-2")] == DAY.format(5)
    assert newest[(ONE, 2, "r-2")] == newest[(OTHER, 1, "r-2")] == "unknown"


def test_a_version_that_was_only_replaced_counts_as_running_until_its_deployment_ends(manifests):
    """R38: whoever was on the version before is likely on the newest; "ended" must not tell."""
    publish(manifests)
    publish(manifests, version=2, day=5)
    assert [one.running for one in manifests.find(subject=ANNA)] == [True, True]
    manifests.ended(ONE, DAY.format(8), "over")
    assert [one.running for one in manifests.find(subject=ANNA)] == [False, False]


def test_a_revoked_reference_ends_and_the_others_go_on(manifests):
    publish(manifests)
    manifests.revoked(ONE, "r-1", DAY.format(3), "acquitted")
    manifests.ended(ONE, DAY.format(8), "over")
    assert manifests.find(reference_id="r-1")[0].listing.until_at == DAY.format(3)
    assert manifests.find(reference_id="r-2")[0].listing.until_at == DAY.format(8)


def test_a_listing_that_expired_earlier_keeps_its_own_end(manifests, tmp_path):
    one = manifest(references=("r-1",))
    early = Listing("r-1", DAY.format(1), DAY.format(2), "ab" * 32)
    manifests.published(
        Manifest(ONE, one.watchlist, "unknown", "unknown", "", "cd" * 32, [early]), {"r-1": ANNA}
    )
    manifests.ended(ONE, DAY.format(8), "over")
    assert manifests.find(subject=ANNA)[0].listing.until_at == DAY.format(2)


def test_publishing_again_after_an_interruption_changes_nothing(manifests):
    publish(manifests)
    publish(manifests)
    assert len(manifests.all()) == 1


def test_what_stays_names_nobody(manifests, tmp_path):
    publish(manifests)
    manifests.ended(ONE, DAY.format(8), "over")
    kept = b"".join(path.read_bytes() for path in (tmp_path / "manifests").iterdir()).lower()
    # With the hyphen: four digits alone stand in some digest now and then.
    for word in (b"anna", b"zylberstein", b"quarles", b"robert", b"1990-", b"1985-", b"12-31"):
        assert word not in kept


def test_without_the_rights_key_nothing_is_answered(manifests, tmp_path):
    publish(manifests)
    with pytest.raises(StorageError, match="not of this desk"):
        Manifests(tmp_path / "manifests", bytes(32)).find(subject=ANNA)


def test_a_list_whose_people_are_not_all_known_is_not_kept(manifests):
    for people in ({"r-1": ANNA}, {"r-1": ANNA, "r-2": BOB, "r-3": BOB}, {}):
        with pytest.raises(StorageError, match="do not agree"):
            manifests.published(manifest(), people)
    assert manifests.all() == []


def files(tmp_path):
    return sorted((tmp_path / "manifests").glob("*.manifest"))


def test_a_file_with_any_byte_changed_or_cut_is_one_sentence_and_never_skipped(manifests, tmp_path):
    publish(manifests)
    publish(manifests, deployment=OTHER)
    path = files(tmp_path)[0]
    whole = path.read_bytes()
    for at in range(0, len(whole), 37):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(StorageError, match=r"cut, altered or not of this desk"):
                manifests.find(subject=ANNA)
    path.write_bytes(whole)
    assert len(manifests.find(subject=ANNA)) == 2


def test_a_file_that_is_gone_is_missed(manifests, tmp_path):
    publish(manifests)
    publish(manifests, deployment=OTHER)
    files(tmp_path)[0].unlink()
    with pytest.raises(StorageError, match="is gone"):
        manifests.find(reference_id="r-9")


def test_an_index_that_is_gone_is_missed(manifests, tmp_path):
    publish(manifests)
    (tmp_path / "manifests" / INDEX).unlink()
    with pytest.raises(StorageError, match="is gone"):
        manifests.all()


def test_a_foreign_file_and_one_under_another_name_are_said(manifests, tmp_path):
    publish(manifests)
    path = files(tmp_path)[0]
    foreign = path.with_name("foreign.manifest")
    foreign.write_bytes(b"{}")
    with pytest.raises(StorageError, match=r"foreign\.manifest"):
        manifests.all()
    foreign.write_bytes(path.read_bytes())
    with pytest.raises(StorageError, match="another manifest than its name"):
        manifests.all()


def test_only_what_was_erased_long_ago_goes(manifests, tmp_path):
    publish(manifests)
    manifests.ended(ONE, DAY.format(8), "over")
    publish(manifests, deployment=OTHER)
    assert manifests.erase_before(utc_ns(DAY.format(8))) == 0
    assert manifests.erase_before(utc_ns(DAY.format(9))) == 1
    assert [one.deployment for one in manifests.all()] == [OTHER]
    assert len(files(tmp_path)) == 1


def test_a_manifest_file_is_for_its_owner_only(manifests, tmp_path):
    publish(manifests)
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}


def test_a_kill_at_any_moment_leaves_manifests_that_can_be_read(tmp_path):
    """kill -9 while versions are published one after the other; what is there is whole."""
    code = textwrap.dedent(
        f"""
        import itertools, sys
        sys.path.insert(0, {str(ROOT)!r})
        from pathlib import Path
        from tests.unit.test_rights_manifests import KEY, Manifests, publish
        one = Manifests(Path({str(tmp_path / "manifests")!r}), KEY)
        start = len(one.all())
        for version in itertools.count(start + 1):
            publish(one, version=version)
            print(version, flush=True)
        """
    )
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        said = [int(process.stdout.readline()) for _ in range(3)]
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0]
        said += [int(line) for line in rest.splitlines() if re.fullmatch(r"\d+", line)]
        there = Manifests(tmp_path / "manifests", KEY).all()
        assert max(said) in {one.watchlist.version for one in there}
        assert len(there) in {max(said), max(said) + 1}


def test_the_manifest_inside_is_the_protocols_own(manifests, tmp_path):
    publish(manifests)
    content = files(tmp_path)[0].read_bytes().partition(b"\n")[2]
    assert json.loads(content)["manifest"]["kind"] == "passerby manifest 1"

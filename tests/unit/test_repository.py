"""The desk's repository: what may be staged, signed and published, and what a client takes."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater

from device.errors import ConfigurationError, StorageError
from device.protocol.bundle import TARGET_NAMES, WATCHLIST
from tests.simulators.repository import an_authorisation, contents
from tools.desk.repository import Repository
from tools.desk.repository.holders import public_half
from tools.desk.repository.roots import Keyholders, make_root
from tools.desk.repository.storage import alone

NOW_NS = time.time_ns()
DAY_S = 86_400.0
DAY_NS = 86_400 * 10**9
END_NS = NOW_NS + 30 * DAY_NS
YEAR_NS = NOW_NS + 365 * DAY_NS


class Office:
    """Six people with their keys in memory, and the roots they have signed."""

    def __init__(self, officer="Authorising officer 7", custodian="Custodian 9"):
        self.signers = {
            name: CryptoSigner.generate_ed25519()
            for name in ("root 1", "root 2", "root 3", "officer", "custodian", "publishing")
        }
        self.holders = {
            "root 1": "Chief 1",
            "root 2": "Chief 2",
            "root 3": "Chief 3",
            "officer": officer,
            "custodian": custodian,
            "publishing": "Desk 4",
        }
        self.roots = []
        self.next_root()

    def half(self, name):
        role = name.split()[0]
        return public_half(self.signers[name].public_key, role, self.holders[name])

    def keyholders(self):
        return Keyholders(
            tuple(self.half(f"root {number}") for number in (1, 2, 3)),
            self.half("officer"),
            self.half("custodian"),
            self.half("publishing"),
        )

    def next_root(self, by=(), expires_ns=YEAR_NS):
        """Sign the next root with `by` and with the present root keys 1 and 2."""
        made = make_root(self.keyholders(), len(self.roots) + 1, expires_ns)
        for signer in (*by, self.signers["root 1"], self.signers["root 2"]):
            made.sign(signer, append=True)
        self.roots.append(made.to_bytes())

    def change(self, *names):
        """Give people new keys; return the old ones."""
        old = [self.signers[name] for name in names]
        self.signers |= {name: CryptoSigner.generate_ed25519() for name in names}
        return old

    def repository(self, folder):
        return Repository.create(folder, self.roots)

    def staged(self, folder, word=b"first"):
        """A repository with something staged that nobody has signed."""
        repository = self.repository(folder)
        repository.stage(bundle(word), END_NS, NOW_NS)
        return repository

    def published(self, folder, word=b"first"):
        repository = self.repository(folder)
        self.publish(repository, word)
        return repository

    def publish(self, repository, word, now_ns=NOW_NS):
        repository.stage(bundle(word), END_NS, now_ns)
        repository.sign(self.signers["officer"])
        repository.sign(self.signers["custodian"])
        return repository.publish(self.signers["publishing"], now_ns, 7 * DAY_S)


def bundle(word=b"first"):
    """The five targets; word: what the sealed list consists of."""
    return contents() | {WATCHLIST: word * 1000}


class FolderFetcher(FetcherInterface):
    """Reads `file:` addresses; a missing file is a 404, as python-tuf expects of a server."""

    def _fetch(self, url):
        path = Path(url.removeprefix("file:"))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        yield path.read_bytes()


def client(folder, root, cache):
    """python-tuf's own client on a repository's folder, pinned to a root."""
    cache.mkdir(exist_ok=True)
    return Updater(
        metadata_dir=str(cache),
        metadata_base_url=f"file:{folder}/metadata/",
        target_dir=str(cache),
        target_base_url=f"file:{folder}/targets/",
        fetcher=FolderFetcher(),
        bootstrap=root,
    )


def taken(folder, root, cache):
    """What a client gets after verifying everything, by name."""
    updater = client(folder, root, cache)
    updater.refresh()
    found = {}
    for name in TARGET_NAMES:
        target = updater.get_targetinfo(name)
        found[name] = Path(updater.download_target(target)).read_bytes()
    return found


def public_files(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for room in ("metadata", "targets")
        for path in (folder / room).iterdir()
    }


@pytest.fixture
def office():
    return Office()


def test_python_tufs_own_client_takes_what_is_published(office, tmp_path):
    office.published(tmp_path / "r")
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()


def test_a_client_follows_from_one_list_to_the_next(office, tmp_path):
    repository = office.published(tmp_path / "r")
    taken(tmp_path / "r", office.roots[0], tmp_path / "cache")
    office.publish(repository, b"second", NOW_NS + 10**9)
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle(b"second")


@pytest.mark.parametrize(
    ("signs", "missing"), [("officer", "Custodian 9"), ("custodian", "Authorising officer 7")]
)
def test_with_one_signature_nothing_is_published(office, tmp_path, signs, missing):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers[signs])
    before = public_files(tmp_path / "r")
    with pytest.raises(ConfigurationError, match=rf"signed by both.*R5.*{missing}"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)
    assert public_files(tmp_path / "r") == before
    assert repository.published() is None


def test_one_person_does_not_sign_twice(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    with pytest.raises(
        ConfigurationError, match=r"has signed this already; Custodian 9 .* missing"
    ):
        repository.sign(office.signers["officer"])
    assert repository.signed_by() == ["Authorising officer 7"]


@pytest.mark.parametrize("name", ["root 1", "publishing", "stranger"])
def test_only_officer_and_custodian_sign_a_list(office, tmp_path, name):
    office.signers["stranger"] = CryptoSigner.generate_ed25519()
    repository = office.staged(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="Authorising officer 7 and Custodian 9"):
        repository.sign(office.signers[name])
    assert repository.signed_by() == []


@pytest.mark.parametrize("name", ["root 1", "officer", "custodian"])
def test_only_the_publishing_key_publishes(office, tmp_path, name):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    repository.sign(office.signers["custodian"])
    with pytest.raises(ConfigurationError, match=r"not the publishing key.*Desk 4"):
        repository.publish(office.signers[name], NOW_NS, DAY_S)
    assert repository.published() is None


def test_a_signer_whose_signatures_are_not_of_its_key_leaves_nothing(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    other = CryptoSigner.generate_ed25519()
    other._public_key = office.signers["officer"].public_key
    with pytest.raises(ConfigurationError, match="not of Authorising officer 7's key"):
        repository.sign(other)
    assert repository.signed_by() == []
    assert not repository.staged().metadata.signatures


def test_a_staged_file_that_was_exchanged_is_not_signed(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    (staged,) = (tmp_path / "r/staged").glob("*.watchlist.sealed")
    staged.write_bytes(b"another list")
    with pytest.raises(ConfigurationError, match=r"watchlist\.sealed is not the file"):
        repository.sign(office.signers["officer"])
    staged.unlink()
    with pytest.raises(ConfigurationError, match=r"watchlist\.sealed is not the file"):
        repository.sign(office.signers["officer"])


def test_a_file_that_was_exchanged_after_both_signed_is_not_published(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    repository.sign(office.signers["custodian"])
    (staged,) = (tmp_path / "r/staged").glob("*.watchlist.sealed")
    staged.write_bytes(b"another list")
    with pytest.raises(ConfigurationError, match=r"watchlist\.sealed is not the file"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)
    assert repository.published() is None


def test_the_custodian_does_not_sign_what_was_changed_after_the_officer(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    path = tmp_path / "r/staged/targets.json"
    changed = Metadata.from_bytes(path.read_bytes())
    changed.signed.expires += timedelta(days=300)
    path.write_bytes(changed.to_bytes())
    with pytest.raises(ConfigurationError, match="not what Authorising officer 7 has signed"):
        repository.sign(office.signers["custodian"])
    assert repository.signed_by() == []


def test_what_was_staged_while_somebody_was_reading_is_not_signed(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    seen = repository.staged().digest
    repository.stage(bundle(b"second"), END_NS, NOW_NS)
    with pytest.raises(ConfigurationError, match="Something else was staged"):
        repository.sign(office.signers["officer"], seen)
    repository.sign(office.signers["officer"], repository.staged().digest)
    assert repository.signed_by() == ["Authorising officer 7"]


def test_staging_again_forgets_signatures(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    repository.stage(bundle(b"second"), END_NS, NOW_NS)
    assert repository.signed_by() == []
    assert len(list((tmp_path / "r/staged").iterdir())) == len(TARGET_NAMES) + 1


@pytest.mark.parametrize(
    ("people", "named"),
    [({"officer": "Officer 8"}, "Officer 8 as its officer"), ({"custodian": "C 1"}, "C 1 as its")],
)
def test_whoever_the_authorisation_names_is_who_signs(office, tmp_path, people, named):
    repository = office.repository(tmp_path / "r")
    with pytest.raises(ConfigurationError, match=rf"names {named}.*R5"):
        repository.stage(contents(an_authorisation(**people)), END_NS, NOW_NS)
    assert repository.staged() is None


def test_a_name_may_be_spelt_with_other_capitals_and_blanks(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    files = contents(an_authorisation(officer="AUTHORISING  officer 7"))
    assert repository.stage(files, END_NS, NOW_NS).missing[0] == "Authorising officer 7 (officer)"


def test_an_authorisation_that_cannot_be_read_is_not_staged(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    files = contents() | {"authorisation.json": b"{}"}
    with pytest.raises(ConfigurationError, match="authorisation cannot be signed"):
        repository.stage(files, END_NS, NOW_NS)


def test_a_bundle_has_exactly_its_five_files(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    for files in ({}, bundle() | {"names.txt": b"x"}, {WATCHLIST: b"x"}):
        with pytest.raises(ConfigurationError, match="exactly the files"):
            repository.stage(files, END_NS, NOW_NS)
    with pytest.raises(ConfigurationError, match="65536 at most"):
        repository.stage(bundle() | {"models.json": b"x" * 65_537}, END_NS, NOW_NS)


def test_staging_and_signing_leave_what_is_published_untouched(office, tmp_path):
    repository = office.published(tmp_path / "r")
    before = public_files(tmp_path / "r")
    repository.stage(bundle(b"second"), END_NS, NOW_NS)
    repository.sign(office.signers["officer"])
    repository.sign(office.signers["custodian"])
    assert public_files(tmp_path / "r") == before


def test_everything_expires_and_nothing_outlives_the_deployment(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    repository.stage(bundle(), NOW_NS + DAY_NS, NOW_NS)
    repository.sign(office.signers["officer"])
    repository.sign(office.signers["custodian"])
    repository.publish(office.signers["publishing"], NOW_NS, 7 * DAY_S)
    public = repository.verify()
    end = datetime.fromtimestamp((NOW_NS + DAY_NS) // 10**9, UTC)
    for metadata in (public.targets, public.snapshot, public.timestamp):
        assert metadata.signed.expires == end
    repository.refresh(office.signers["publishing"], NOW_NS, 3600)
    assert repository.verify().timestamp.signed.expires == end - timedelta(hours=23)


def test_a_client_does_not_take_a_list_that_has_ended(office, tmp_path):
    office.published(tmp_path / "r")
    updater = client(tmp_path / "r", office.roots[0], tmp_path / "cache")
    updater._trusted_set.reference_time = datetime.now(UTC) + timedelta(days=8)
    with pytest.raises(ExpiredMetadataError):
        updater.refresh()


def test_a_list_that_has_ended_is_neither_staged_nor_published_nor_refreshed(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="out of date before"):
        repository.stage(bundle(), NOW_NS, NOW_NS)
    office.publish(repository, b"first")
    publishing = office.signers["publishing"]
    with pytest.raises(ConfigurationError, match="it is not published"):
        repository.publish(publishing, END_NS, DAY_S)
    with pytest.raises(ConfigurationError, match="can only be replaced"):
        repository.refresh(publishing, END_NS, DAY_S)


def test_a_list_may_not_outlive_its_root(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="root rotate"):
        repository.stage(bundle(), YEAR_NS + DAY_NS, NOW_NS)
    repository.stage(bundle(), YEAR_NS, NOW_NS)


def test_refreshing_signs_a_new_timestamp_and_nothing_else(office, tmp_path):
    repository = office.published(tmp_path / "r")
    before, version = public_files(tmp_path / "r"), repository.verify().timestamp.signed.version
    assert repository.refresh(office.signers["publishing"], NOW_NS, DAY_S) == version + 1
    after = public_files(tmp_path / "r")
    assert {path for path in after if after[path] != before.get(path)} == {
        Path("metadata/timestamp.json")
    }
    assert before.keys() == after.keys()
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()


def test_the_next_deployment_is_no_rollback_of_the_one_before(office, tmp_path):
    first = office.published(tmp_path / "one")
    office.publish(first, b"again", NOW_NS + DAY_NS)
    taken(tmp_path / "one", office.roots[0], tmp_path / "cache")
    second = office.repository(tmp_path / "two")
    office.publish(second, b"other", NOW_NS + 2 * DAY_NS)
    found = taken(tmp_path / "two", office.roots[0], tmp_path / "cache")
    assert found == bundle(b"other")


def test_a_desk_whose_clock_went_back_still_counts_up(office, tmp_path):
    repository = office.published(tmp_path / "r")
    before = repository.verify()
    office.publish(repository, b"second", NOW_NS - 10 * DAY_NS)
    after = repository.verify()
    assert after.version == before.version + 1
    assert after.snapshot.signed.version == before.snapshot.signed.version + 1
    assert after.timestamp.signed.version == before.timestamp.signed.version + 1


def test_the_list_before_is_kept_for_its_readers_and_older_ones_go(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    for word in (b"first", b"second", b"third"):
        office.publish(repository, word)
    lists = {path.read_bytes()[:5] for path in (tmp_path / "r/targets").glob("*.watchlist.sealed")}
    assert lists == {b"secon", b"third"}
    assert len(list((tmp_path / "r/metadata").glob("*.targets.json"))) == 2


def test_what_is_published_can_be_published_again_after_a_crash(office, tmp_path):
    repository = office.published(tmp_path / "r")
    version = repository.verify().version
    assert repository.staged() is None
    assert repository.publish(office.signers["publishing"], NOW_NS, DAY_S) == version
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()
    repository.clear()
    with pytest.raises(ConfigurationError, match="Nothing is staged"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()


def test_what_was_staged_before_something_newer_came_out_is_not_published(office, tmp_path):
    repository = office.repository(tmp_path / "r")
    repository.stage(bundle(b"old"), END_NS, NOW_NS)
    for name in ("officer", "custodian"):
        repository.sign(office.signers[name])
    kept = {path: path.read_bytes() for path in (tmp_path / "r/staged").iterdir()}
    office.publish(repository, b"new")
    for path, content in kept.items():
        path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="published already"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle(b"new")


def test_two_commands_do_not_work_on_one_repository(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    with (
        alone(tmp_path / "r"),
        pytest.raises(StorageError, match="Another command works on"),
    ):
        repository.sign(office.signers["officer"])
    repository.sign(office.signers["officer"])


def test_a_repository_is_not_made_over_another(office, tmp_path):
    office.published(tmp_path / "r")
    with pytest.raises(ConfigurationError, match="repository already"):
        office.repository(tmp_path / "r")


@pytest.mark.parametrize("cut", [0, 1, 300])
@pytest.mark.parametrize("name", ["timestamp.json", "*.snapshot.json", "*.targets.json"])
def test_cut_metadata_are_found_and_nothing_is_copied(office, tmp_path, name, cut):
    repository = office.published(tmp_path / "r")
    (path,) = (tmp_path / "r/metadata").glob(name)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(StorageError, match=r"damaged|not the file"):
        repository.copy_to(tmp_path / "stick")
    assert not (tmp_path / "stick").exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"signed": {}}', b"\xff" * 100])
def test_staged_rubbish_is_neither_signed_nor_published(office, tmp_path, content):
    repository = office.staged(tmp_path / "r")
    (tmp_path / "r/staged/targets.json").write_bytes(content)
    with pytest.raises(StorageError, match="stage it again"):
        repository.sign(office.signers["officer"])
    (tmp_path / "r/staged/targets.json").write_bytes(office.roots[0])
    with pytest.raises(StorageError, match="stage it again"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)

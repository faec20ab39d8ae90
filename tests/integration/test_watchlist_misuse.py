"""What must not get past the desk: forged summaries, people taken off meanwhile, keys left behind.

Each test does what a person in a hurry, a crash or somebody with write access to the folder does.
"""

import json
import sqlite3

import pytest
from msgspec import structs

from device.protocol.authorisation import decode_authorisation
from device.protocol.keys import PrivateKeys, encode_keys
from tests.integration.test_watchlist_authoring import (  # noqa: F401 - fixtures among them
    _one_passphrase_is_derived_once,
    agency,
    configured,
    first_desk,
    first_list,
    first_seal,
    orders_of,
    photographs,
    sealed,
)
from tools.desk.repository.repository import Repository
from tools.desk.rights.findings import manifests_of, open_deployments
from tools.desk.shown import shown_device
from tools.desk.watchlist import upkeep, vault
from tools.desk.watchlist.folder import Workplace
from tools.desk.watchlist.gateway import Gateway
from tools.desk.watchlist.keepers import open_identity

FIRST, SECOND = "urn:passerby:s-7f3a:d-01", "urn:passerby:s-7f3a:d-02"


class Killed(BaseException):
    """As if the process had died here."""


def killed(*_, **__):
    raise Killed


@pytest.fixture
def signed(sealed):  # noqa: F811
    """A desk whose list both have signed."""
    sealed.sign("officer")
    sealed.sign("custodian")
    return sealed


@pytest.fixture
def config(signed):
    """The gateway of that desk."""
    return configured(signed)


def again(desk):
    """Seal once more, and let both sign."""
    desk.seal()
    desk.sign("officer")
    desk.sign("custodian")


def acquit(desk, reference, *line, expected=0):
    words = ["--reference", reference, "--disposition", "acquitted", "--by", "Custodian 2208"]
    return desk.watchlist("disposition", *words, *line, expected=expected)


def refresh(desk, *line, expected=0):
    key = ["--key", desk.agency / "keys/publishing.pem", "--passphrase-file", desk.secret]
    words = ["watchlist", "refresh", "--deployment", desk.deployment.folder, *key, *line]
    return desk.run(*words, expected=expected)


def copy(desk, expected=0):
    words = ["watchlist", "copy", "--deployment", desk.deployment.folder]
    return desk.run(*words, "--to", desk.folder / "stick", expected=expected)


def rows(desk, query):
    with sqlite3.connect(desk.folder / "gateway/desk.db") as connection:
        return connection.execute(query).fetchall()


def keys_at_gateway(desk):
    return rows(desk, "select deployment from deployment_keys where wrapped_key is not null")


def offered(desk):
    found = rows(desk, "select source from bundle_offers where bundle is not null order by source")
    return [source for (source,) in found]


def manifests(desk):
    return manifests_of(desk.deployment.workplace, desk.opened().vault)


def steal(desk, config, device):
    where = ["--site", "s-7f3a", "--device", device, "--config", config]
    desk.run("devices", "stolen", *where)


# What signers see, and who gets the key.


def test_signers_see_the_staged_authorisation_and_no_file_beside_it(sealed):  # noqa: F811
    path = sealed.deployment.shown
    counts = json.loads(path.read_text())
    assert set(counts) == {"entries", "categories", "offences", "digests", "kind"}
    path.write_text(json.dumps(counts | {"authorisation": {"objective": "Something harmless"}}))
    assert "damaged" in sealed.sign("officer", expected=9)
    path.write_text(json.dumps(counts))
    staged = decode_authorisation(sealed.staged("authorisation.json"))
    said = sealed.sign("officer")
    devices = [shown_device(source) for source in staged.devices]
    for text in (staged.objective, staged.place, *devices, staged.windows[0].ends_at):
        assert text in said


def test_an_exchanged_authorisation_is_neither_shown_nor_signed(sealed):  # noqa: F811
    (path,) = sealed.deployment.repository.glob("staged/*authorisation.json")
    path.write_bytes(path.read_bytes().replace(b"s-7f3a:d-02", b"s-7f3a:d-09"))
    said = sealed.sign("officer", expected=2)
    assert "not the file that is to be signed" in said
    assert "d-09" not in said


def test_the_key_goes_to_the_devices_that_both_have_signed_for(signed, config):
    path = signed.deployment.shown
    path.write_text(path.read_text().replace("passerby sealed", "other sealed"))
    signed.publish("--config", config)
    members = rows(signed, "select source from deployment_devices order by source")
    assert members == [(FIRST,), (SECOND,)]
    assert offered(signed) == [FIRST, SECOND]
    path.unlink()
    refresh(signed, "--config", config)
    assert offered(signed) == [FIRST, SECOND]


# Publishing: register and manifest first, under one lock.


def test_whoever_is_suspended_after_sealing_is_not_published(signed, monkeypatch):
    reference = signed.references()[0]
    monkeypatch.setattr(Repository, "clear", killed)
    with pytest.raises(Killed):
        acquit(signed, reference)
    monkeypatch.undo()
    # What is published goes out no more, whether or not the register knows why already.
    assert signed.deployment.withdrawn.exists()
    acquit(signed, reference)
    assert "knows of no sealed list" in signed.publish(expected=9)
    assert not (signed.deployment.repository / "metadata/timestamp.json").exists()


def test_a_register_that_suspends_somebody_stops_what_both_have_signed(signed):
    reference = signed.references()[0]
    with_suspended(signed, reference)
    said = signed.publish(expected=9)
    assert f"{reference}: suspended or revoked since" in said
    assert not (signed.deployment.repository / "metadata/timestamp.json").exists()
    assert not list(signed.workplace.rglob("*.manifest"))


def with_suspended(desk, reference):
    """Write it into the register alone, as a command does that is killed right afterwards."""
    held = desk.opened()
    entry = held.register.entry(reference)
    changed = upkeep.with_disposition(entry, "acquitted", held.today)
    held.keep(held.register.with_entry(changed))


def test_a_bundle_that_is_not_the_one_sealed_last_is_not_published(signed):
    other = signed.copied(signed.folder / "other")
    again(other)
    held = signed.opened()
    held.keep(other.opened().register)
    assert "another one than was sealed last" in signed.publish(expected=9)
    assert not list(signed.workplace.glob("rights/manifests/*.manifest"))


def test_an_ended_deployment_publishes_nothing(signed):
    signed.deployment.key.unlink()
    assert "is ending" in signed.publish(expected=9)
    assert not (signed.deployment.repository / "metadata/timestamp.json").exists()


def test_nobody_changes_the_register_while_it_is_published(signed, monkeypatch):
    publish, said = Repository.publish, []

    def meanwhile(repository, *rest):
        said.append(acquit(signed, signed.references()[0], expected=9))
        return publish(repository, *rest)

    monkeypatch.setattr(Repository, "publish", meanwhile)
    signed.publish()
    assert "Somebody else is changing" in said[0]
    assert not signed.opened().register.entry(signed.references()[0]).suspended


def test_the_manifest_is_there_before_the_list_gets_out(signed, monkeypatch):
    monkeypatch.setattr(Repository, "publish", killed)
    with pytest.raises(Killed):
        signed.publish()
    monkeypatch.undo()
    (kept,) = manifests(signed).all()
    assert {one.reference_id for one in kept.listings} == set(signed.references())
    signed.publish()
    assert len(manifests(signed).all()) == 1


def test_without_a_manifest_nothing_is_published(signed):
    folder = signed.deployment.workplace.manifests
    folder.mkdir(parents=True)
    (folder / "junk.manifest").write_text("junk")
    signed.publish(expected=9)
    assert not (signed.deployment.repository / "metadata/timestamp.json").exists()


def test_a_published_list_without_a_manifest_is_neither_copied_nor_followed(signed):
    signed.publish()
    (kept,) = signed.deployment.workplace.manifests.glob("*.manifest")
    kept.unlink()
    for said in (copy(signed, 9), refresh(signed, expected=9), signed.seal(expected=9)):
        assert "has no manifest" in said


def test_what_lists_somebody_who_was_suspended_is_given_out_no_more(signed, config):
    signed.publish("--config", config)
    copy(signed)
    reference = signed.references()[0]
    acquit(signed, reference, "--config", config)
    assert offered(signed) == []
    assert "given out no more" in copy(signed, 9)
    assert "given out no more" in refresh(signed, "--config", config, expected=9)
    assert offered(signed) == []
    signed.watchlist("revoke", "--reference", reference, "--reason", "acquitted")
    again(signed)
    assert "given out no more" in refresh(signed, expected=9)
    signed.publish("--config", config)
    assert offered(signed) == [FIRST, SECOND]
    refresh(signed, "--config", config)
    copy(signed)


def test_what_lists_somebody_who_was_revoked_is_given_out_no_more(signed):
    signed.publish()
    reference = signed.references()[0]
    signed.watchlist("revoke", "--reference", reference, "--reason", "acquitted")
    assert "given out no more" in copy(signed, 9)


def test_the_gateway_opens_the_list_in_force_only(signed, config):
    signed.publish("--config", config)
    again(signed)
    signed.publish("--config", config)
    held = signed.opened().register
    assert rows(signed, "select version, sealed_sha256 from deployment_lists") == [
        (2, held.sealed.sealed_sha256)
    ]


# The end, and the gateway's key.


@pytest.mark.parametrize("forgets", ["nothing", "the mark", "the register"])
def test_a_list_that_a_gateway_opens_is_not_ended_without_it(signed, config, forgets):
    signed.publish("--config", config)
    deployment = signed.deployment
    if forgets == "the mark":
        deployment.at_gateway.unlink()
    if forgets == "the register":
        deployment.register.unlink()
    end = ["--reason", "over", "--yes"]
    assert "--config" in signed.watchlist("end", *end, expected=2)
    assert deployment.key.exists()
    assert keys_at_gateway(signed)
    signed.watchlist("end", *end, "--config", config)
    assert keys_at_gateway(signed) == []
    assert offered(signed) == []


def test_a_gateway_that_is_gone_for_good_holds_up_no_end(signed, config):
    signed.publish("--config", config)
    signed.watchlist("end", "--reason", "over", "--yes", "--gateway-gone")
    assert not signed.deployment.key.exists()
    assert not signed.deployment.at_gateway.exists()


def test_an_end_that_the_gateway_missed_is_repeated_without_a_register(signed, config, monkeypatch):
    signed.publish("--config", config)
    end = ["--reason", "over", "--yes", "--config", config]

    def locked(*_):
        return ["The database is locked."]

    monkeypatch.setattr(Gateway, "destroy", locked)
    monkeypatch.setattr(Gateway, "end", locked)
    assert "still has to be told" in signed.watchlist("end", *end, expected=9)
    monkeypatch.undo()
    assert not signed.deployment.register.exists()
    assert keys_at_gateway(signed)
    assert "--config" in signed.watchlist("end", "--reason", "o", "--yes", expected=2)
    signed.watchlist("end", *end)
    assert keys_at_gateway(signed) == []
    assert [(one[0], one[1]) for one in orders_of(signed, config)] == [
        (FIRST, "end"),
        (SECOND, "end"),
    ]
    assert not signed.deployment.at_gateway.exists()
    # What is over twice is over.
    signed.watchlist("end", "--reason", "over", "--yes")


def test_the_key_is_marked_as_the_gateways_before_it_has_it(signed, config, monkeypatch):
    monkeypatch.setattr(Gateway, "keep", killed)
    with pytest.raises(Killed):
        signed.publish("--config", config)
    monkeypatch.undo()
    assert signed.deployment.at_gateway.exists()
    assert signed.opened().register.at_gateway


@pytest.mark.parametrize("name", ["key", "templates", "authorisation", "register"])
def test_an_end_that_is_killed_while_it_destroys_a_file_is_repeated(signed, name, monkeypatch):
    signed.publish()
    deployment = signed.deployment
    path = getattr(deployment, name)
    noise = vault.os.urandom

    def at_once(count):
        if not path.exists() and list(deployment.folder.glob(".destroyed-*")):
            raise Killed
        return noise(count)

    monkeypatch.setattr(vault.os, "urandom", at_once)
    end = ["--reason", "over", "--yes"]
    with pytest.raises(Killed):
        signed.watchlist("end", *end)
    monkeypatch.undo()
    assert list(deployment.folder.glob(".destroyed-*"))
    signed.watchlist("end", *end)
    left = {one.name for one in deployment.folder.iterdir()}
    assert left <= {".lock", "bundle", "sealed.json", "withdrawn"}
    assert [one.erased_at != "unknown" for one in _all(signed)] == [True]


def _all(desk):
    """All manifests of a workplace; also after the end."""
    (deployment,) = Workplace(desk.workplace).deployments()
    opened = vault.Vault.of(
        deployment.workplace.recipients, open_identity(desk.keeper, desk.secret)
    )
    return manifests_of(deployment.workplace, opened).all()


def test_a_register_that_is_half_noise_is_gone_once_the_key_is(signed):
    signed.deployment.key.unlink()
    content = signed.deployment.register.read_bytes()
    signed.deployment.register.write_bytes(content[: len(content) // 2] + bytes(200))
    signed.watchlist("end", "--reason", "over", "--yes")
    assert not signed.deployment.register.exists()


def test_a_damaged_register_stops_the_end_while_there_is_a_key(signed):
    signed.deployment.register.write_bytes(b"noise")
    signed.watchlist("end", "--reason", "over", "--yes", expected=9)
    assert signed.deployment.key.exists()


def leftovers(deployment):
    """What killed commands leave."""
    names = [
        ".deployment.key.age.ab12cd34",
        "..deployment.key.age.4711.ab12cd34",
        ".register.age.zz99",
        ".destroyed-0011",
        ".offer-xyz/targets/ab.local-keys.json",
    ]
    made = [deployment.folder / name for name in names]
    made.append(deployment.repository / "targets/.ab.local-keys.json.q1")
    for path in made:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"key and names")
    return made


def test_temporary_files_of_killed_commands_go_at_the_next_opening(signed):
    made = leftovers(signed.deployment)
    signed.watchlist("show")
    assert [path.name for path in made if path.exists()] == [made[-1].name]
    assert not (signed.deployment.folder / ".offer-xyz").exists()
    assert len(signed.references()) == 3


def test_temporary_files_of_killed_commands_go_with_the_end(signed):
    signed.publish()
    made = leftovers(signed.deployment)
    signed.watchlist("end", "--reason", "over", "--yes")
    assert [path for path in made if path.exists()] == []


# Devices: stolen, unknown, left out.


@pytest.mark.parametrize("action", ["disposition", "revoke"])
def test_a_stolen_device_keeps_no_other_from_its_order(signed, config, action):
    signed.publish("--config", config)
    steal(signed, config, "d-01")
    reference = signed.references()[0]
    if action == "disposition":
        said = acquit(signed, reference, "--config", config)
        assert signed.opened().register.entry(reference).suspended
    else:
        line = ["--reference", reference, "--reason", "acquitted", "--config", config]
        said = signed.watchlist("revoke", *line)
        assert reference not in signed.references()
    assert "s-7f3a/d-01: reported stolen" in said
    assert (SECOND, "revoke", reference) in orders_of(signed, config)


def test_an_unknown_device_is_a_fault_that_is_said_when_all_else_is_done(signed, config):
    signed.publish("--config", config)
    reference = signed.references()[0]
    held = signed.opened()
    held.keep(_with_devices(held.register, [*held.register.devices, "urn:passerby:s-7f3a:d-00"]))
    line = ["--reference", reference, "--reason", "acquitted", "--config", config]
    said = signed.watchlist("revoke", *line, expected=9)
    assert "d-00 is not known" in said
    assert reference not in signed.references()
    revoked = [(FIRST, "revoke", reference), (SECOND, "revoke", reference)]
    assert orders_of(signed, config) == revoked
    (kept,) = manifests(signed).all()
    assert [one.until_at for one in kept.listings if one.reference_id == reference] != ["unknown"]
    # Once the device is known, the same command does what is left.
    public = signed.folder / "d-00.pub"
    public.write_bytes(encode_keys(PrivateKeys.generate().public))
    add = ["devices", "add", public, "--site", "s-7f3a", "--device", "d-00", "--config", config]
    signed.run(*add)
    signed.watchlist("revoke", *line)
    assert ("urn:passerby:s-7f3a:d-00", "revoke", reference) in orders_of(signed, config)


def _with_devices(register, devices):
    return structs.replace(register, devices=devices)


def test_a_device_that_the_next_plan_leaves_out_is_told_and_hears_of_revocations(signed, config):
    signed.publish("--config", config)
    signed.authorise(devices='["s-7f3a/d-02"]')
    again(signed)
    signed.publish("--config", config)
    assert orders_of(signed, config) == [(FIRST, "end", None)]
    assert offered(signed) == [SECOND]
    # Once, not with every publishing.
    again(signed)
    signed.publish("--config", config)
    assert orders_of(signed, config) == [(FIRST, "end", None)]
    reference = signed.references()[0]
    acquit(signed, reference, "--config", config)
    assert (FIRST, "revoke", reference) in orders_of(signed, config)
    assert upkeep.devices_of(signed.opened()) == [FIRST, SECOND]


# Damaged side files.


@pytest.mark.parametrize("damage", ["counts", "manifests", "published", "draft"])
def test_what_is_damaged_holds_up_neither_revocation_nor_erasure(signed, damage):
    signed.publish()
    deployment = signed.deployment
    hurt = {
        "counts": deployment.shown,
        "manifests": deployment.workplace.manifests / "junk.manifest",
        "published": next(deployment.repository.glob("targets/*authorisation.json")),
        "draft": deployment.authorisation,
    }[damage]
    hurt.write_bytes(b"{")
    code = 0 if damage == "counts" else 9
    reference = signed.references()[0]
    said = signed.watchlist("revoke", "--reference", reference, "--reason", "x x", expected=code)
    assert "s-7f3a/d-01" in said
    assert reference not in signed.references()
    said = signed.watchlist("end", "--reason", "over", "--yes", expected=code)
    secret = (deployment.key, deployment.register, deployment.templates, deployment.authorisation)
    assert not any(path.exists() for path in secret)
    assert not list(deployment.repository.rglob("*watchlist.sealed"))
    if damage == "manifests":
        hurt.unlink()
        signed.watchlist("end", "--reason", "over", "--yes")
    assert [one.erased_at != "unknown" for one in _all(signed)] == [True]


# Beginning.


def test_a_deployment_that_was_killed_while_it_began_stops_no_question(signed, monkeypatch):
    monkeypatch.setattr(vault.Vault, "make_key", killed)
    with pytest.raises(Killed):
        signed.run("watchlist", "new", "--workplace", signed.workplace)
    monkeypatch.undo()
    (begun,) = (one for one in Workplace(signed.workplace).deployments() if not one.key.exists())
    assert begun.register.exists()
    assert begun.has_ended
    assert len(open_deployments(Workplace(signed.workplace))) == 2

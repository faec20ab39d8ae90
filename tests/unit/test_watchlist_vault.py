"""The vault: ciphertext only, whole files only, one writer only, and sentences for every fault."""

import argparse
import contextlib
import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from device.errors import ConfigurationError, StorageError
from device.protocol.identifiers import uuid7
from device.protocol.watchlist import Reference
from tools.desk.rights.keeping import rights_key_of
from tools.desk.watchlist import keepers
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.folder import Deployment, Workplace
from tools.desk.watchlist.offences import default_offences, read_offences
from tools.desk.watchlist.register import Register, encode_register
from tools.desk.watchlist.session import Session, opened
from tools.desk.watchlist.vault import Vault, destroy, held_alone, read_recipients

SECRET = b"Ottilie Fennimore-Quist 1988-05-17"
NOW_NS = 1_772_352_000_000_000_000


@pytest.fixture
def identity():
    return Identity()


@pytest.fixture
def vault(identity):
    return Vault([identity.public], identity)


def test_what_was_written_is_read_by_every_recipient_and_by_nobody_else(tmp_path, vault, identity):
    other = Identity()
    both = Vault([identity.public, other.public], identity)
    both.write(tmp_path / "x.age", SECRET)
    assert Vault([identity.public], other).read(tmp_path / "x.age") == SECRET
    with pytest.raises(StorageError, match="not encrypted for this identity"):
        Vault([identity.public], Identity()).read(tmp_path / "x.age")
    with pytest.raises(ConfigurationError, match="identity"):
        Vault([identity.public]).read(tmp_path / "x.age")


def test_the_disk_sees_ciphertext_only(tmp_path, vault):
    vault.write(tmp_path / "x.age", SECRET * 1000)
    for path in tmp_path.rglob("*"):
        assert b"Fennimore" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_the_file_is_one_that_any_age_tool_opens(tmp_path, vault):
    vault.write(tmp_path / "x.age", SECRET)
    assert (tmp_path / "x.age").read_bytes().startswith(b"age-encryption.org/v1\n-> X25519 ")


def test_a_file_that_is_cut_or_altered_anywhere_is_refused(tmp_path, vault):
    path = tmp_path / "x.age"
    vault.write(path, SECRET)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(StorageError):
            vault.read(path)
    for place in range(0, len(whole), 5):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StorageError):
            vault.read(path)
    for foreign in (b"", b"PK\x03\x04" * 100, os.urandom(4096), b"age-encryption.org/v1\n"):
        path.write_bytes(foreign)
        with pytest.raises(StorageError, match=r"backup|identity"):
            vault.read(path)


def test_a_full_disk_leaves_the_old_file(tmp_path, vault, monkeypatch):
    path = tmp_path / "x.age"
    vault.write(path, b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space"):
        vault.write(path, SECRET)
    monkeypatch.undo()
    assert vault.read(path) == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.age"]


def test_a_missing_file_says_what_that_means(tmp_path, vault):
    with pytest.raises(StorageError, match="ended"):
        vault.read(tmp_path / "none.age")


def test_a_key_is_made_once_and_has_32_bytes(tmp_path, vault):
    path = tmp_path / "key.age"
    vault.make_key(path)
    key = vault.key(path)
    vault.make_key(path)
    assert vault.key(path) == key
    assert len(key) == 32
    path.unlink()
    vault.write(path, b"short")
    with pytest.raises(StorageError, match="no key"):
        vault.key(path)


def test_of_two_commands_that_make_a_key_at_a_time_one_does_and_both_read_it(
    tmp_path, vault, monkeypatch
):
    path = tmp_path / "key.age"
    exists = type(path).exists
    first = []

    def late(self, *rest):
        answer = exists(self, *rest)
        if self == path and not first:
            first.append(True)
            # After this command has looked, another one runs as a whole.
            vault.make_key(path)
            first.append(vault.key(path))
        return answer

    monkeypatch.setattr(type(path), "exists", late)
    vault.make_key(path)
    assert vault.key(path) == first[1]
    assert [one.name for one in tmp_path.iterdir()] == ["key.age"]


@pytest.mark.parametrize("what", ["pipe", "device", "folder"])
def test_an_identity_that_is_no_file_is_one_sentence(tmp_path, what):
    path = {"pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "folder": tmp_path}[what]
    if what == "pipe":
        os.mkfifo(path)
    with pytest.raises(ConfigurationError, match="it is no file"):
        keepers.open_identity(path, None)


@pytest.mark.parametrize("lines", ["", "# only a comment\n", "age1nonsense\n", "ssh-rsa AAAA\n"])
def test_a_vault_for_nobody_or_for_no_key_is_refused(tmp_path, lines):
    path = tmp_path / "recipients.txt"
    path.write_text(lines)
    with pytest.raises(ConfigurationError):
        Vault.of(path)
    with pytest.raises(ConfigurationError, match="keeper"):
        read_recipients(tmp_path / "missing.txt")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError):
        read_recipients(path)


def test_destroying_overwrites_before_it_unlinks(tmp_path):
    path, twin = tmp_path / "key.age", tmp_path / "twin"
    path.write_bytes(SECRET * 3)
    os.link(path, twin)
    destroy(path)
    assert not path.exists()
    assert twin.stat().st_size == len(SECRET) * 3
    assert b"Fennimore" not in twin.read_bytes()
    destroy(path)


def test_two_people_do_not_write_at_once(tmp_path):
    lock = tmp_path / "d" / ".lock"
    with (
        held_alone(lock),
        pytest.raises(StorageError, match="Somebody else"),
        held_alone(lock),
    ):
        pass
    with held_alone(lock):
        pass


def _write_forever(path, public, started):
    vault = Vault([public])
    started.set()
    while True:
        vault.write(path, SECRET * 2000)


def test_a_writer_that_is_killed_leaves_a_whole_file_and_no_plaintext(tmp_path, vault, identity):
    path = tmp_path / "x.age"
    vault.write(path, SECRET * 2000)
    context = multiprocessing.get_context("fork")
    for _ in range(8):
        started = context.Event()
        writer = context.Process(target=_write_forever, args=(path, identity.public, started))
        writer.start()
        started.wait()
        with contextlib.suppress(ChildProcessError):
            writer.join(0.02)
            os.kill(writer.pid, signal.SIGKILL)
        writer.join()
        assert vault.read(path) == SECRET * 2000
        assert not any(b"Fennimore" in found.read_bytes() for found in tmp_path.iterdir())


# Keepers and sessions.


def options(**named):
    defaults = {"keeper": None, "keeper_passphrase_file": None}
    return argparse.Namespace(**(defaults | named))


@pytest.fixture
def passphrase(tmp_path):
    path = tmp_path / "passphrase"
    path.write_text("heron lantern orbit maple\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def keeper(tmp_path, passphrase):
    """Make a keeper: its identity file."""
    made = options(
        workplace=tmp_path / "w",
        name="Custodian 2208",
        out=tmp_path / "me.age",
        keeper_passphrase_file=passphrase,
    )
    assert keepers.create(made) == 0
    return made.out


def test_an_identity_file_opens_with_its_passphrase_only(tmp_path, keeper, passphrase):
    content = keeper.read_bytes()
    assert b"AGE-SECRET-KEY" not in content
    assert keeper.stat().st_mode & 0o077 == 0
    identity = keepers.open_identity(keeper, passphrase)
    assert read_recipients(tmp_path / "w/recipients.txt") == [identity.public]
    passphrase.write_text("heron lantern orbit mapl\n")
    with pytest.raises(ConfigurationError, match="passphrase is wrong"):
        keepers.open_identity(keeper, passphrase)
    for cut in (b"", content[:40], b"AGE-SECRET-KEY-1XYZ", b"x" * 70_000):
        keeper.write_bytes(cut)
        with pytest.raises(ConfigurationError):
            keepers.open_identity(keeper, passphrase)
    for nothing in (None, tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigurationError):
            keepers.open_identity(nothing, passphrase)


def test_an_identity_is_never_overwritten(tmp_path, keeper, passphrase):
    before = keeper.read_bytes()
    again = options(
        workplace=tmp_path / "w", name="X Y", out=keeper, keeper_passphrase_file=passphrase
    )
    with pytest.raises(StorageError, match="not overwritten"):
        keepers.create(again)
    assert keeper.read_bytes() == before


@pytest.fixture
def deployment(tmp_path, identity):
    workplace = Workplace(tmp_path / "w")
    workplace.folder.mkdir()
    workplace.recipients.write_text(f"{identity.public}\n")
    made = workplace.deployment(uuid7(NOW_NS))
    register = Register(
        made.id, uuid7(NOW_NS), read_offences(default_offences()), [identity.public]
    )
    vault = Vault([identity.public], identity)
    vault.write(made.register, encode_register(register))
    vault.make_key(made.key)
    return made


def test_a_session_refuses_keepers_that_nobody_admitted(deployment, identity):
    recipients = deployment.workplace.recipients
    stranger = Identity()
    recipients.write_text(f"{identity.public}\n{stranger.public}\n")
    with pytest.raises(ConfigurationError, match="other keepers"):
        Session(deployment, identity, NOW_NS)
    recipients.write_text(f"# the same\n{identity.public}\n")
    assert Session(deployment, identity, NOW_NS).register.entries == []


def test_admitting_a_keeper_encrypts_everything_for_both(tmp_path, keeper, passphrase, capsys):
    workplace = Workplace(tmp_path / "w")
    identity = keepers.open_identity(keeper, passphrase)
    made = workplace.deployment(uuid7(NOW_NS))
    vault = Vault.of(workplace.recipients, identity)
    register = Register(
        made.id, uuid7(NOW_NS), read_offences(default_offences()), list(vault.recipients)
    )
    vault.write(made.register, encode_register(register))
    vault.make_key(made.key)
    key = rights_key_of(workplace, vault)
    request = workplace.rights / "requests" / "q-0123456789abcdef.age"
    vault.write(request, b"who asked")
    other = Identity()
    with workplace.recipients.open("a") as file:
        file.write(f"{other.public}\n")
    with pytest.raises(StorageError):
        Session(made, other, NOW_NS)
    named = options(deployment=made.folder, keeper=keeper, keeper_passphrase_file=passphrase)
    assert keepers.admit(named) == 0
    assert other.public in capsys.readouterr().out
    session = Session(made, other, NOW_NS)
    assert session.vault.key(made.key)
    assert rights_key_of(workplace, session.vault) == key
    assert session.vault.read(request) == b"who asked"


def test_a_register_of_another_deployment_is_refused(tmp_path, deployment, identity):
    elsewhere = deployment.workplace.deployment(uuid7(NOW_NS + 10**9))
    elsewhere.folder.mkdir()
    elsewhere.register.write_bytes(deployment.register.read_bytes())
    with pytest.raises(StorageError, match="belongs to the deployment"):
        Session(elsewhere, identity, NOW_NS)


def test_a_damaged_register_is_one_sentence(deployment, identity):
    vault = Vault([identity.public], identity)
    for garbage in (b"", b"{}", b"\xff" * 50, b"[" * 5000):
        vault.write(deployment.register, garbage)
        with pytest.raises(StorageError):
            Session(deployment, identity, NOW_NS)


def test_templates_that_no_entry_names_are_dropped(deployment, identity):
    session = Session(deployment, identity, NOW_NS)
    session.keep_templates([Reference("r-0123456789ab", [b"\0" * 32])])
    assert session.templates() == []
    session.vault.write(deployment.templates, b"\xc1")
    with pytest.raises(StorageError, match="damaged"):
        session.templates()


def test_a_folder_that_is_no_deployment_is_refused(tmp_path, deployment):
    for folder in (tmp_path, tmp_path / "none", deployment.workplace.folder):
        with pytest.raises(ConfigurationError, match="no folder of a deployment"):
            Deployment.at(folder)
    assert deployment.workplace.deployments() == [deployment]
    named = options(deployment=deployment.folder)
    with held_alone(deployment.lock), pytest.raises(StorageError), opened(named):
        pass


def test_printing_a_register_shows_nobody(deployment, identity):
    assert "name" not in repr(Session(deployment, identity, NOW_NS).register)

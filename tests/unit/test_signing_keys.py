"""Signing keys: encrypted, never overwritten, opened only with their holder's passphrase."""

import getpass
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import Signer

from device.errors import ConfigurationError, StorageError
from tools.desk import secrets
from tools.desk.main import main
from tools.desk.repository import key_commands, keyfile, storage
from tools.desk.repository.signers import load_signer, read_half, read_half_file

WORDS = "five words that rarely meet"


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """A cheap scrypt, but where its cost is the point."""
    if "at_its_full_cost" not in request.node.name:
        monkeypatch.setattr(keyfile, "SCRYPT_P", 1)


@pytest.fixture
def words(tmp_path):
    file = tmp_path / "passphrase"
    file.write_text(WORDS + "\n")
    file.chmod(0o600)
    return file


def create(folder, words, *more):
    return main(
        [
            *("signing-key", "create", "--role", "officer", "--holder", "Office 12"),
            *("--out", str(folder), "--passphrase-file", str(words), *more),
        ]
    )


def test_a_new_key_signs_and_its_public_half_tells_whose_it_is(tmp_path, words, capsys):
    assert create(tmp_path / "k", words) == 0
    half = read_half(str(tmp_path / "k/officer.pem"), None)
    assert (half.role, half.holder) == ("officer", "Office 12")
    signer = load_signer(str(tmp_path / "k/officer.pem"), half, words)
    half.key().verify_signature(signer.sign(b"list"), b"list")
    capsys.readouterr()
    for name in ("officer.pub", "officer.pem"):
        assert main(["signing-key", "show", str(tmp_path / "k" / name)]) == 0
        assert half.keyid in capsys.readouterr().out


def test_securesystemslib_opens_our_keys_by_their_uri(tmp_path, words):
    create(tmp_path, words)
    half = read_half_file(tmp_path / "officer.pub")
    asked = []
    uri = f"passerby-file:{tmp_path / 'officer.pem'}"
    signer = Signer.from_priv_key_uri(uri, half.key(), lambda what: asked.append(what) or WORDS)
    half.key().verify_signature(signer.sign(b"list"), b"list")
    assert asked == ["passphrase"]


def test_the_private_key_is_for_its_owner_and_never_in_clear(tmp_path, words):
    create(tmp_path, words)
    path = tmp_path / "officer.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    key = keyfile.opened(path.read_bytes(), WORDS)
    der = load_pem_private_key(path.read_bytes(), WORDS.encode())
    assert der.public_key() == key.public_key()
    raw = key.private_bytes_raw()
    for found in tmp_path.iterdir():
        assert raw not in found.read_bytes()
        assert raw.hex().encode() not in found.read_bytes()


def test_openssl_opens_a_key_at_its_full_cost(tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: the key format is not compared with it")
    key = Ed25519PrivateKey.generate()
    (tmp_path / "k.pem").write_bytes(keyfile.encrypted(key, WORDS))
    plain = subprocess.run(
        [openssl, "pkey", "-in", tmp_path / "k.pem", "-passin", f"pass:{WORDS}"],
        capture_output=True,
        check=True,
    ).stdout
    assert load_pem_private_key(plain, None).private_bytes_raw() == key.private_bytes_raw()
    shown = subprocess.run(
        [openssl, "asn1parse", "-in", tmp_path / "k.pem"], capture_output=True, check=True
    ).stdout
    assert b":scrypt" in shown
    assert b":4000" in shown
    assert b":aes-256-cbc" in shown


def test_two_files_of_one_key_have_nothing_in_common():
    key = Ed25519PrivateKey.generate()
    one, other = keyfile.encrypted(key, WORDS), keyfile.encrypted(key, WORDS)
    assert one.splitlines()[2:-1] != other.splitlines()[2:-1]


def test_no_key_is_ever_overwritten(tmp_path, words, capsys):
    create(tmp_path, words)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert create(tmp_path, words) == StorageError.exit_code
    (tmp_path / "officer.pem").unlink()
    assert create(tmp_path, words) == StorageError.exit_code
    assert "is not overwritten" in capsys.readouterr().err
    del before["officer.pem"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_key_that_appears_meanwhile_is_not_overwritten(tmp_path, words, monkeypatch, capsys):
    monkeypatch.setattr(
        key_commands, "_paths", lambda options: (options.out / "a.pem", options.out / "a.pub")
    )
    (tmp_path / "a.pub").write_bytes(b"somebody's")
    assert create(tmp_path, words) == StorageError.exit_code
    assert "is not overwritten" in capsys.readouterr().err
    assert (tmp_path / "a.pub").read_bytes() == b"somebody's"
    assert not (tmp_path / "a.pem").exists()


def test_a_full_disk_leaves_no_half_key(tmp_path, words, monkeypatch, capsys):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    assert create(tmp_path / "k", words) == StorageError.exit_code
    assert "No space left" in capsys.readouterr().err
    assert list((tmp_path / "k").iterdir()) == []


def test_a_wrong_passphrase_is_one_sentence(tmp_path, words, capsys):
    create(tmp_path, words)
    half = read_half_file(tmp_path / "officer.pub")
    words.write_text("other words that rarely meet")
    with pytest.raises(ConfigurationError, match=r"officer\.pem: .*passphrase is wrong"):
        load_signer(str(tmp_path / "officer.pem"), half, words)


@pytest.mark.parametrize("keep", [0, 1, 40, 120, 250, 285])
def test_a_truncated_key_is_one_sentence_before_anyone_is_asked(tmp_path, words, keep):
    create(tmp_path, words)
    path = tmp_path / "officer.pem"
    half = read_half_file(tmp_path / "officer.pub")
    path.write_bytes(path.read_bytes()[:keep])
    words.unlink()
    with pytest.raises(ConfigurationError, match=r"officer\.pem: this is no encrypted key file"):
        load_signer(str(path), half, words)


def test_a_key_with_a_flipped_byte_is_one_sentence(tmp_path, words):
    create(tmp_path, words)
    content = bytearray((tmp_path / "officer.pem").read_bytes())
    half = read_half_file(tmp_path / "officer.pub")
    for place in range(45, len(content) - 40, 37):
        flipped = bytearray(content)
        flipped[place] = ord("A") if flipped[place] != ord("A") else ord("B")
        (tmp_path / "officer.pem").write_bytes(flipped)
        with pytest.raises(ConfigurationError, match=r"does not open|belong together|another kind"):
            load_signer(str(tmp_path / "officer.pem"), half, words)


def test_somebody_elses_public_half_is_found_out(tmp_path, words):
    create(tmp_path, words)
    create(tmp_path, words, "--name", "other")
    half = read_half_file(tmp_path / "other.pub")
    with pytest.raises(ConfigurationError, match="do not belong together"):
        load_signer(str(tmp_path / "officer.pem"), half, words)


@pytest.mark.parametrize("algorithm", [NoEncryption(), BestAvailableEncryption(WORDS.encode())])
def test_keys_without_a_passphrase_or_of_another_kind_do_not_sign(tmp_path, words, algorithm):
    create(tmp_path, words)
    half = read_half_file(tmp_path / "officer.pub")
    key = generate_private_key(SECP256R1())
    path = tmp_path / "officer.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, algorithm))
    with pytest.raises(ConfigurationError, match=r"not encrypted|another kind than Ed25519"):
        load_signer(str(path), half, words)
    with pytest.raises(ConfigurationError, match="without a passphrase"):
        load_signer(f"file2:{path}", half, words)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"role": "officer"}', b"x" * 9000]
)
def test_rubbish_is_no_public_half(tmp_path, content):
    (tmp_path / "officer.pub").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"officer\.pub: this is no public half"):
        read_half(str(tmp_path / "officer.pem"), None)


def test_files_that_are_not_there_are_named(tmp_path, words):
    with pytest.raises(ConfigurationError, match=r"officer\.pub"):
        read_half(str(tmp_path / "officer.pem"), None)
    with pytest.raises(ConfigurationError, match="--public"):
        read_half("hsm:2?label=card", None)
    create(tmp_path, words)
    half = read_half_file(tmp_path / "officer.pub")
    with pytest.raises(ConfigurationError, match=r"There is no signing key .*missing\.pem"):
        load_signer(str(tmp_path / "missing.pem"), half, words)


def typed(monkeypatch, *answers):
    left = list(answers)
    monkeypatch.setattr(getpass, "getpass", lambda question: left.pop(0))


def test_a_new_passphrase_is_asked_for_twice(monkeypatch):
    typed(monkeypatch, WORDS, WORDS)
    assert secrets.passphrase("a key", None, new=True) == WORDS
    typed(monkeypatch, WORDS, WORDS + "!")
    with pytest.raises(ConfigurationError, match="differ"):
        secrets.passphrase("a key", None, new=True)
    typed(monkeypatch, WORDS)
    assert secrets.passphrase("a key", None) == WORDS


@pytest.mark.parametrize("weak", ["", "eleven char", "aaaaaaaaaaaaaaaa", "abababababab"])
def test_a_weak_new_passphrase_is_refused(monkeypatch, tmp_path, weak):
    typed(monkeypatch, weak, weak)
    with pytest.raises(ConfigurationError, match="too weak"):
        secrets.passphrase("a key", None, new=True)
    file = tmp_path / "p"
    file.write_text(weak)
    file.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"too weak|one line"):
        secrets.passphrase("a key", file, new=True)


def test_one_passphrase_in_two_unicode_forms_is_one(monkeypatch):
    typed(monkeypatch, "pa\u0308sse fu\u0308r alle", "p\u00e4sse f\u00fcr alle")
    assert secrets.passphrase("a key", None, new=True) == "p\u00e4sse f\u00fcr alle"


def test_a_passphrase_file_that_others_may_read_is_refused(words):
    words.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        secrets.passphrase("a key", words)


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"x" * 2000, b"a\0b"])
def test_a_passphrase_file_holds_one_line(words, content):
    words.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"one line|not text"):
        secrets.passphrase("a key", words)


def test_a_passphrase_file_that_is_no_file_is_refused(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigurationError, match="passphrase file"):
            secrets.passphrase("a key", path)


def test_without_a_terminal_nobody_is_asked(monkeypatch):
    def warns(question):
        raise getpass.GetPassWarning("echo")

    monkeypatch.setattr(getpass, "getpass", warns)
    with pytest.raises(ConfigurationError, match="--passphrase-file"):
        secrets.passphrase("a key", None)


def test_a_key_in_clear_is_called_so():
    key = Ed25519PrivateKey.generate()
    clear = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigurationError, match="not encrypted"):
        keyfile.opened(clear, WORDS)

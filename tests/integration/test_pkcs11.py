"""A PKCS#11 token signs a list and a root with no code of ours: SoftHSM stands for the card.

python-pkcs11 and SoftHSM are on a desk that has tokens, and not in the lock: what that brings is
enough for keys in files. To run these: `apt-get install softhsm2 opensc`, `pip install
python-pkcs11`.
"""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from device.errors import ConfigurationError
from tests.unit.test_repository import DAY_S, END_NS, NOW_NS, YEAR_NS, Office, bundle, taken
from tools.desk.main import main
from tools.desk.repository.holders import PublicHalf
from tools.desk.repository.root_folder import RootFolder, root_files
from tools.desk.repository.signers import load_signer, read_half_file

PIN = "482913"
MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


def run(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def module():
    """SoftHSM's PKCS#11 module; a clear skip where something is not installed."""
    found = next((path for path in MODULES if Path(path).is_file()), None)
    missing = [name for name in ("softhsm2-util", "pkcs11-tool") if shutil.which(name) is None]
    missing += ["python-pkcs11"] if find_spec("pkcs11") is None else []
    if found is None or missing:
        pytest.skip(
            "signing with a PKCS#11 token is not tested here, for it needs what the lock does not "
            f"bring: {', '.join(missing) or 'libsofthsm2.so'}"
        )
    return found


@pytest.fixture(scope="module")
def tokens(module, tmp_path_factory):
    """Three cards: of the officer (P-256), of the custodian (P-384), of a root holder."""
    folder = tmp_path_factory.mktemp("tokens")
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}\n")
    before = dict(os.environ)
    os.environ |= {"SOFTHSM2_CONF": str(folder / "softhsm2.conf"), "PYKCS11LIB": module}
    for label, curve in (("officer", "256"), ("custodian", "384"), ("chief", "256")):
        run(
            *("softhsm2-util", "--init-token", "--free", "--label", label),
            *("--pin", PIN, "--so-pin", "0000"),
        )
        run(
            *("pkcs11-tool", "--module", module, "--token-label", label, "--login", "--pin", PIN),
            *("--keypairgen", "--key-type", f"EC:secp{curve}r1", "--id", "02"),
            *("--usage-sign", "--label", label),
        )
    yield folder
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def pin(tmp_path):
    file = tmp_path / "pin"
    file.write_text(PIN)
    file.chmod(0o600)
    return file


def imported(folder, label, role, holder, pin):
    """The public half that `signing-key import` writes."""
    words = ("--role", role, "--holder", holder, "--name", label, "--out", str(folder))
    words += ("--label", label, "--token-key", "2", "--passphrase-file", str(pin))
    assert main(["signing-key", "import", *words]) == 0
    return read_half_file(folder / f"{label}.pub")


class TokenOffice(Office):
    """Officer, custodian and one root holder have cards; the others have files."""

    def __init__(self, folder, pin):
        self.halves: dict[str, PublicHalf] = {}
        self.cards = {"officer": "officer", "custodian": "custodian", "root 1": "chief"}
        self.folder, self.pin = folder, pin
        super().__init__()

    def next_root(self, by=(), expires_ns=YEAR_NS):
        for name, label in self.cards.items():
            role = name.split()[0]
            half = imported(self.folder, label, role, self.holders[name], self.pin)
            self.halves[name] = half
            self.signers[name] = load_signer(f"hsm:2?label={label}", half, self.pin)
        folder = RootFolder(self.folder / "root")
        folder.create(self.keyholders(), expires_ns)
        assert folder.sign(self.signers["root 1"])
        assert folder.sign(self.signers["root 2"]) == []
        self.roots = root_files(self.folder / "root")

    def half(self, name):
        return self.halves.get(name) or super().half(name)


@pytest.fixture
def office(tokens, tmp_path, pin):
    return TokenOffice(tmp_path, pin)


def test_cards_sign_a_root_and_a_list_that_a_client_takes(office, tmp_path):
    repository = office.published(tmp_path / "r")
    assert taken(tmp_path / "r", office.roots[0], tmp_path / "cache") == bundle()
    schemes = [key.scheme for key in repository.root.keys.values()]
    assert sorted(schemes) == [
        *("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"),
        *("ed25519", "ed25519", "ed25519"),
    ]


def test_with_the_officers_card_alone_nothing_is_published(office, tmp_path):
    repository = office.staged(tmp_path / "r")
    repository.sign(office.signers["officer"])
    with pytest.raises(ConfigurationError, match=r"missing: Custodian 9"):
        repository.publish(office.signers["publishing"], NOW_NS, DAY_S)


def test_a_wrong_pin_signs_nothing_and_is_one_sentence(office, tmp_path, pin):
    repository = office.staged(tmp_path / "r")
    pin.write_text("000000")
    with pytest.raises(ConfigurationError, match=r"cannot sign .*PIN"):
        repository.sign(office.signers["officer"])
    assert repository.signed_by() == []


def test_a_card_that_is_not_plugged_in_is_one_sentence(office, tmp_path, pin):
    repository = office.repository(tmp_path / "r")
    repository.stage(bundle(), END_NS, NOW_NS)
    absent = load_signer("hsm:2?label=lost", office.halves["officer"], pin)
    with pytest.raises(ConfigurationError, match="is it plugged in"):
        repository.sign(absent)


def test_another_card_with_the_officers_public_half_signs_nothing(office, tmp_path, pin):
    repository = office.staged(tmp_path / "r")
    wrong = load_signer("hsm:2?label=chief", office.halves["officer"], pin)
    with pytest.raises(ConfigurationError, match="not of Authorising officer 7's key"):
        repository.sign(wrong)
    assert repository.signed_by() == []


def test_a_token_without_such_a_key_is_one_sentence(tokens, tmp_path, pin, capsys):
    words = ("--role", "officer", "--holder", "Office 1", "--out", str(tmp_path / "k"))
    words += ("--label", "officer", "--token-key", "7", "--passphrase-file", str(pin))
    assert main(["signing-key", "import", *words]) == ConfigurationError.exit_code
    assert "could not find" in capsys.readouterr().err
    assert not (tmp_path / "k").exists()

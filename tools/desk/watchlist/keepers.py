"""Keepers: the people who may read names. Each has an identity file that a passphrase protects.

`keeper create` makes one and enters its public half in `recipients.txt`; `keeper admit` encrypts a
deployment, and what the desk keeps of rights, anew for everybody who stands there now.
"""

import argparse
from importlib import import_module
from pathlib import Path

import msgspec

from device.errors import ConfigurationError, StorageError
from device.files import write_atomically, write_new
from tools.desk.rights.keeping import admit_to_workplace
from tools.desk.watchlist.encryption import Identity
from tools.desk.watchlist.folder import Deployment, Workplace
from tools.desk.watchlist.passphrases import decrypt_with_passphrase, encrypt_with_passphrase
from tools.desk.watchlist.register import decode_register, encode_register
from tools.desk.watchlist.regular import beginning_of
from tools.desk.watchlist.vault import Vault, held_alone

_LARGEST_BYTES = 65_536


def create(options: argparse.Namespace) -> int:
    """`keeper create --workplace DIR --name WHO --out FILE`."""
    workplace = Workplace(options.workplace.absolute())
    name = " ".join(options.name.split())
    if not name or not name.isprintable():
        raise ConfigurationError("--name must say which office this keeper is, in letters.")
    if options.out.exists():
        raise StorageError(
            f"{options.out} exists and is not overwritten: what is encrypted for it could never be "
            "opened again. Choose another name."
        )
    secret = _passphrase("the new keeper", options.keeper_passphrase_file, new=True)
    identity = Identity()
    with held_alone(workplace.folder / ".lock"):
        sealed = encrypt_with_passphrase(identity.secret().encode(), secret)
        if not write_new(options.out, sealed):
            raise StorageError(f"{options.out} was made by somebody else just now.")
        path = workplace.recipients
        before = path.read_text("utf-8") if path.exists() else ""
        write_atomically(path, f"{before}# {name}\n{identity.public}\n".encode(), mode=0o644)
    print(f"{options.out}: the identity of {name}, for this person alone.")
    print(f"{identity.public}")
    print("Deployments that are there already: a keeper of theirs runs `watchlist keeper admit`.")
    return 0


def admit(options: argparse.Namespace) -> int:
    """`keeper admit --deployment DIR --keeper FILE`: encrypt anew for all of recipients.txt.

    With --workplace instead: only what outlives deployments, the rights key and the requests.
    """
    deployment = None if options.deployment is None else Deployment.at(options.deployment)
    workplace = deployment.workplace if deployment else Workplace(options.workplace.absolute())
    identity = open_identity(options.keeper, options.keeper_passphrase_file)
    vault = Vault.of(workplace.recipients, identity)
    if deployment is not None:
        with held_alone(deployment.lock):
            _admit_to(deployment, vault)
    admit_to_workplace(workplace, vault)
    for recipient in vault.recipients:
        print(f"may read now: {recipient}")
    print("Tell the auditor who was admitted, and why.")
    return 0


def _admit_to(deployment: Deployment, vault: Vault) -> None:
    if not deployment.register.exists():
        raise StorageError(
            f"The deployment {deployment.id} has ended. What is left of it stands with the desk's "
            "requests: give --workplace instead of --deployment."
        )
    register = decode_register(vault.read(deployment.register))
    for path in (deployment.templates, deployment.authorisation, deployment.key):
        if path.exists():
            vault.write(path, vault.read(path))
    # Last: until then the next command says that something is not finished.
    admitted = msgspec.structs.replace(register, recipients=list(vault.recipients))
    vault.write(deployment.register, encode_register(admitted))


def open_identity(file: Path | None, passphrase_file: Path | None) -> Identity:
    """Return the identity of a keeper's file, after asking for its passphrase.

    Raises ConfigurationError: none named, not there, wrong passphrase, no identity.
    """
    if file is None:
        raise ConfigurationError("Name your identity file with --keeper FILE.")
    try:
        sealed = beginning_of(file, _LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"The identity file {file} cannot be read ({error.strerror or error}); "
            "`passerby-desk watchlist keeper create` makes one."
        ) from error
    if len(sealed) > _LARGEST_BYTES:
        raise ConfigurationError(f"{file} is too large to be an identity file.")
    secret = _passphrase(f"the keeper's identity {file.name}", passphrase_file, new=False)
    content = decrypt_with_passphrase(sealed, secret, str(file))
    try:
        return Identity(content.decode("ascii"))
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file} holds no identity.") from error


def _passphrase(what: str, file: Path | None, *, new: bool) -> str:
    asked: str = import_module("tools.desk.secrets").passphrase(what, file, new=new)
    return asked

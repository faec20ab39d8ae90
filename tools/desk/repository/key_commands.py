"""`passerby-desk signing-key create | import | show`."""

import argparse
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import SSlibKey

from device.errors import PasserbyError, StorageError
from tools.desk.repository import keyfile
from tools.desk.repository.holders import PublicHalf, encode_half, public_half
from tools.desk.repository.signers import half_beside, import_token_key, read_half
from tools.desk.repository.storage import PUBLIC, remove, write_once
from tools.desk.secrets import passphrase

_PRIVATE = 0o600


def create(options: argparse.Namespace) -> int:
    """Make a key pair: NAME.pem, encrypted, and NAME.pub. Nothing is ever overwritten."""
    private, public = _paths(options)
    key = Ed25519PrivateKey.generate()
    half = public_half(SSlibKey.from_crypto(key.public_key()), options.role, options.holder)
    secret = passphrase(
        f"the new key {private} of {half.holder}", options.passphrase_file, new=True
    )
    write_once(private, keyfile.encrypted(key, secret), _PRIVATE)
    try:
        write_once(public, encode_half(half), PUBLIC)
    except PasserbyError:
        remove([private])
        raise
    print(f"{private}: secret; it and its passphrase belong to {half.holder} alone.")
    print(f"{public}: for `passerby-desk root create`.")
    _print_half(half)
    return 0


def import_token(options: argparse.Namespace) -> int:
    """Write NAME.pub of a key that stays in its token."""
    _, public = _paths(options)
    uri, half = import_token_key(
        options.token_key, options.label, options.role, options.holder, options.passphrase_file
    )
    write_once(public, encode_half(half), PUBLIC)
    print(f"{public}: for `passerby-desk root create`; sign with --key '{uri}' --public {public}")
    _print_half(half)
    return 0


def show(options: argparse.Namespace) -> int:
    """Say whose key it is. Asks for no passphrase."""
    _print_half(read_half(str(options.file), half_beside(options.file)))
    return 0


def _paths(options: argparse.Namespace) -> tuple[Path, Path]:
    """Return where the two halves go. Raises StorageError when one of them is there."""
    name = options.name or options.role
    paths = tuple(options.out / f"{name}{ending}" for ending in (".pem", ".pub"))
    for path in paths:
        if path.exists():
            raise StorageError(
                f"{path} exists and is not overwritten: what it signed could not be continued. "
                "Choose another folder, or another --name."
            )
    return paths[0], paths[1]


def _print_half(half: PublicHalf) -> None:
    print(f"role:   {half.role}")
    print(f"holder: {half.holder}")
    print(f"keyid:  {half.keyid}")
    print(f"kind:   {half.scheme}")

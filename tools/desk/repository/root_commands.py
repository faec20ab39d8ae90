"""`passerby-desk root create | rotate | sign | show | adopt`."""

import argparse
import time
from pathlib import Path

from tuf.api.metadata import Root

from tools.desk.repository.holders import PublicHalf
from tools.desk.repository.questions import confirm
from tools.desk.repository.repository import Repository
from tools.desk.repository.root_folder import DRAFT, NEWEST, RootFolder, root_files
from tools.desk.repository.roots import Keyholders, holders_of, read_chain
from tools.desk.repository.signers import load_signer, read_half, read_half_file
from tools.desk.repository.times import shown

_SECOND_NS = 10**9


def create(options: argparse.Namespace) -> int:
    """Write the draft of the first root."""
    keys = Keyholders(
        tuple(read_half_file(path) for path in options.root_key),
        read_half_file(options.officer),
        read_half_file(options.custodian),
        read_half_file(options.publishing),
    )
    draft = RootFolder(options.out).create(keys, _expires_ns(options))
    _print_root(draft.signed)
    print(
        f"{options.out / DRAFT}: now two holders of root keys sign it: `passerby-desk root sign`."
    )
    return 0


def rotate(options: argparse.Namespace) -> int:
    """Write the draft of the next root. Keys that are not named stay."""
    now = holders_of(read_chain(root_files(options.root))[-1].signed)
    roots = options.root_key
    keys = Keyholders(
        tuple(read_half_file(path) for path in roots) if roots else now.root,
        _other(options.officer, now.officer),
        _other(options.custodian, now.custodian),
        _other(options.publishing, now.publishing),
    )
    draft = RootFolder(options.root).rotate(keys, _expires_ns(options))
    _print_root(draft.signed)
    print("Now two of the old and two of the new root keys sign it: `passerby-desk root sign`.")
    print("Then `passerby-desk root adopt` for every deployment that goes on.")
    return 0


def sign(options: argparse.Namespace) -> int:
    """Add a signature to the draft; with the last one it becomes the root."""
    folder = RootFolder(options.root)
    half = read_half(options.key, options.public)
    folder.check_may_sign(half)
    draft, _ = folder.draft()
    _print_root(draft.signed)
    confirm(f"{half.holder} signs root {draft.signed.version}.", yes=options.yes)
    missing = folder.sign(load_signer(options.key, half, options.passphrase_file), draft.signed)
    if missing:
        print(f"Signed by {half.holder}. Missing: {'; '.join(missing)}.")
        return 0
    final = options.root / f"{draft.signed.version}.root.json"
    print(f"{final} is complete; {options.root / NEWEST} is the same, for provisioning devices.")
    return 0


def show(options: argparse.Namespace) -> int:
    """Say whose keys sign what."""
    for root in read_chain(root_files(options.root)):
        _print_root(root.signed)
    return 0


def adopt(options: argparse.Namespace) -> int:
    """Take newer roots over into the repository of a deployment."""
    repository = Repository(options.deployment / "bundle")
    version = repository.adopt(root_files(options.root))
    print(f"{options.deployment} follows root {version} from now on.")
    print("If officer or custodian changed: stage, sign and publish; else: `watchlist refresh`.")
    return 0


def _other(path: Path | None, now: PublicHalf) -> PublicHalf:
    return now if path is None else read_half_file(path)


def _expires_ns(options: argparse.Namespace) -> int:
    return time.time_ns() + int(options.valid_for * _SECOND_NS)


def _print_root(root: Root) -> None:
    print(f"root {root.version}, until {shown(root.expires)}")
    for half in holders_of(root).everybody:
        print(f"  {half.role:<10}  {half.holder}  {half.keyid[:16]}")

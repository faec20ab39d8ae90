"""`passerby-desk watchlist sign | publish | refresh | copy`: how a list gets out."""

import argparse
import time
from importlib import import_module
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer

from device.errors import ConfigurationError
from tools.desk.repository.questions import confirm
from tools.desk.repository.repository import Repository
from tools.desk.repository.signers import load_signer, read_half
from tools.desk.repository.staged import Staged, check_publishable
from tools.desk.repository.times import shown

REPOSITORY = "bundle"
"""The repository's folder in that of its deployment."""


def sign(options: argparse.Namespace) -> int:
    """Show what is staged, ask, and add a signature."""
    repository = _repository(options)
    staged = repository.staged()
    if staged is None:
        raise ConfigurationError(
            "Nothing waits for a signature: `passerby-desk watchlist seal` lays a list ready."
        )
    half = read_half(options.key, options.public)
    staged.key(half.keyid)
    _show(options.deployment, staged)
    confirm(f"{half.holder} signs this as {half.role}.", yes=options.yes)
    signer = load_signer(options.key, half, options.passphrase_file)
    staged = repository.sign(signer, staged.digest)
    print(f"Signed by {' and '.join(staged.signed_by)}.")
    print(f"Missing: {', '.join(staged.missing)}." if staged.missing else "It may be published.")
    return 0


def publish(options: argparse.Namespace) -> int:
    """Keep the manifest, publish what both have signed, then tell the gateway."""
    repository = _repository(options)
    signer = _publisher(options)
    staged = repository.staged()
    if staged is not None:
        # Before a keeper is asked for anything.
        check_publishable(staged, repository.published(), time.time_ns())
    with _publication().publishing(options) as published:
        version = repository.publish(signer, time.time_ns(), options.fresh_for)
        published.follow()
        # Only now: a crash before this line is mended by publishing once more.
        repository.clear()
    print(f"Version {version} is published in {options.deployment / REPOSITORY}.")
    return _say_fresh(repository)


def refresh(options: argparse.Namespace) -> int:
    """Sign a new timestamp; with a gateway the devices get it over MQTT."""
    repository = _repository(options)
    signer = _publisher(options)
    with _publication().steady(options.deployment):
        repository.refresh(signer, time.time_ns(), options.fresh_for)
        if options.config is not None:
            _publication().after_refresh(options.deployment, options.config)
    return _say_fresh(repository)


def copy(options: argparse.Namespace) -> int:
    """Copy what is published onto a stick."""
    repository = _repository(options)
    with _publication().steady(options.deployment):
        public = repository.copy_to(options.to)
    print(f"Version {public.version} is on {options.to}, and was read back.")
    print(f"Devices take it until {shown(public.timestamp.signed.expires)}.")
    return 0


def _repository(options: argparse.Namespace) -> Repository:
    folder = options.deployment / REPOSITORY
    if not folder.is_dir():
        raise ConfigurationError(
            f"There is no repository in {options.deployment}: `passerby-desk watchlist new` makes "
            "a deployment."
        )
    return Repository(folder)


def _publisher(options: argparse.Namespace) -> Signer:
    half = read_half(options.key, options.public)
    return load_signer(options.key, half, options.passphrase_file)


def _publication() -> Any:  # noqa: ANN401 - a module
    """Return the room that knows names and devices; loaded late, for it is heavier than signing."""
    return import_module("tools.desk.watchlist.publication")


def _show(deployment: Path, staged: Staged) -> None:
    """Print what is to be signed. Raises ConfigurationError when the summary is of something else.

    Its counts are not signed, so they must be of the very files that are.
    """
    room: Any = import_module("tools.desk.watchlist.summary")
    lines, digests = room.summary(deployment), room.digests(deployment)
    if digests != {name: target.hashes["sha256"] for name, target in staged.targets.items()}:
        raise ConfigurationError(
            "What is staged is not what the summary speaks of: seal the list again "
            "(`passerby-desk watchlist seal`); nothing was signed."
        )
    for line in lines:
        print(line)
    print(f"Version       {staged.version}, until {shown(staged.metadata.signed.expires)}")
    print(f"To be signed  SHA-256 {staged.digest}")
    print(f"Signed by     {', '.join(staged.signed_by) or 'nobody yet'}")


def _say_fresh(repository: Repository) -> int:
    public = repository.verify()
    print(
        f"Devices believe until {shown(public.timestamp.signed.expires)} that nothing newer is "
        "published: refresh it before."
    )
    return 0

"""`passerby update`: verify the bundle of a USB stick or an archive, and install it."""

import argparse
import time
from pathlib import Path

from device.bundles import BundleError, Installed, install
from device.cli.ownership import refuse_another_user
from device.configuration import DEFAULT_PATH, read_configuration
from device.errors import ConfigurationError, StorageError
from device.files import shown
from device.identity import own_keys
from device.notebook import Notebook
from device.protocol.identifiers import utc_text
from device.protocol.topics import Topics
from device.settings import Settings


def run(options: argparse.Namespace) -> int:
    """Install a bundle and say what is in it; a refusal is one sentence, and noted too.

    Raises PasserbyError.
    """
    settings = read_configuration(options.config or DEFAULT_PATH)
    if not settings.watchlist.root:
        raise ConfigurationError(
            "watchlist.root names no root of trust: without one no bundle can be verified. "
            "Provision this device first."
        )
    source = _source(options)
    state = Path(settings.device.state_directory)
    refuse_another_user(state, "update")
    notebook = Notebook(state, signer=own_keys(state).signer)
    try:
        found = _install(source, state, settings)
    except BundleError as error:
        notebook.note("bundle refused", reason=shown(str(error)))
        raise
    notebook.note(
        "bundle installed",
        version=found.targets_version,
        deployment=found.authorisation.deployment,
        sha256=found.watchlist_sha256,
    )
    print("\n".join(lines(found)))
    if notebook.fault is not None:
        raise StorageError(f"The bundle is installed, and this is not in the log: {notebook.fault}")
    return 0


def _source(options: argparse.Namespace) -> Path:
    folder: Path | None = options.folder
    if folder is not None:
        if not folder.is_dir():
            raise ConfigurationError(
                f"{folder} is no folder: mount the stick, and give its folder."
            )
        return folder
    archive: Path = options.archive
    if not archive.is_file():
        raise ConfigurationError(f"{archive} is no file: give the archive that the desk made.")
    return archive


def _install(source: Path, state: Path, settings: Settings) -> Installed:
    device = Topics(settings.device.site, settings.device.id).source
    root = Path(settings.watchlist.root)
    return install(source, state, root, time.time_ns(), device=device)


def lines(found: Installed) -> list[str]:
    """Return what a technician needs to know; the objective is none of it."""
    authorisation = found.authorisation
    first, last = authorisation.windows[0], authorisation.windows[-1]
    windows = len(authorisation.windows)
    return [
        f"installed   bundle {found.targets_version}, root {found.root_version}",
        f"fresh       until {utc_text(found.fresh_until_ns)}; ask the desk for a new one before",
        f"deployment  {authorisation.deployment}, version {authorisation.version}",
        (
            f"watchlist   {shown(authorisation.watchlist.id)}, version "
            f"{authorisation.watchlist.version}"
        ),
        (
            f"compares    {'' if windows == 1 else f'in {windows} windows '}from "
            f"{first.begins_at} to {last.ends_at}, {authorisation.mode}"
        ),
        *(f"model       {model.role}: {shown(model.name)}" for model in found.models.models),
    ]

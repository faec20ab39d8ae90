"""Bundles: watchlists, models and configuration in.

In: a TUF repository in a folder, on a USB stick or in an archive (R5, R7, R34, R46); in a
demonstration one unsigned list. Out: `Installed`, verified and checked, or one sentence that says
why not. Never: a network connection; half a bundle; an older list in place of a newer one.

    install     verify the bundle of a folder or an archive, and swap it in as one step
    installed   verify again what is there, at each start

tuf is loaded in a process of its own (`device.bundles.verify`), never in the appliance. How TUF is
used and why: docs/decisions/0010-tuf-in-a-process-of-its-own.md.
"""

from device.bundles.archive import pack, unpack
from device.bundles.client import Installed, current_release, install, installed
from device.bundles.configuration import SignedConfiguration, read_signed
from device.bundles.demonstration import load_list
from device.bundles.refusal import BundleError

__all__ = [
    "BundleError",
    "Installed",
    "SignedConfiguration",
    "current_release",
    "install",
    "installed",
    "load_list",
    "pack",
    "read_signed",
    "unpack",
]

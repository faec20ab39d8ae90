"""`watchlist end`: a deployment is over. Its key goes first, everything else after it (R24, R27).

The command may be killed at any point and repeated: each step looks for what is left to do.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from device.errors import ConfigurationError, PasserbyError, StorageError
from device.protocol.bundle import LOCAL_KEYS, WATCHLIST
from device.protocol.identifiers import utc_text
from tools.desk.shown import shown_device
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.publication import Gateway, manifests_of
from tools.desk.watchlist.session import opened
from tools.desk.watchlist.upkeep import devices_of, forget_staged
from tools.desk.watchlist.vault import destroy


def end(options: argparse.Namespace) -> int:
    """`watchlist end --deployment DIR --reason TEXT [--config desk.toml] [--yes]`."""
    reason = " ".join(options.reason.split())[:200]
    if not reason:
        raise ConfigurationError("--reason must say why it ends; the manifest keeps it.")
    if not options.yes:
        _confirm(f"The deployment {options.deployment.name} shall end, for good.")
    with opened(options) as session:
        deployment, at = session.deployment, utc_text(session.now_ns)
        devices = devices_of(session)
        manifests = manifests_of(session)
        gateway = Gateway(options.config) if options.config is not None else None
        # From here on nobody can open the list any more, whatever else goes wrong.
        destroy(deployment.key)
        faults = _end_at_gateway(gateway, deployment, devices, reason) if gateway else []
        manifests.ended(deployment.id, at, reason)
        forget_staged(session)
        _erase_sealed(deployment)
        destroy(deployment.templates)
        destroy(deployment.authorisation)
        destroy(deployment.register)
    print(f"{deployment.id}: key, register and templates are destroyed; the manifest stays.")
    _tell(devices, asked=gateway is not None and not faults)
    if faults:
        raise StorageError(f"Here it is over, but the gateway still has to be told: {faults[0]}")
    return 0


def _end_at_gateway(
    gateway: Gateway, deployment: Deployment, devices: Sequence[str], reason: str
) -> list[str]:
    """Return what the gateway could not do: that must hold up no erasure here."""
    unlocks = import_module("tools.desk.gateway.unlocking").Unlocks(gateway.database)
    bundles = import_module("tools.desk.gateway.bundles").Bundles(gateway.database)
    steps: list[Callable[[], object]] = [lambda: unlocks.destroy(deployment.id)]
    for source in devices:
        steps.append(lambda source=source: gateway.order([source], "end", reason))  # type: ignore[misc]
        steps.append(lambda source=source: bundles.withdraw([source]))  # type: ignore[misc]
    faults = []
    for step in steps:
        try:
            step()
        except PasserbyError as error:
            faults.append(str(error))
    return faults


def _erase_sealed(deployment: Deployment) -> None:
    """Remove the ciphertext, and the keys for local devices, from what is published and staged."""
    targets = deployment.repository / "targets"
    try:
        for name in (WATCHLIST, LOCAL_KEYS):
            for path in sorted(targets.glob(f"*.{name}")):
                destroy(path)
    except OSError as error:
        raise StorageError(f"{targets} cannot be read ({error.strerror or error}).") from error


def _tell(devices: Sequence[str], *, asked: bool) -> None:
    for source in devices:
        name = shown_device(source)
        if asked:
            print(f"{name}: the order to end is written down and is sent.")
        else:
            print(
                f"passerby-desk order end --device {name} --reason 'the deployment is over' "
                "--valid-for 7d"
            )
    print("Sticks with this bundle: erase them, or give them back to the custodian.")


def _confirm(what: str) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError(f"{what} Nobody can be asked here: repeat it with --yes.")
    if input(f"{what} Type yes: ").strip() != "yes":
        raise ConfigurationError("Nothing was ended.")

"""`watchlist end`: a deployment is over. Its key goes first, everything else after it (R24, R27).

The command may be killed at any point and repeated, also when nothing but the gateway or the
manifest is left to be told. What is damaged holds up no erasure: it is said at the end.
"""

import argparse
import sys
from collections.abc import Sequence

from device.errors import ConfigurationError, PasserbyError, StorageError
from device.protocol.bundle import LOCAL_KEYS, METADATA, WATCHLIST
from device.protocol.identifiers import utc_text
from tools.desk.rights.findings import manifests_of
from tools.desk.shown import shown_device
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.gateway import Gateway
from tools.desk.watchlist.marks import devices_at_gateway, forget_gateway, is_at_gateway
from tools.desk.watchlist.naming import refuse_names
from tools.desk.watchlist.public import devices_in_public, repository_of
from tools.desk.watchlist.session import Ending, opened_to_end
from tools.desk.watchlist.upkeep import devices_and_faults
from tools.desk.watchlist.vault import DESTROYED, destroy, destroy_leftovers


def end(options: argparse.Namespace) -> int:
    """`watchlist end --deployment DIR --reason TEXT [--config desk.toml] [--yes]`."""
    reason = " ".join(options.reason.split())[:200]
    if not reason:
        raise ConfigurationError("--reason must say why it ends; the manifest keeps it.")
    if not options.yes:
        _confirm(f"The deployment {options.deployment.name} shall end, for good.")
    with opened_to_end(options) as ending:
        deployment = ending.deployment
        if ending.session is not None:
            refuse_names(options.reason, "--reason", ending.session.register)
        _refuse_half(ending, options)
        gateway = Gateway(options.config) if options.config is not None else None
        devices, unread = _devices(ending)
        # From here on nobody can open the list any more, whatever else goes wrong.
        destroy(deployment.key)
        untold = _end_at_gateway(gateway, deployment, devices, reason) if gateway else []
        _erase(deployment)
        if not untold and (gateway is not None or options.gateway_gone):
            forget_gateway(deployment)
        faults = [*unread, *_end_manifest(ending, reason)]
    print(f"{deployment.id}: key, register and templates are destroyed; the manifest stays.")
    _tell(devices, asked=gateway is not None and not untold)
    if untold:
        raise StorageError(
            f"Here it is over, but the gateway still has to be told: {'; '.join(untold)} Repeat "
            "the command."
        )
    if faults:
        raise StorageError(
            f"It is over and erased, but something was damaged: {'; '.join(faults)} Mend it, and "
            "repeat the command."
        )
    return 0


def _refuse_half(ending: Ending, options: argparse.Namespace) -> None:
    """Refuse to end here alone what a gateway can still open."""
    register = ending.session.register if ending.session is not None else None
    there = is_at_gateway(ending.deployment) or (register is not None and register.at_gateway)
    if there and options.config is None and not options.gateway_gone:
        raise ConfigurationError(
            "A gateway has the key of this deployment: name it with --config desk.toml, so that it "
            "is destroyed there too. If its database is destroyed already: --gateway-gone (R24)."
        )


def _devices(ending: Ending) -> tuple[list[str], list[str]]:
    if ending.session is not None:
        return devices_and_faults(ending.session)
    public, faults = devices_in_public(ending.deployment)
    return sorted({*public, *devices_at_gateway(ending.deployment)}), faults


def _end_at_gateway(
    gateway: Gateway, deployment: Deployment, devices: Sequence[str], reason: str
) -> list[str]:
    """Return what the gateway could not do: that must hold up no erasure here."""
    return [*gateway.destroy(deployment), *gateway.end(deployment, devices, reason)]


def _erase(deployment: Deployment) -> None:
    """Destroy templates, names and the sealed list, the register last. Raises StorageError."""
    if (deployment.repository / METADATA).is_dir():
        repository_of(deployment).clear()
    _erase_sealed(deployment)
    destroy_leftovers(deployment.folder, deployment.written)
    destroy(deployment.templates)
    destroy(deployment.authorisation)
    destroy(deployment.register)


def _end_manifest(ending: Ending, reason: str) -> list[str]:
    """Note the end in the manifest; return what is damaged."""
    try:
        manifests = manifests_of(ending.deployment.workplace, ending.vault)
        manifests.ended(ending.deployment.id, utc_text(ending.now_ns), reason)
    except PasserbyError as error:
        return [str(error)]
    return []


def _erase_sealed(deployment: Deployment) -> None:
    """Remove the ciphertext, and the keys for local devices, from what is published and staged."""
    targets = deployment.repository / "targets"
    try:
        # Temporary files of a publishing that was killed are named after these.
        for name in (f"*.{WATCHLIST}*", f"*.{LOCAL_KEYS}*", f"{DESTROYED}*"):
            for path in sorted(targets.glob(name)):
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

"""Which names a certificate may carry."""

import re
from ipaddress import ip_address

from device.errors import ConfigurationError

GATEWAY = "gateway"
"""The common name of every gateway; the broker's access list knows it."""
_DEVICE = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)
_HOST = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*",
    re.ASCII | re.IGNORECASE,
)
_RESERVED = frozenset({GATEWAY, "broker"})


def checked_device(name: str) -> str:
    """Return `name`. Raises ConfigurationError when no device may be called so."""
    if not _DEVICE.fullmatch(name):
        raise ConfigurationError(
            f'"{name}" is no device id: 1 to 32 of a-z, 0-9 and dashes, not a dash first, as '
            "device.id in device.toml; never a place name."
        )
    # The access list gives this name the alerts of all devices.
    if name in _RESERVED:
        raise ConfigurationError(f'"{name}" is kept for the {name} itself: choose another id.')
    return name


def checked_hosts(hosts: list[str]) -> list[str]:
    """Return the names and addresses of a broker, each once. Raises ConfigurationError."""
    for host in hosts:
        if not _HOST.fullmatch(host) and not _address(host):
            raise ConfigurationError(
                f'"{host}" is neither a host name nor an address: give what stands as broker.host '
                "in device.toml, without port."
            )
    unique = list(dict.fromkeys(hosts))
    if not unique:
        raise ConfigurationError("A broker needs a name: --name HOST or address.")
    return unique


def _address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True

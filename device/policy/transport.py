"""What may travel over which connection, as long as alerts are not sealed end to end."""

from device.settings import BrokerSettings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def refusal(broker: BrokerSettings) -> str | None:
    """Return why this connection may not be used, or None (R46).

    An alert carries a face and a reference id: it never crosses a network in the clear.
    """
    if broker.tls or broker.host in _LOOPBACK:
        return None
    return (
        f"broker.tls = false would send faces to {broker.host} in the clear: set broker.tls = true "
        "(port 8883), or use a broker on this device."
    )

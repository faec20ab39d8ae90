"""One paho-mqtt client, set up as both ends of Passerby need it: device and desk."""

import socket
from pathlib import Path
from typing import Any, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties

from device.alerts.tls import tls_context
from device.errors import BrokerError
from device.settings import BrokerSettings

CONNECT_TIMEOUT_S = 5.0
Version = Literal["5", "3.1.1"]
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


def make_client(
    broker: BrokerSettings,
    version: Version,
    client_id: str,
    *,
    clean_session: bool,
    manual_ack: bool = False,
) -> mqtt.Client:
    """Return a client that is not connected yet and never connects again by itself.

    clean_session: for MQTT 3.1.1; MQTT 5 says it when connecting. Raises BrokerError when
    certificates or the password cannot be read.
    """
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=_VERSIONS[version],
        reconnect_on_failure=False,
        clean_session=None if version == "5" else clean_session,
        manual_ack=manual_ack,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    if broker.username:
        client.username_pw_set(broker.username, _password(broker))
    if broker.tls:
        client.tls_set_context(tls_context(broker))
    client.on_socket_open = without_delay
    return client


def properties_of(packet: int) -> Properties:
    """Return the empty properties of a kind of packet."""
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho's own gap


def without_delay(_client: mqtt.Client, _userdata: object, sock: Any) -> None:  # noqa: ANN401
    """Turn Nagle off: paho leaves it on, which costs 40 ms at the 99th percentile."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(broker: BrokerSettings) -> str | None:
    if not broker.password_file:
        return None
    try:
        return Path(broker.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"broker.password_file {broker.password_file} cannot be read ({error})."
        raise BrokerError(msg) from error

"""One connection to the broker: paho-mqtt, set up for what Passerby needs.

Callbacks only put what happened into a queue; whoever owns that queue decides. A connection is used
once: after it ends a new one is made, so that nothing that paho remembers is sent twice.
"""

import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.errors import BrokerError
from device.settings import BrokerSettings

CONNECT_TIMEOUT_S = 5.0
Version = Literal["5", "3.1.1"]
_VERSIONS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}
_UNLIMITED_WINDOW = 65_535


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker answered. code: reason; window, largest: what it takes, in messages and bytes."""

    accepted: bool
    reason: str
    unsupported_version: bool
    window: int
    largest_bytes: int | None


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection ended."""

    reason: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The broker answered a publish. code: MQTT 5 reason code; 0 where there is none (3.1.1)."""

    message: int
    code: int
    reason: str


Event = Connected | Disconnected | Acknowledged


class Connection:
    """One try to talk to the broker. Its events arrive in `events`, from paho's thread."""

    def __init__(
        self,
        broker: BrokerSettings,
        version: Version,
        client_id: str,
        will: tuple[str, bytes] | None,
        events: "SimpleQueue[Any]",
    ) -> None:
        """will: topic and payload that the broker publishes, retained, when this device vanishes.

        Raises BrokerError when certificates or the password cannot be read.
        """
        self._broker = broker
        self._events = events
        client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            protocol=_VERSIONS[version],
            reconnect_on_failure=False,
            clean_session=None if version == "5" else True,
        )
        client.connect_timeout = CONNECT_TIMEOUT_S
        if will is not None:
            client.will_set(*will, qos=1, retain=True)
        if broker.username:
            client.username_pw_set(broker.username, _password(broker))
        if broker.tls:
            client.tls_set_context(tls_context(broker))
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_socket_open = _without_delay
        self._client = client

    def open(self) -> None:
        """Connect and start paho's thread. Raises BrokerError when nobody listens."""
        broker = self._broker
        try:
            self._client.connect(broker.host, broker.port, broker.keepalive_s)
        except (OSError, ValueError) as error:
            self.close()
            raise BrokerError(explain(broker, error)) from error
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send at QoS 1; return the message's number, which its `Acknowledged` carries."""
        return self._client.publish(topic, payload, qos=1, retain=retain).mid

    def close(self, *, polite: bool = True) -> None:
        """End the connection. Not polite: as if the device vanished, so that its will is told."""
        if polite:
            self._client.disconnect()
        else:
            sock: Any = self._client.socket()
            if sock is not None:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._events.put(
            Connected(
                accepted=not code.is_failure,
                reason=str(code),
                unsupported_version=code.getName() == "Unsupported protocol version",
                window=getattr(properties, "ReceiveMaximum", _UNLIMITED_WINDOW),
                largest_bytes=getattr(properties, "MaximumPacketSize", None),
            )
        )

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._events.put(Disconnected(str(code)))

    def _on_publish(
        self,
        _client: mqtt.Client,
        _userdata: object,
        message: int,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._events.put(Acknowledged(message, int(code.value), str(code)))


def _without_delay(_client: mqtt.Client, _userdata: object, sock: Any) -> None:  # noqa: ANN401
    # paho leaves Nagle on, which costs 40 ms at the 99th percentile.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _password(broker: BrokerSettings) -> str | None:
    if not broker.password_file:
        return None
    try:
        return Path(broker.password_file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"broker.password_file {broker.password_file} cannot be read ({error})."
        raise BrokerError(msg) from error


def tls_context(broker: BrokerSettings) -> ssl.SSLContext:
    """Return the TLS settings: 1.3 only, the broker's name checked. Raises BrokerError."""
    try:
        context = ssl.create_default_context(cafile=broker.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        if broker.certificate_file:
            context.load_cert_chain(broker.certificate_file, broker.key_file or None)
    except (OSError, ssl.SSLError) as error:
        msg = (
            f"The TLS files of [broker] cannot be used ({error}): check ca_file, certificate_file "
            "and key_file."
        )
        raise BrokerError(msg) from error
    return context


def explain(broker: BrokerSettings, error: Exception) -> str:
    """Return why connecting failed and what to do, in a sentence."""
    place = f"{broker.host}:{broker.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"The broker {place} shows a certificate that is not trusted ({error.verify_message})."
        )
    if isinstance(error, ssl.SSLError):
        return (
            f"The broker {place} does not speak TLS 1.3 on this port ({error.reason}): check "
            "broker.port."
        )
    if isinstance(error, socket.gaierror):
        return f"The broker's name {broker.host} is not known: check broker.host and the network."
    if isinstance(error, TimeoutError):
        return f"The broker {place} does not answer: check the network and its firewall."
    reason = getattr(error, "strerror", None) or error
    return f"The broker {place} cannot be reached ({reason}): is it running, and the port right?"

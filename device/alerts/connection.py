"""One connection to the broker: paho-mqtt, set up for what Passerby needs.

Callbacks only put what happened into a queue; whoever owns that queue decides. A connection is used
once: after it ends a new one is made, so that nothing that paho remembers is sent twice.
"""

import socket
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from device.alerts.client import Version, make_client, properties_of
from device.alerts.refused import FAILURE
from device.alerts.tls import explain
from device.errors import BrokerError
from device.settings import BrokerSettings

SESSION_EXPIRY_S = 3600
"""How long the broker keeps receipts and commands for a device that is away."""
CONTENT_TYPE = "application/vnd.passerby.cell"
_UNLIMITED_WINDOW = 65_535


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker answered. window, largest_bytes: what it takes, in messages and bytes.

    same_session: it still has what it had taken and what waits for this device.
    """

    accepted: bool
    reason: str
    unsupported_version: bool
    window: int
    largest_bytes: int | None
    same_session: bool = False


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


@dataclass(frozen=True, slots=True)
class Subscribed:
    """The broker answered a subscription. refused: why, or None."""

    refused: str | None


@dataclass(frozen=True, slots=True)
class Received:
    """A message for this device."""

    topic: str
    payload: bytes


Event = Connected | Disconnected | Acknowledged | Subscribed | Received


class Connection:
    """One try to talk to the broker. Its events arrive in `events`, from paho's thread."""

    def __init__(  # noqa: PLR0913 - what a connection is made of
        self,
        broker: BrokerSettings,
        version: Version,
        client_id: str,
        will: tuple[str, bytes] | None,
        events: "SimpleQueue[Any]",
        *,
        keep_session: bool = False,
    ) -> None:
        """will: topic and payload that the broker publishes, retained, when this device vanishes.

        keep_session: with MQTT 5 the broker keeps what comes while the device is away. Raises
        BrokerError when certificates or the password cannot be read.
        """
        self._broker = broker
        self._events = events
        self._version = version
        self._keep_session = keep_session and version == "5"
        client = make_client(broker, version, client_id, clean_session=True)
        if will is not None:
            client.will_set(
                *will, qos=1, retain=True, properties=self._described(PacketTypes.WILLMESSAGE)
            )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        self._client = client

    def open(self) -> None:
        """Connect and start paho's thread. Raises BrokerError when nobody listens."""
        broker = self._broker
        properties = None
        if self._version == "5":
            properties = properties_of(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_S if self._keep_session else 0
        try:
            self._client.connect(
                broker.host,
                broker.port,
                broker.keepalive_s,
                clean_start=not self._keep_session if self._version == "5" else 3,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            self.close()
            raise BrokerError(explain(broker, error)) from error
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        """Send at QoS 1; return the message's number, which its `Acknowledged` carries."""
        properties = self._described(PacketTypes.PUBLISH)
        return self._client.publish(topic, payload, qos=1, retain=retain, properties=properties).mid

    def subscribe(self, topics: list[str], *, retained: bool = True) -> None:
        """Ask for topics at QoS 1; `Subscribed` is the answer.

        retained: also for what the broker keeps of them, if it knows the subscription already.
        MQTT 3.1.1 brings that every time.
        """
        if self._version != "5":
            self._client.subscribe([(topic, 1) for topic in topics])
            return
        handling = (
            SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            if retained
            else SubscribeOptions.RETAIN_SEND_IF_NEW_SUB
        )
        options = SubscribeOptions(qos=1, retainHandling=handling)
        self._client.subscribe([(topic, options) for topic in topics])

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

    def _described(self, packet: int) -> Properties | None:
        """Return the one content type of all messages: it must not tell them apart."""
        if self._version != "5":
            return None
        properties = properties_of(packet)
        properties.ContentType = CONTENT_TYPE
        return properties

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
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
                same_session=bool(flags.session_present),
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

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _message: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(code) for code in codes if int(code.value) >= FAILURE]
        self._events.put(Subscribed(refused[0] if refused else None))

    def _on_message(
        self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # no topic of ours is anything but ASCII
        self._events.put(Received(topic, bytes(message.payload)))

"""One connection of the desk to a broker: paho-mqtt with acknowledgements by hand and a session.

Callbacks only put what happened into a queue. A connection is used once: after it ends a new one is
made. MQTT 3.1.1 knows neither shared subscriptions nor message expiry; it works without both.
"""

import socket
import time
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from device.alerts.client import Version, make_client, properties_of
from device.alerts.tls import explain
from device.errors import BrokerError
from device.settings import BrokerSettings
from tools.desk.gateway.happenings import (
    Acknowledged,
    Connected,
    Disconnected,
    Received,
    Subscribed,
)

_UNLIMITED_WINDOW = 65_535
_OUR_WINDOW = 64
"""Messages that the broker may have under way to us, unanswered."""
_LARGEST_BYTES = 16_384
_READ_AHEAD = 256
"""Mosquitto 2.0.11 heeds our window only while nothing waits: then every acknowledgement frees a
whole window. What is not read stays in the socket, which holds back any broker."""
_LOOK_S = 0.002


class Connection:
    """One try to talk to a broker. Its events arrive in `events`, from paho's thread."""

    def __init__(
        self,
        broker: BrokerSettings,
        version: Version,
        client_id: str,
        session_s: int,
        events: "SimpleQueue[Any]",
    ) -> None:
        """session_s: how long the broker keeps messages while we are away; 0: not at all.

        Raises BrokerError when certificates or the password cannot be read.
        """
        self._broker = broker
        self._version = version
        self._session_s = session_s
        self._events = events
        self._closing = False
        client = make_client(
            broker, version, client_id, clean_session=session_s == 0, manual_ack=True
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
            properties.SessionExpiryInterval = self._session_s
            properties.ReceiveMaximum = _OUR_WINDOW
            properties.MaximumPacketSize = _LARGEST_BYTES
        try:
            self._client.connect(
                broker.host,
                broker.port,
                broker.keepalive_s,
                clean_start=self._session_s == 0 if self._version == "5" else 3,
                properties=properties,
            )
        except (OSError, ValueError) as error:
            self.close()
            raise BrokerError(explain(broker, error)) from error
        self._client.loop_start()

    @property
    def alive(self) -> bool:
        """False when paho's thread has died, of which it tells nobody."""
        thread = self._client._thread  # noqa: SLF001 - the only way to know
        return thread is not None and thread.is_alive()

    def subscribe(self, filters: list[str]) -> None:
        """Ask for topics at QoS 1; the answer is a `Subscribed`."""
        self._client.subscribe([(one, 1) for one in filters])

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool = False,
        expiry_s: int | None = None,
        content_type: str | None = None,
    ) -> int:
        """Send at QoS 1; return the message's number, which its `Acknowledged` carries."""
        properties = None
        if self._version == "5" and (expiry_s is not None or content_type is not None):
            properties = properties_of(PacketTypes.PUBLISH)
            if expiry_s is not None:
                properties.MessageExpiryInterval = expiry_s
            if content_type is not None:
                properties.ContentType = content_type
        sent = self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        return sent.mid

    def acknowledge(self, message: int) -> None:
        """Tell the broker that it may forget a received message."""
        self._client.ack(message, 1)

    def close(self, *, polite: bool = True) -> None:
        """End the connection; the session stays. Not polite: without waiting for a dead broker."""
        self._closing = True
        with suppress(OSError, ValueError):
            sock: Any = self._client.socket()
            if polite or sock is None:
                self._client.disconnect()
            else:
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
                self,
                accepted=not code.is_failure,
                reason=str(code),
                unsupported_version=code.getName() == "Unsupported protocol version",
                window=getattr(properties, "ReceiveMaximum", _UNLIMITED_WINDOW),
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
        self._events.put(Disconnected(self, str(code)))

    def _on_publish(
        self,
        _client: mqtt.Client,
        _userdata: object,
        message: int,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._events.put(Acknowledged(self, message, int(code.value), str(code)))

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _message: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = next((str(code) for code in codes if code.is_failure), None)
        self._events.put(Subscribed(self, refused))

    def _on_message(
        self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        while self._events.qsize() > _READ_AHEAD and not self._closing:
            time.sleep(_LOOK_S)
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        number = message.mid if message.qos else None
        self._events.put(Received(self, topic, bytes(message.payload), number))

"""A back office in miniature: subscribes to alerts and status, decodes them, keeps what came."""

import time
from collections.abc import Callable

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from device.errors import BrokerError
from device.protocol.alert import Alert, decode_alert

_WAIT_S = 10.0


class Consumer:
    """Receives what devices send to a broker on this machine."""

    def __init__(self, port: int, on_alert: Callable[[Alert], None]) -> None:
        self.alerts: list[Alert] = []
        self.statuses: list[bytes] = []
        self.faults: list[str] = []
        self._on_alert = on_alert
        self._subscribed = False
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, "back-office", protocol=MQTTProtocolVersion.MQTTv311
        )
        self._client.on_message = self._on_message
        self._client.on_subscribe = self._on_subscribe
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("passerby/v1/+/+/+", qos=1)
        self._client.loop_start()

    def wait_until_listening(self) -> None:
        """Return when the broker has confirmed the subscription. Raises BrokerError."""
        self._wait(lambda: self._subscribed, "The consumer could not subscribe.")

    def wait_for(self, count: int) -> None:
        """Return when `count` alerts have arrived. Raises BrokerError when they do not."""
        self._wait(
            lambda: len(self.alerts) >= count,
            f"Of {count} alerts that were sent, some did not arrive.",
        )

    def close(self) -> None:
        """End the connection."""
        self._client.disconnect()
        self._client.loop_stop()

    def _wait(self, condition: Callable[[], bool], fault: str) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > deadline:
                raise BrokerError(fault)
            time.sleep(0.02)

    def _on_subscribe(self, *_: object) -> None:
        self._subscribed = True

    def _on_message(
        self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage
    ) -> None:
        try:
            if message.topic.endswith("/alert"):
                alert = decode_alert(bytes(message.payload))
                self.alerts.append(alert)
                self._on_alert(alert)
            else:
                self.statuses.append(bytes(message.payload))
        except Exception as error:  # noqa: BLE001 - paho's thread must not die of a bad message
            self.faults.append(str(error))

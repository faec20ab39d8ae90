"""Reads plain alerts from the local broker: `python consumer.py [HOST] [PORT]`. Needs paho-mqtt.

A session of its own keeps what arrives while this program is away; the desk may send an event
twice, so remember its id. An alert is a possible match, and says so: show it to people, judge
nothing by it.
"""
# ruff: noqa: INP001, T201 - a single program, that prints

import json
import sys
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

TOPIC = "passerby-desk/v1/+/+/alert"


class Consumer:
    """Prints every alert once. A program of yours would keep `seen` in its database."""

    def __init__(self) -> None:
        self.seen: set[tuple[str, str]] = set()

    def on_connect(self, client: mqtt.Client, *_: object) -> None:
        """Subscribe, also after the connection was lost."""
        client.subscribe(TOPIC, qos=1)
        print("listening", flush=True)

    def on_message(self, client: mqtt.Client, _: object, message: mqtt.MQTTMessage) -> None:
        """Print an alert, then let the broker forget it."""
        event: dict[str, Any] = json.loads(message.payload)
        name = (event["source"], event["id"])
        if name not in self.seen:
            self.seen.add(name)
            data = event["data"]
            line = f"{event['id']} {data['words']}: {data['reference_id']} ({data['score_band']})"
            print(f"{line}. {data['notice']}", flush=True)
        # Only now: an alert that was not dealt with comes again.
        client.ack(message.mid, message.qos)


def main() -> None:
    """Listen until Ctrl-C."""
    host = sys.argv[1] if sys.argv[1:] else "localhost"
    port = int(sys.argv[2]) if sys.argv[2:] else 1883
    consumer = Consumer()
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, "example-consumer-py", clean_session=False, manual_ack=True
    )
    client.on_connect, client.on_message = consumer.on_connect, consumer.on_message
    client.connect(host, port)
    client.loop_forever()


if __name__ == "__main__":
    main()

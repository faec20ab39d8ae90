"""MQTT 5 in a few functions, for thousands of clients in one asyncio loop.

Only what a device of ours says and hears: CONNECT with a will, SUBSCRIBE, PUBLISH at QoS 1, PUBACK,
PING. `Wire` is one connection; it cuts bytes into packets and hands them to its owner. paho has a
thread per client, which 5,000 of would be the measurement of a scheduler.
"""

import asyncio
from dataclasses import dataclass

CONNACK, PUBLISH, PUBACK, SUBACK, DISCONNECT = 0x2, 0x3, 0x4, 0x9, 0xE
PINGREQ = b"\xc0\x00"
_SESSION_EXPIRY, _CONTENT_TYPE, _RECEIVE_MAXIMUM = 0x11, 0x03, 0x21
_WILL_QOS_1_RETAINED = 0b0010_1100
# By property of a CONNACK: how many bytes it takes; 0: two bytes say so.
_LENGTHS = {
    **dict.fromkeys((0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22), 2),
    **dict.fromkeys((0x11, 0x27), 4),
    **dict.fromkeys((0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), 0),
}
_UNLIMITED = 65_535


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a CONNACK says. window: Receive Maximum."""

    code: int
    same_session: bool
    window: int


def connect(client_id, will, *, expiry_s, keepalive_s, content_type):
    """will: topic and payload, told at QoS 1 and retained. The session is kept if there is one."""
    properties = _properties(bytes((_SESSION_EXPIRY,)) + expiry_s.to_bytes(4, "big"))
    head = _text("MQTT") + bytes((5, _WILL_QOS_1_RETAINED)) + keepalive_s.to_bytes(2, "big")
    topic, payload = will
    described = _described(content_type)
    return _packet(
        0x10, head + properties + _text(client_id) + described + _text(topic) + _binary(payload)
    )


def subscribe(number, topics):
    """Ask for topics at QoS 1."""
    filters = b"".join(_text(topic) + b"\x01" for topic in topics)
    return _packet(0x82, number.to_bytes(2, "big") + _properties(b"") + filters)


def publish(number, topic, payload, *, content_type, retain=False):
    """At QoS 1."""
    head = _text(topic) + number.to_bytes(2, "big") + _described(content_type)
    return _packet(0x32 | retain, head + payload)


def acknowledge(number):
    return _packet(0x40, number.to_bytes(2, "big"))


def read_connack(body):
    """Return what the broker answered to CONNECT."""
    window, at = _UNLIMITED, 2
    length, at = _read_length(body, at)
    end = at + length
    while at < end:
        kind, at = body[at], at + 1
        size = _LENGTHS[kind] or 2 + int.from_bytes(body[at : at + 2], "big")
        if kind == _RECEIVE_MAXIMUM:
            window = int.from_bytes(body[at : at + 2], "big")
        at += size
    return Accepted(body[1], bool(body[0] & 1), window)


def read_puback(body):
    """Return number and reason code."""
    return int.from_bytes(body[:2], "big"), body[2] if len(body) > 2 else 0


def read_publish(flags, body):
    """Return topic, number (None at QoS 0) and payload."""
    end = 2 + int.from_bytes(body[:2], "big")
    topic, number = body[2:end].decode(), None
    if flags & 0b0110:
        number, end = int.from_bytes(body[end : end + 2], "big"), end + 2
    length, at = _read_length(body, end)
    return topic, number, bytes(body[at + length :])


def split(buffer):
    """Cut whole packets off a bytearray; yield their kind, flags and body."""
    while len(buffer) >= 2:
        try:
            length, at = _read_length(buffer, 1)
        except IndexError:
            return
        if len(buffer) < at + length:
            return
        first, body = buffer[0], bytes(buffer[at : at + length])
        del buffer[: at + length]
        yield first >> 4, first & 0xF, body


def _packet(first, body):
    return bytes((first,)) + _length(len(body)) + body


def _length(number):
    content = bytearray()
    while number > 0x7F:
        content.append(0x80 | number & 0x7F)
        number >>= 7
    return bytes((*content, number))


def _read_length(content, at):
    """Return a length of one to four bytes, and where it ends."""
    number, shift = 0, 0
    while True:
        byte, at = content[at], at + 1
        number |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return number, at
        shift += 7


def _properties(content):
    return _length(len(content)) + content


def _described(content_type):
    return _properties(bytes((_CONTENT_TYPE,)) + _text(content_type))


def _text(text):
    return _binary(text.encode())


def _binary(content):
    return len(content).to_bytes(2, "big") + content


class Wire(asyncio.Protocol):
    """owner: has `opened(wire)`, `heard(wire, kind, flags, body)` and `ended(wire)`."""

    def __init__(self, owner):
        self._owner = owner
        self._buffer = bytearray()
        self._transport = None

    def connection_made(self, transport):
        # asyncio sets TCP_NODELAY by itself.
        self._transport = transport
        self._owner.opened(self)

    def data_received(self, data):
        self._buffer += data
        for kind, flags, body in split(self._buffer):
            self._owner.heard(self, kind, flags, body)

    def connection_lost(self, _error):
        self._owner.ended(self)

    def send(self, packet):
        if self._transport is not None:
            self._transport.write(packet)

    def abort(self):
        """End it as a device that loses its power does."""
        if self._transport is not None:
            self._transport.abort()

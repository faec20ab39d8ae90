"""A relay in front of a real broker that keeps every byte of both directions, and can fail.

The bytes are cut into MQTT's packets and the messages in them, a will among them: it is told by the
broker when the device vanishes.
"""

import contextlib
import select
import socket
import threading
import time
from dataclasses import dataclass

from tests.simulators.small_mqtt import split

FROM_DEVICE, TO_DEVICE = "from the device", "to the device"
_CONNECT, PUBLISH = 1, 3


@dataclass(frozen=True, slots=True)
class Bytes:
    """What one read of a socket gave. at_ns: CLOCK_MONOTONIC."""

    at_ns: int
    connection: int
    direction: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Packet:
    """One MQTT control packet. kind: its number in the standard (3 is PUBLISH). flags: its own."""

    at_ns: int
    connection: int
    direction: str
    kind: int
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """A message for a topic: published, or left with the broker as a will."""

    at_ns: int
    direction: str
    topic: str
    payload: bytes
    will: bool = False


class Tap:
    """A relay on a port of its own to `upstream`, a port of 127.0.0.1. Use it as a context."""

    def __init__(self, upstream, port=0):
        self.upstream = upstream
        self.bytes = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._hanging = threading.Event()
        self._connections = 0
        self._open = set()
        self._listener = self._listen(port)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def refuse(self):
        """Nobody listens any more, and what was connected is cut."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            listener.close()
        self.cut()

    def hang(self):
        """Take everything and answer nothing, as a network that swallows."""
        self._hanging.set()

    def heal(self):
        """Be a broker again, after `refuse` or `hang`."""
        if self._hanging.is_set():
            self._hanging.clear()
            self.cut()  # what was swallowed is lost, as a connection's bytes cannot be
        deadline = time.monotonic() + 2
        while self._listener is None:
            # The thread that waits for connections lets go of the old one a moment later.
            try:
                self._listener = self._listen(self.port)
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def cut(self):
        """End all connections without a word."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def close(self):
        self._ended.set()
        self.refuse()
        for thread in self._threads:
            thread.join(5)

    def search(self, needles):
        """Look through all bytes of each connection and direction, as one stretch each."""
        found = []
        for (connection, direction), content in self.streams().items():
            where = f"connection {connection}, {direction}"
            found += needles.search(content, where=where)
        return found

    def streams(self):
        """Return all bytes: (connection, direction) → content."""
        with self._lock:
            kept = list(self.bytes)
        found = {}
        for one in kept:
            found.setdefault((one.connection, one.direction), bytearray()).extend(one.content)
        return {place: bytes(content) for place, content in found.items()}

    def packets(self):
        """Return all whole packets; at_ns is when their last byte passed."""
        with self._lock:
            kept = list(self.bytes)
        rest, found = {}, []
        for one in kept:
            buffer = rest.setdefault((one.connection, one.direction), bytearray())
            buffer += one.content
            found += [Packet(one.at_ns, one.connection, one.direction, *p) for p in split(buffer)]
        return found

    def told(self):
        """Return all messages in both directions, wills among them."""
        versions = {}
        found = []
        for one in self.packets():
            if one.kind == _CONNECT:
                versions[one.connection] = one.body[6]
                found += _will(one)
            elif one.kind == PUBLISH:
                topic, payload = _publish(one, versions.get(one.connection, 5))
                found.append(Told(one.at_ns, one.direction, topic, payload))
        return found

    def _listen(self, port):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()
        return listener

    def _accept(self):
        while not self._ended.is_set():
            listener = self._listener
            try:
                ready = listener is not None and select.select([listener], [], [], 0.05)[0]
                device = listener.accept()[0] if ready else None
            except (OSError, ValueError):
                device = None  # `refuse` has closed it meanwhile
            if device is None:
                time.sleep(0.01)
                continue
            thread = threading.Thread(target=self._relay, args=(device,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _relay(self, device):
        with device, socket.socket() as broker:
            with self._lock:
                self._connections += 1
                number = self._connections
                self._open |= {device, broker}
            with contextlib.suppress(OSError):
                broker.connect(("127.0.0.1", self.upstream))
                self._pass(number, device, broker)
            with self._lock:
                self._open -= {device, broker}

    def _pass(self, number, device, broker):
        ways = {device: (FROM_DEVICE, broker), broker: (TO_DEVICE, device)}
        while not self._ended.is_set():
            for source in select.select(list(ways), [], [], 0.05)[0]:
                direction, target = ways[source]
                content = source.recv(1 << 16)
                with self._lock:
                    self.bytes.append(Bytes(time.monotonic_ns(), number, direction, content))
                if not content:
                    return
                if not self._hanging.is_set():
                    target.sendall(content)


def _publish(packet, version):
    body = packet.body
    end = 2 + int.from_bytes(body[:2], "big")
    topic = body[2:end].decode()
    if packet.flags & 0b0110:
        end += 2
    return topic, body[_after_properties(body, end, version) :]


def _will(packet):
    """Return the message that a CONNECT leaves for the moment at which the device vanishes."""
    body = packet.body
    version, flags = body[6], body[7]
    if not flags & 0b0100:
        return []
    at = _after_properties(body, 10, version)
    _, at = _field(body, at)
    at = _after_properties(body, at, version)
    topic, at = _field(body, at)
    payload, _ = _field(body, at)
    return [Told(packet.at_ns, packet.direction, topic.decode(), payload, will=True)]


def _field(body, at):
    end = at + 2 + int.from_bytes(body[at : at + 2], "big")
    return body[at + 2 : end], end


def _after_properties(body, at, version):
    if version < 5:
        return at
    length, shift = 0, 0
    while True:
        byte, at = body[at], at + 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return at + length

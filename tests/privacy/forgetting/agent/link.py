"""The agent's end of the socket to the driver.

From the driver: a length, a JSON object, and for some orders bytes behind it, which are received
into where they belong and nowhere else. To the driver: a JSON object a line.
"""

import json
import os
import socket
import struct
import threading

VARIABLE = "PASSERBY_PROOF"
"""Environment variable with the name of the driver's abstract Unix socket."""
LEAK = "PASSERBY_PROOF_LEAK"
"""Environment variable with the name of a deliberate leak, see `leaks.LEAKS`."""
LENGTH = struct.Struct("<I")


class Link:
    def __init__(self, name):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect("\0" + name)
        self._speaking = threading.Lock()

    def tell(self, what, **facts):
        line = json.dumps({"what": what, **facts}).encode() + b"\n"
        with self._speaking:
            # A driver that has left hears nothing; that is no reason for the program to fail.
            try:
                self._socket.sendall(line)
            except OSError:
                return

    def order(self):
        """Return the next order, None when the driver has left."""
        head = self._exactly(LENGTH.size)
        if head is None:
            return None
        order = self._exactly(LENGTH.unpack(head)[0])
        return None if order is None else json.loads(order)

    def receive_into(self, place):
        """Fill a writable buffer from the socket; False when the driver has left."""
        view = memoryview(place).cast("B")
        done = 0
        while done < len(view):
            try:
                # As from a file: strace keeps what sockets receive, and frames fill a disk.
                received = os.readv(self._socket.fileno(), [view[done:]])
            except OSError:
                received = 0
            if not received:
                return False
            done += received
        return True

    def skip(self, size):
        """Receive bytes that nobody wants, and overwrite them."""
        scratch = bytearray(65536)
        while size > 0:
            part = memoryview(scratch)[: min(size, len(scratch))]
            if not self.receive_into(part):
                break
            size -= len(part)
        scratch[:] = bytes(len(scratch))

    def _exactly(self, size):
        content = bytearray(size)
        return content if self.receive_into(content) else None

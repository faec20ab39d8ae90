"""The driver's end of the socket to the agent: orders out, notices and answers in."""

import itertools
import json
import os
import queue
import socket
import struct
import threading

from tests.privacy.forgetting.agent.link import LENGTH

_numbers = itertools.count()


class Conversation:
    """on_notice: called with every notice that is no answer, from a thread of its own."""

    def __init__(self, on_notice):
        self.name = f"passerby-proof-{os.getpid()}-{next(_numbers)}"
        self._on_notice = on_notice
        self._listening = socket.socket(socket.AF_UNIX)
        # Abstract: no file, and no limit on how deep the folder lies.
        self._listening.bind("\0" + self.name)
        self._listening.listen(1)
        self._socket = None
        self._answers = queue.Queue()
        self._ordering = threading.Lock()

    def accept(self, timeout_s):
        """Wait for the agent; return the process it speaks from, None when it did not come."""
        self._listening.settimeout(timeout_s)
        try:
            self._socket, _ = self._listening.accept()
        except TimeoutError:
            return None
        self._socket.settimeout(None)
        threading.Thread(target=self._hear, name="conversation", daemon=True).start()
        told = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("3i", told)[0]

    def send(self, do, *contents, **facts):
        """Send an order, and the contents that belong to it."""
        order = json.dumps({"do": do, **facts}).encode()
        with self._ordering:
            self._socket.sendall(LENGTH.pack(len(order)) + order)
            for content in contents:
                self._socket.sendall(content)

    def ask(self, do, *contents, timeout_s=30.0, **facts):
        """Send an order and return its answer. Raises RuntimeError with the agent's own words."""
        self.send(do, *contents, **facts)
        try:
            answer = self._answers.get(timeout=timeout_s)
        except queue.Empty:
            raise TimeoutError(f"The agent did not answer `{do}` in {timeout_s} s.") from None
        if answer is None or answer["to"] != do:
            raise RuntimeError(f"The agent has left before it answered `{do}`.")
        if "error" in answer:
            raise RuntimeError(f"The agent could not `{do}`: {answer['error']}")
        return answer["value"]

    def close(self):
        for one in (self._socket, self._listening):
            if one is not None:
                one.close()

    def _hear(self):
        # A socket that is closed under the reader ends it like one that has ended.
        try:
            with self._socket.makefile("rb") as lines:
                for line in lines:
                    self._take(json.loads(line))
        except (OSError, ValueError):
            pass
        self._answers.put(None)
        self._on_notice({"what": "gone"})

    def _take(self, notice):
        if notice["what"] == "answer":
            self._answers.put(notice)
        else:
            self._on_notice(notice)

"""Programs of the bench in processes of their own: started, listened to, ended for certain."""

import collections
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from device.errors import BrokerError, PasserbyError

OnLine = Callable[[int, str], None]
"""Hears of each line: wall clock in nanoseconds, and the line without its end."""

_STOP_S: Final = 30.0
_POLL_S: Final = 0.01
_REMEMBERED: Final = 50


def _nobody(_at_ns: int, _line: str) -> None:
    pass


@dataclass(frozen=True)
class Order:
    """How to start a program. pass_fds: descriptors that it inherits. on_line: of its output."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    pass_fds: tuple[int, ...] = ()
    on_line: OnLine = field(default=_nobody)


class Child:
    """One process; a context manager that ends it. Its last words are remembered."""

    def __init__(self, order: Order) -> None:
        self.name = order.name
        self._on_line = order.on_line
        self._words: collections.deque[tuple[int, str]] = collections.deque(maxlen=_REMEMBERED)
        self.started_ns = time.time_ns()
        """Wall clock just before it was started."""
        # A session of its own: Ctrl-C reaches this program only, which then ends its children.
        self._process = subprocess.Popen(  # noqa: S603 - our own programs
            list(order.command),
            env=None if order.environment is None else dict(order.environment),
            pass_fds=order.pass_fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._ears = [
            threading.Thread(target=self._listen, args=args, daemon=True)
            for args in ((self._process.stdout, self._on_line), (self._process.stderr, self._note))
        ]
        for ear in self._ears:
            ear.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def process(self) -> int:
        """Its number."""
        return self._process.pid

    @property
    def words(self) -> list[tuple[int, str]]:
        """What it wrote to standard error last, with the time (wall clock, nanoseconds)."""
        return list(self._words)

    def said(self, words: str) -> tuple[int, str] | None:
        """Return the line of standard error that contains some words, and when it came."""
        return next((one for one in self.words if words in one[1]), None)

    def check(self) -> None:
        """Raise PasserbyError when it has ended by itself."""
        code = self._process.poll()
        if code is None:
            return
        for ear in self._ears:
            ear.join(1.0)
        last = self._words[-1][1] if self._words else "it said nothing"
        how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
        raise PasserbyError(f"The bench's {self.name} {how}: {last}.".replace("..", "."))

    def wait_for(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Return when something has come about. Raises PasserbyError when it has not, or cannot."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            self.check()
            if time.monotonic() > deadline:
                raise PasserbyError(f"The bench's {self.name}: {what} took over {timeout_s:.0f} s.")
            time.sleep(_POLL_S)

    def stop(self) -> int:
        """End it: politely, then not. Returns its exit code; safe to call twice."""
        with suppress(ProcessLookupError):
            if self._process.poll() is None:
                self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Also when Ctrl-C comes while it is waited for.
            self._process.kill()
            self._process.wait()
        for ear in self._ears:
            ear.join(2.0)
        return self._process.returncode

    def _note(self, at_ns: int, line: str) -> None:
        self._words.append((at_ns, line))

    @staticmethod
    def _listen(pipe: IO[bytes], on_line: OnLine) -> None:
        with pipe:
            for line in pipe:
                on_line(time.time_ns(), line.decode("utf-8", "replace").rstrip("\n"))


def mosquitto() -> str | None:
    """Return where Mosquitto is, or None."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def refuse_taken(port: int) -> None:
    """Raise BrokerError when somebody listens on a port already."""
    if listens(port):
        raise BrokerError(
            f"Port {port} of this machine is taken: end what listens there, or let the bench "
            "choose a port itself."
        )


def listens(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

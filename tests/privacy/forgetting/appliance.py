"""The real `passerby run`, driven frame by frame: what the proof does to it, and what it hears.

with Appliance(folder, port=broker.port) as appliance:
    shown = appliance.show(frame)           # returns when the frame's processing has ended
    searched = Memory(appliance.pid).search(needles)
    appliance.fault("embedding")            # in the next frame
    appliance.end()                         # SIGTERM; stands still behind its last code
    code = appliance.release_end()
"""

import os
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

from tests.privacy.forgetting.agent.link import LEAK, VARIABLE
from tests.privacy.forgetting.conversation import Conversation
from tests.privacy.forgetting.faults import STAGES
from tests.privacy.forgetting.leaks import BUILDS
from tests.privacy.forgetting.provision import environment, provision, state_of
from tests.privacy.forgetting.shown import Shown, note

__all__ = ["Appliance", "Shown"]

_AFTER_ANOTHER_S = 1.0
"""Longer than a track outlives its face."""


class Appliance:
    """folder: for configuration, state and strays. leak: of `BUILDS`. wrapper: words before the
    program's own, as of strace. env: more variables. settings: table → keys of device.toml.
    config: an existing device.toml with `kind = "picamera2"` instead, used where it lies.
    """

    def __init__(  # noqa: PLR0913 - the ways in which the proof varies it
        self,
        folder,
        *,
        models="built-in",
        leak=None,
        verbose=False,
        wrapper=(),
        port=None,
        env=None,
        config=None,
        settings=None,
        ledger=False,
    ):
        if leak is not None and leak not in BUILDS:
            raise ValueError(f"There is no leak called {leak!r}: {', '.join(BUILDS)}.")
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = Path(config).absolute() if config else self.folder / "device.toml"
        self.watchlist = None if config else self.folder / "list"
        self.stderr, self.stdout = self.folder / "stderr.log", self.folder / "stdout.log"
        self.between = None if config else provision(self.folder, models, port, settings or {})
        self.state = state_of(self.config)
        self.streams = {}
        self.pid = None
        self._talk = Conversation(self._hear)
        more = {VARIABLE: self._talk.name, **({LEAK: leak} if leak else {}), **(env or {})}
        self._environment = environment(self.folder, more)
        program = Path(sys.executable).with_name("passerby")
        self._line = [*wrapper, program, *(["--verbose"] if verbose else []), "run"]
        self._line += ["--config", self.config, *(["--ledger"] if ledger else [])]
        self._changed = threading.Condition()
        self._shown = {}
        self._holding = self._gone = False
        self._source_ns = 0
        self._number = 0
        self._planted = []
        self._process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def start(self, timeout_s=60.0):
        """Start the program and wait until its camera waits for the first frame."""
        with self.stderr.open("ab") as errors, self.stdout.open("ab") as output:
            self._process = subprocess.Popen(
                [str(word) for word in self._line],
                cwd=self.config.parent,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
        deadline = time.monotonic() + timeout_s
        while self.pid is None:
            self.pid = self._talk.accept(0.2)
            if self.pid is None and (self._process.poll() is not None or _past(deadline)):
                raise RuntimeError(f"The appliance did not start:\n{self._last_words()}")
        self._wait(lambda: self.streams, timeout_s, "its camera to start")
        return self

    def show(self, frame, *, apart_s=_AFTER_ANOTHER_S, timeout_s=60.0):
        """Show a frame and wait until its processing has ended.

        apart_s: how much later than the last one it is on the camera's clock, so that tracks can
        end without waiting; None: real time.
        """
        shown = self._send(frame, apart_s)
        self._wait(lambda: shown.over, timeout_s, f"frame {shown.number} to end")
        if shown.refused:
            raise RuntimeError(f"Frame {shown.number} was not taken: {shown.refused}.")
        return shown

    def send(self, frame, *, apart_s=_AFTER_ANOTHER_S):
        """Show a frame and do not wait; what becomes of it appears in what is returned."""
        return self._send(frame, apart_s)

    def stream(self, frames, rate, *, timeout_s=60.0):
        """Show frames at a rate per second in real time; return what became of each, in order."""
        stream, begun = [], time.monotonic()
        for index, frame in enumerate(frames):
            time.sleep(max(0.0, begun + index / rate - time.monotonic()))
            stream.append(self._send(frame, None))
        self._wait(lambda: all(one.over for one in stream), timeout_s, "the stream to end")
        return stream

    def fault(self, stage, *, always=False):
        """Let a stage fail in the next frame, with `always` in every one; None: in none."""
        if stage is not None and stage not in STAGES:
            raise ValueError(f"There is no stage called {stage!r}: {', '.join(STAGES)}.")
        self._talk.ask("fault", stage=stage, always=always)

    def plant(self, kind, content, place):
        """Lay bytes out in the program's memory, at a place of `plants.PLACES`."""
        self._talk.ask("plant", bytes(content), place=place, size=len(content))
        self._planted.append((kind, place, bytes(content)))

    def planted(self):
        """Return (kind, place, whether it still lies there whole) of all plants."""
        there = self._talk.ask("planted")
        return [
            (kind, place, zlib.crc32(content) == found)
            for (kind, place, content), found in zip(self._planted, there, strict=True)
        ]

    def unplant(self):
        """Wipe all plants."""
        self._talk.ask("unplant")
        self._planted.clear()

    def leaked(self):
        """Return how many things a deliberately leaky build has leaked so far."""
        return self._talk.ask("leaked")

    def end(self, timeout_s=60.0):
        """Ask the program to end (SIGTERM), and wait until it stands still behind its own code."""
        os.kill(self.pid, signal.SIGTERM)
        self._wait(lambda: self._holding, timeout_s, "the end")

    def release_end(self, timeout_s=30.0):
        """Let a program that `end` holds go; return its exit code."""
        self._talk.send("leave")
        return self._process.wait(timeout_s)

    def stop(self):
        """End the program and return its exit code."""
        self.end()
        return self.release_end()

    def kill(self):
        """Kill the program (SIGKILL); return its exit code. Does nothing once it has ended."""
        if self._process.poll() is None:
            os.kill(self.pid or self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._talk.close()
        return code

    @property
    def alive(self):
        return self._process.poll() is None

    def _send(self, frame, apart_s):
        pixels = [memoryview(stream).cast("B") for stream in (frame.main, frame.lores)]
        shown, self._number = Shown(self._number), self._number + 1
        with self._changed:
            self._shown[shown.number] = shown
        sizes = [len(one) for one in pixels]
        self._talk.send(
            "frame", *pixels, number=shown.number, at_ns=self._source_time(apart_s), sizes=sizes
        )
        return shown

    def _source_time(self, apart_s):
        if apart_s is None:
            return None
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._source_ns = max(self._source_ns + int(apart_s * 1e9), now_ns)
        return self._source_ns

    def _hear(self, notice):
        what = notice.pop("what")
        with self._changed:
            if what == "camera":
                self.streams = notice["streams"]
            elif what == "holding":
                self._holding = True
            elif what == "gone":
                self._gone = True
            else:
                note(self._shown.get(notice.pop("number")), what, notice)
            self._changed.notify_all()

    def _wait(self, condition, timeout_s, what):
        with self._changed:
            self._changed.wait_for(
                lambda: condition() or self._gone or self._holding, timeout=timeout_s
            )
            if condition():
                return
        why = "it has ended by itself" if self._gone or self._holding else f"{timeout_s} s passed"
        raise RuntimeError(f"Waiting for {what}: {why}.\n{self._last_words()}")

    def _last_words(self):
        return self.stderr.read_text(errors="replace")[-3000:]


def _past(deadline):
    return time.monotonic() > deadline

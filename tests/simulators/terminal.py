"""A terminal that people type at: a pseudo-terminal, their answers, and a record of it all."""

import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_WAIT_S = 60.0


@dataclass
class Typed:
    """One command. who: who typed it. answers: what was typed when asked; secrets do not show."""

    who: str
    line: str
    output: str
    code: int


@dataclass
class Terminal:
    """folder: where everything happens. Programs are those of this environment."""

    folder: Path
    record: list[Typed] = field(default_factory=list)

    def type(self, who, line, answers=(), *, code=0):
        """Type a command line and answer its questions. code: its exit code, None: any but 0.

        answers: (part of the question, answer) pairs, in any order.
        """
        master, slave = pty.openpty()
        process = subprocess.Popen(
            shlex.split(line),
            cwd=self.folder,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(),
            close_fds=True,
            start_new_session=True,
        )
        os.close(slave)
        output = _converse(master, process, list(answers))
        os.close(master)
        typed = Typed(who, line, output, process.wait())
        self.record.append(typed)
        fits = typed.code != 0 if code is None else typed.code == code
        assert fits, f"$ {line}\n{output}\nexit code {typed.code}, not {code}"
        return output

    def start(self, line, name):
        """Start a program that goes on; its output is in the file `name`."""
        with (self.folder / name).open("wb") as out:
            return subprocess.Popen(
                shlex.split(line), cwd=self.folder, stdout=out, stderr=out, env=environment()
            )


def environment():
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "COLUMNS": "100", "TERM": "dumb", "OMP_NUM_THREADS": "1"}


def _converse(master, process, answers):
    said, since = "", 0
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        ready, _, _ = select.select([master], [], [], 0.2)
        if not ready:
            if process.poll() is not None:
                break
            continue
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break  # the other end is closed
        if not chunk:
            break
        said += chunk.decode("utf-8", "replace")
        while asked := [pair for pair in answers if pair[0] in said[since:]]:
            question, answer = min(asked, key=lambda pair: said.index(pair[0], since))
            answers.remove((question, answer))
            since = said.index(question, since) + len(question)
            os.write(master, answer.encode() + b"\n")
    else:
        process.kill()
        raise AssertionError(f"no end, and no question that was expected: {said[-500:]}")
    assert not answers, f"never asked: {answers[0][0]}\n{said}"
    return _ANSI.sub("", said).replace("\r\n", "\n").replace("\r", "\n")

"""A contestant's process as the contest sees it: questions down, answers up, one line each."""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, Protocol, cast

import msgspec

from device.errors import PasserbyError
from tools.lab.bench.worker import Run

ONE_THREAD: Final = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OMP_THREAD_LIMIT",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "BLIS_NUM_THREADS",
    ),
    "1",
)
"""Every library that counts threads is told: one."""
_LEAVE_S: Final = 10.0
_LAST_WORDS: Final = 200


class WorkerError(PasserbyError):
    """A contestant's process ended, or cannot do what it was asked."""


class Server(Protocol):
    """What the contest asks of a contestant's process.

    absent: why it cannot take part; empty when it can.
    """

    absent: str

    def versions(self) -> tuple[str, dict[str, str]]:
        """Return its long name, and versions of libraries and models."""

    def enrol(self, stills: Sequence[Path]) -> list[str]:
        """Return the ids of the photographs that became templates."""

    def show(self, folder: Path) -> Run:
        """Show it a clip."""

    def close(self) -> None:
        """Let it go."""


class Worker:
    """A process of `tools.lab.bench.worker`. Every method raises WorkerError."""

    def __init__(self, name: str, peer_models: Path, python: Path, hurry: int = 1) -> None:
        """python: the interpreter that has the contestant's libraries. hurry: see `run_clip`."""
        self._hurry = hurry
        self._name = name
        command = [str(python), "-m", "tools.lab.bench.worker", name]
        command += ["--peer-models", str(peer_models)]
        # What libraries print is noise, but its last words say why a process ended.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env={**os.environ, **ONE_THREAD},
            )
        except OSError as error:
            self._said.close()
            raise WorkerError(f"{python} cannot be started for {name} ({error}).") from error
        try:
            self.absent = str(self._answer().get("absent", ""))
        except BaseException:
            self.close()
            raise

    def versions(self) -> tuple[str, dict[str, str]]:
        """See `Server`."""
        answer = self._ask({"do": "versions"})
        return str(answer["name"]), msgspec.convert(answer["versions"], dict[str, str])

    def enrol(self, stills: Sequence[Path]) -> list[str]:
        """See `Server`."""
        question = {"do": "enrol", "stills": [str(still.resolve()) for still in stills]}
        return msgspec.convert(self._ask(question)["ids"], list[str])

    def show(self, folder: Path) -> Run:
        """See `Server`."""
        question = {"do": "clip", "folder": str(folder.resolve()), "hurry": self._hurry}
        return msgspec.convert(self._ask(question), Run)

    def close(self) -> None:
        """See `Server`."""
        with suppress(OSError):
            self._pipe(self._process.stdin).close()
        try:
            self._process.wait(_LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._pipe(self._process.stdout).close()
        self._said.close()

    def _ask(self, question: Mapping[str, object]) -> dict[str, object]:
        try:
            pipe = self._pipe(self._process.stdin)
            pipe.write(msgspec.json.encode(question) + b"\n")
            pipe.flush()
        except OSError as error:
            raise WorkerError(self._end()) from error
        answer = self._answer()
        if "error" in answer:
            raise WorkerError(f"{self._name}: {answer['error']}")
        return answer

    def _answer(self) -> dict[str, object]:
        line = self._pipe(self._process.stdout).readline()
        if not line.endswith(b"\n"):
            raise WorkerError(self._end())
        return msgspec.json.decode(line, type=dict[str, object])

    def _end(self) -> str:
        code = self._process.wait()
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        words = f": {lines[-1][-_LAST_WORDS:]}" if lines else ""
        return f"The process of {self._name} ended with exit code {code}{words}."

    @staticmethod
    def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
        # Both were asked for when the process was started.
        return cast("IO[bytes]", pipe)

"""Which board this is, in words: what was measured on one holds on no other."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_MODEL: Final = "proc/device-tree/model"
"""A Raspberry Pi says there what it is (Documentation/devicetree/usage-model of the kernel)."""
_CPUINFO: Final = "proc/cpuinfo"
_CPU_KEYS: Final = ("model name", "Hardware", "Model", "Processor")
_LONGEST: Final = 80


@dataclass(frozen=True, slots=True)
class Board:
    """name: of the board, else of its processor, at most 80 printable characters.

    cores: that this process may use, at least 1.
    """

    name: str
    cores: int

    def __str__(self) -> str:
        return f"{self.name}, {self.cores} core{'s' if self.cores > 1 else ''}"


def this_board(root: Path = Path("/")) -> Board:
    """Return the board that this runs on. root: where `proc` lies. Raises nothing."""
    name = _said(root / _MODEL) or _processor(root / _CPUINFO) or platform.machine() or "unknown"
    return Board(name, max(1, len(os.sched_getaffinity(0))))


def _processor(path: Path) -> str:
    """Return the first name that the kernel gives the processor; empty where it gives none."""
    try:
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    named = {key.strip(): value for key, _, value in (line.partition(":") for line in lines)}
    return next((found for key in _CPU_KEYS if (found := _plain(named.get(key, "")))), "")


def _said(path: Path) -> str:
    try:
        return _plain(path.read_text("utf-8", "replace"))
    except OSError:
        return ""


def _plain(text: str) -> str:
    """Return text on one line without what cannot be printed: a device tree ends in a zero byte."""
    printable = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(printable.split())[:_LONGEST]

"""The runtimes that can open a model: tflite-runtime, and LiteRT, its successor.

tflite-runtime serves Python 3.11 on Arm (and the Coral), ai-edge-litert with the same API
everything else. An import proves nothing: with NumPy 2 tflite-runtime imports well and fails at the
first `Interpreter()`, so a runtime counts only when it has opened the model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np

from device.errors import ModelError

_RUNTIMES: Final = (
    ("tflite_runtime.interpreter", "tflite-runtime"),
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
)

Opened = TypeVar("Opened")
Opening = Callable[[Any, str], Opened]
"""Opens a model with a runtime's module; the second argument is the name of its package."""


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What runs a model; goes into the status so that a fallback is never silent."""

    name: str
    version: str
    delegate: str
    threads: int
    note: str = ""

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        text = f"{self.name} {self.version}, {self.delegate}, {threads}"
        return f"{text} ({self.note})" if self.note else text


def by_any_runtime(file: Path, opening: Opening[Opened]) -> Opened:
    """Open a file with the first runtime that can. Raises ModelError with the reason of each."""
    reasons: list[str] = []
    for module_name, package in _RUNTIMES:
        try:
            module = import_module(module_name)
        except ImportError as error:
            if not _absent(error, module_name):
                reasons.append(f"{package}: {error}")
            continue
        try:
            return opening(module, package)
        except Exception as error:  # noqa: BLE001 - each runtime fails in its own way
            reasons.append(f"{package} with NumPy {np.__version__}: {error}")
    if not reasons:
        reasons.append("neither tflite-runtime nor ai-edge-litert is installed; run `make venv`")
    msg = f"No interpreter can open {file.name}: {'; '.join(reasons)}."
    raise ModelError(msg)


def _absent(error: ImportError, module_name: str) -> bool:
    return isinstance(error, ModuleNotFoundError) and (error.name or "") in (
        module_name,
        module_name.partition(".")[0],
    )

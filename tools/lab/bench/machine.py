"""Where a benchmark ran: board, kernel, versions, models. No name of the machine."""

import os
import platform

import numpy as np

from device import __version__
from device.board import this_board
from device.opencv import cv2
from device.vision import Eye


def machine_of(eyes: list[Eye]) -> dict[str, object]:
    """Return what a reader must know to compare figures; of each eye its models' hashes."""
    board = this_board()
    entries = [entry for eye in eyes for entry in eye.entries]
    return {
        "passerby": __version__,
        "board": board.name,
        "cores": board.cores,
        "memory_mb": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6,
        "kernel": platform.release(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "runtime": str(eyes[0].runtime) if eyes else "",
        "models": {entry.name: entry.sha256 for entry in entries},
    }


def load() -> float:
    """Return how many processes wanted a core in the last minute, this one among them."""
    return os.getloadavg()[0]

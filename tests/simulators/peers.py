"""What the tests of the benchmark's peers share: what is here of them."""

import importlib.util
from pathlib import Path

import pytest

from tools.lab.bench.peers import published

UPSTREAM = Path("../shared/models/upstream")

networks = pytest.mark.skipif(
    not (UPSTREAM / published.YUNET).is_file(), reason="the published networks are not here"
)


def library(name):
    """Skip by name where a peer's library is missing."""
    absent = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(absent, reason=f"{name} is not here: make venv-peers")

"""`passerby-lab`: reads the arguments and calls a command."""

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run."""
    return 0

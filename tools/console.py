"""The console of the host tools: one way to print, one way to fail."""

import sys
from collections.abc import Callable

from rich.console import Console

from device.errors import PasserbyError

console = Console(highlight=False, soft_wrap=True)
"""Standard output, for results."""
notes = Console(highlight=False, stderr=True, soft_wrap=True)
"""Standard error, for progress and faults."""


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command; turn errors that a person can act on into one sentence and an exit code."""
    try:
        return command()
    except PasserbyError as error:
        print(f"{program}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"{program}: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # Whoever read our output has left; that is no fault of ours.
        sys.stderr.close()
        return 0

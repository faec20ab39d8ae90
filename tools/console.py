"""The console of the host tools: one way to print, one way to fail."""

import sys
from collections.abc import Callable, Sequence

from rich.console import Console

from device.errors import ConfigurationError, PasserbyError, StorageError
from device.files import shown

console = Console(highlight=False, soft_wrap=True)
"""Standard output, for results."""
notes = Console(highlight=False, stderr=True, soft_wrap=True)
"""Standard error, for progress and faults."""


def given(program: str, arguments: Sequence[str] | None) -> Sequence[str]:
    """Return a program's arguments; exit with one sentence when one of them is no text.

    arguments: None: those of the command line. What is not UTF-8 arrives as half characters that
    no file, message or journal can hold; most commands would fail in the middle of their work.
    """
    found = sys.argv[1:] if arguments is None else arguments
    for text in found:
        try:
            text.encode()
        except UnicodeEncodeError:
            print(
                f"{program}: The argument {shown_argument(text)} is no text in UTF-8: type it "
                "again, or rename the file.",
                file=sys.stderr,
            )
            raise SystemExit(ConfigurationError.exit_code) from None
    return found


def shown_argument(text: str) -> str:
    """Return an argument so that it can be printed, cut after 80 characters."""
    return text.encode("utf-8", "backslashreplace").decode()[:80]


def guarded(program: str, command: Callable[[], int]) -> int:
    """Run a command; turn errors that a person can act on into one sentence and an exit code.

    What the computer refuses (a disk, memory) and what no check foresaw of a file are sentences
    too. Faults of this program are not hidden: a TypeError or a KeyError is a traceback.
    """
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
    except _OF_THE_COMPUTER as error:
        sentence, code = _explained(error)
        print(f"{program}: {sentence}", file=sys.stderr)
        return code


_OF_THE_COMPUTER = (
    OSError,
    UnicodeError,
    EOFError,
    OverflowError,
    RecursionError,
    MemoryError,
)


def _explained(error: BaseException) -> tuple[str, int]:
    """Return a sentence and an exit code for a fault that no command expected."""
    what = ConfigurationError.exit_code
    if isinstance(error, OSError):
        where = f" ({shown(str(error.filename))})" if error.filename else ""
        reason = shown(error.strerror or str(error)) or type(error).__name__
        return f"The computer refuses: {reason}{where}. Correct that, and repeat.", (
            StorageError.exit_code
        )
    if isinstance(error, UnicodeError):
        return "Something that was typed or read is no text in UTF-8: correct it.", what
    if isinstance(error, EOFError):
        return "Nobody answered the question: repeat the command.", what
    if isinstance(error, OverflowError):
        return "A number or a date is too large to be meant: correct it.", what
    if isinstance(error, RecursionError):
        return "A file is nested too deeply to be meant: is it the right one?", what
    return "This computer has not enough memory for that: is the file the right one?", (
        StorageError.exit_code
    )

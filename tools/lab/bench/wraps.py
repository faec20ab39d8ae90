"""Functions of the device, wrapped in this process only: to read a score, or to take a clock along.

Whoever wraps undoes it again; the device itself knows nothing of the benchmark.
"""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

Made = Callable[..., Any]


class Wraps:
    """Wrapped functions of modules and classes. Undone in reverse order by `undo`."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def around(self, owner: Any, name: str, make: Callable[[Made], Made]) -> None:  # noqa: ANN401
        """Put `make(original)` in the place of an attribute that is there.

        owner: a module or a class. Raises AttributeError when it has no such attribute of its own:
        what is wrapped was renamed, and nothing would be counted.
        """
        if name not in vars(owner):
            msg = f"{owner.__name__} has no {name} of its own"
            raise AttributeError(msg)
        original = getattr(owner, name)
        setattr(owner, name, make(original))
        self._stack.callback(setattr, owner, name, original)

    def undo(self) -> None:
        """Put everything back."""
        self._stack.close()

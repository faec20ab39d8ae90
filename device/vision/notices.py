"""What the native libraries print when a model is opened: only what matters is passed on."""

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_native_notices() -> Iterator[None]:
    """Keep the native library's INFO lines off standard error; pass on everything else."""
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    # In memory: nothing is written outside the state directory, and not there either.
    caught = os.memfd_create("notices")
    os.dup2(caught, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        said = os.pread(caught, os.fstat(caught).st_size, 0)
        os.close(caught)
        for line in said.splitlines(keepends=True):
            if not line.startswith((b"INFO:", b"VERBOSE:")) and line.strip():
                os.write(2, line)

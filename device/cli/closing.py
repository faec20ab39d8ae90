"""What every program that sees faces does first with its own memory (R13, R49)."""

import logging

from device.allocator import overwrite_what_is_freed
from device.memory import harden_process, lock_process, swap_is_on

log = logging.getLogger(__name__)


def close_memory() -> str | None:
    """Forbid core dumps and reading by others, keep out of swap, overwrite what is freed.

    Returns None, or why memory may be swapped to the disk; whether that forbids anything is
    policy's to decide. What the system refuses otherwise is logged.
    """
    refused = harden_process()
    if refused is not None:
        log.warning("%s", refused)
    if not overwrite_what_is_freed():
        log.warning("small pieces of freed memory are not overwritten by this C library")
    unlocked = lock_process()
    if unlocked is not None and swap_is_on():
        log.warning("%s", unlocked)
    return unlocked

"""Conditions of the device itself: asked always, also before anything was authorised."""

from device.policy.situation import Situation


def unverified(now: Situation) -> str | None:
    """R5: a bundle with both signatures was verified and is here."""
    if now.authorisation is not None:
        return None
    return now.bundle_fault or (
        "There is no signed watchlist on this device: the desk must publish one, or a technician "
        "brings it with `passerby update`."
    )


def clock_untrusted(now: Situation) -> str | None:
    """R6: the clock is trusted."""
    return now.clock_fault


def ended(now: Situation) -> str | None:
    """R24: the desk has not ended this deployment."""
    signed_at = None if now.authorisation is None else now.authorisation.signed_at
    return now.standing.end_in_force(signed_at)


def suspended(now: Situation) -> str | None:
    """R21: nobody has suspended this device."""
    return now.standing.suspension()


def stopped(now: Situation) -> str | None:
    """R32: the stop rule has not struck."""
    return now.stop_rule or now.standing.stopped


def unrecorded(now: Situation) -> str | None:
    """R41: the state directory can be written."""
    return now.storage_fault


def memory_open(now: Situation) -> str | None:
    """R49: the list can be held in memory that is never written to a disk.

    Memory that cannot be locked matters only where the system swaps at all.
    """
    return now.memory_fault if now.swaps else None

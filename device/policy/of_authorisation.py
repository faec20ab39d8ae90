"""Conditions of the authorisation: asked once a bundle was verified, before its list is opened."""

from bisect import bisect_right
from typing import Final

from device.policy.situation import Situation
from device.protocol.authorisation import Authorisation, Window
from device.protocol.identifiers import utc_ns, utc_text

_NO_REFERENCE: Final = frozenset(
    {"later", "missing", "na", "nil", "no", "none", "notapplicable", "pending", "tba", "tbd"}
    | {"test", "tobedetermined", "tobedone", "todo", "unknown", "xx", "xxx"}
)
"""Words that fill a field without naming anything."""


def misplaced(now: Situation, signed: Authorisation) -> str | None:
    """R6: the authorisation names this device, and with it its place."""
    if now.device in signed.devices:
        return None
    return (
        f"This device ({now.device}) is not among those authorised: the desk must authorise it, or "
        "a technician puts it where it belongs and corrects device.site and device.id."
    )


def stale(now: Situation, _signed: Authorisation) -> str | None:
    """R7: none of the bundle's signed files has expired."""
    if now.fresh_until_ns is not None and now.now_ns < now.fresh_until_ns:
        return None
    since = "" if now.fresh_until_ns is None else f" on {when(utc_text(now.fresh_until_ns))}"
    return (
        f"The signed list has expired{since}: the desk must refresh it, and it must reach this "
        "device by the broker or with `passerby update`."
    )


def pilot_over(now: Situation, signed: Authorisation) -> str | None:
    """R54: the pilot has not ended."""
    if now.now_ns < utc_ns(signed.pilot_ends_at):
        return None
    return (
        f"The pilot ended on {when(signed.pilot_ends_at)}: going on needs an exit evaluation and "
        "a new authorisation by the officer and the custodian."
    )


def unevaluated(_now: Situation, signed: Authorisation) -> str | None:
    """R54: somebody is named who evaluates the pilot afterwards."""
    if _names_something(signed.exit_evaluation):
        return None
    return (
        "The authorisation does not say who evaluates the pilot at its end: the officer must name "
        "them, and both must sign again."
    )


def unassessed(_now: Situation, signed: Authorisation) -> str | None:
    """R40: an impact assessment is named, pilots included."""
    if _names_something(signed.impact_assessment):
        return None
    return (
        "The authorisation names no impact assessment: the officer must add its reference, and "
        "both must sign again."
    )


def unannounced(_now: Situation, signed: Authorisation) -> str | None:
    """R36: somebody attests that the notice hung there before the first window.

    Nobody attests today what will be seen tomorrow: not after the signature either.
    """
    if signed.signage is None:
        return (
            "Nobody attests that the notice hangs at the place: the officer must have it hung and "
            "seen, and both must sign again."
        )
    attested_ns = utc_ns(signed.signage.attested_at)
    if attested_ns > utc_ns(signed.signed_at):
        return (
            "The notice is attested for a time after the authorisation was signed: the officer "
            "must attest what was seen, and both must sign again."
        )
    if attested_ns <= utc_ns(signed.windows[0].begins_at):
        return None
    return (
        "The notice was seen at the place only after the first time window had begun: the officer "
        "must authorise windows that begin later, and both must sign again."
    )


def floor_undercut(_now: Situation, signed: Authorisation) -> str | None:
    """R31: the signed threshold is not below its signed floor."""
    if signed.threshold.threshold >= signed.threshold.floor:
        return None
    return (
        f"The authorised threshold {signed.threshold.threshold} is below its floor "
        f"{signed.threshold.floor}: the desk must correct it, and both must sign again."
    )


def unproven(_now: Situation, signed: Authorisation) -> str | None:
    """R35: a provisional threshold goes with silent mode only."""
    if signed.threshold.kind != "provisional" or signed.mode == "silent":
        return None
    return (
        "The threshold is provisional, and no alert may be raised with it: the officer must "
        "authorise silent mode, or an evaluated threshold, and both must sign again."
    )


def settings_loosened(now: Situation, _signed: Authorisation) -> str | None:
    """R28, R29: no setting is looser than those that the threshold was evaluated with."""
    if not now.loosened:
        return None
    return (
        f"The bundle's configuration is looser than the evaluation ({'; '.join(now.loosened)}): "
        "the desk must correct it and publish it again, and both must sign it."
    )


def outside_windows(now: Situation, signed: Authorisation) -> str | None:
    """R6: a time window is open now."""
    window = window_after(signed, now.now_ns)
    if window is None:
        return (
            f"The last time window closed on {when(signed.windows[-1].ends_at)}: going on needs a "
            "new authorisation by the officer and the custodian."
        )
    if now.now_ns >= utc_ns(window.begins_at):
        return None
    return (
        f"No time window is open: the next opens on {when(window.begins_at)}, and this device "
        "then starts by itself."
    )


def window_after(signed: Authorisation, now_ns: int) -> Window | None:
    """Return the window that is open, else the next one; None after the last."""
    at = bisect_right(signed.windows, now_ns, key=lambda window: utc_ns(window.ends_at))
    return signed.windows[at] if at < len(signed.windows) else None


def _names_something(text: str) -> bool:
    letters = "".join(filter(str.isalnum, text.casefold()))
    return bool(letters) and letters not in _NO_REFERENCE


def when(text: str) -> str:
    """Return a time of the protocol for people, to the minute."""
    return f"{text[:10]} at {text[11:16]} UTC"

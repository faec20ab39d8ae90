"""Conditions of the list and of what compares with it: asked once the list is open."""

from typing import Final

from device.policy.situation import OpenList, Situation
from device.protocol.authorisation import LIST_CAP, Authorisation

COVERED_PERCENT: Final = 90
"""Part of the list's size that the evaluation must have had at least (R29)."""
NEEDED_ROLES: Final = ("detector", "embedder")


def another_list(_now: Situation, signed: Authorisation, opened: OpenList) -> str | None:
    """R5: the open list is the one that was authorised."""
    if (opened.deployment, opened.watchlist) == (signed.deployment, signed.watchlist):
        return None
    return (
        f"The list is version {opened.watchlist.version} of {opened.watchlist.id}, and version "
        f"{signed.watchlist.version} of {signed.watchlist.id} was authorised: the desk must "
        "publish both together again."
    )


def too_long(_now: Situation, signed: Authorisation, opened: OpenList) -> str | None:
    """R12: the list is not longer than the authorised cap."""
    cap = min(signed.list_cap, LIST_CAP)
    if opened.size <= cap:
        return None
    return (
        f"The list has {opened.size:,} references, and {cap:,} are authorised: the officer must "
        "shorten it, and both must sign again."
    )


def uncovered(_now: Situation, signed: Authorisation, opened: OpenList) -> str | None:
    """R29: the evaluation covers nine tenths of the list's size."""
    if 100 * signed.threshold.list_size >= COVERED_PERCENT * opened.size:
        return None
    return (
        f"The threshold was set for {signed.threshold.list_size:,} references, less than "
        f"{COVERED_PERCENT} % of the {opened.size:,} on the list: the desk must evaluate it with a "
        "longer list, or shorten this one, and both must sign again."
    )


def nothing_left(_now: Situation, _signed: Authorisation, opened: OpenList) -> str | None:
    """R7, R8: a reference is left that is neither revoked, nor expired, nor overdue for review.

    One is enough. A list that has shrunk raises no more false alerts than the whole one, for which
    the threshold was evaluated (`device.matching.cohort`), so that no part of it must be left.
    """
    if opened.comparable > 0:
        return None
    return (
        "Every reference on the list is revoked, expired or overdue for review: the desk must "
        "review the list and publish it again."
    )


def other_models(now: Situation, signed: Authorisation, _opened: OpenList) -> str | None:
    """R34: the loaded models are those authorised, all of them and no other."""
    authorised = {(model.role, model.sha256) for model in signed.models}
    loaded = {(model.role, model.sha256) for model in now.models or ()}
    strange = sorted(role for role, _ in loaded - authorised)
    missing = sorted({*NEEDED_ROLES, *dict(authorised)} - set(dict(loaded)))
    if not strange and not missing:
        return None
    found = f"not authorised is the {', '.join(strange)}" if strange else ""
    lacks = f"missing is the {', '.join(missing)}" if missing else ""
    return (
        f"The models are not those authorised ({'; '.join(filter(None, (found, lacks)))}): a "
        "technician installs them with `passerby-field models fetch`, or the desk authorises these."
    )


def other_threshold(now: Situation, signed: Authorisation, _opened: OpenList) -> str | None:
    """R31: the threshold that is applied is the signed one."""
    applied, wanted = now.threshold, signed.threshold.threshold
    if applied == wanted:
        return None
    return (
        f"The threshold in use ({'none' if applied is None else applied}) is not the authorised "
        f"{wanted}: the desk must correct the bundle's configuration and publish it "
        "again."
    )


def blind(now: Situation, _signed: Authorisation, _opened: OpenList) -> str | None:
    """R14: the camera works."""
    return now.camera_fault

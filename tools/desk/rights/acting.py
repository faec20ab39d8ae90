"""What a deletion or a correction does in the registers (R39): suspend at once, remove if granted.

A suspended entry is in no later version of the list, and stays suspended: devices that were told to
stop looking for a reference never look for it again. If the request is refused in the end, or an
entry was corrected, the person is added anew, with a new reference and two signatures.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from device.protocol.identifiers import utc_text
from tools.desk.rights.findings import Findings, Keeper, manifests_of, open_deployments
from tools.desk.rights.requests import Suspended
from tools.desk.shown import shown_device
from tools.desk.watchlist.folder import Deployment
from tools.desk.watchlist.session import Session, day_of
from tools.desk.watchlist.upkeep import devices_of, forget_staged
from tools.desk.watchlist.vault import held_alone

_REASON = "request of the person concerned"


@dataclass(frozen=True, slots=True)
class Act:
    """An entry that is suspended now. orders: what tells each device to stop looking, as typed."""

    suspended: Suspended
    orders: list[str]


def suspend(findings: Findings, confirmed: frozenset[str], keeper: Keeper) -> list[Act]:
    """Suspend the entries that are the person's; return all of them, suspended before or now.

    confirmed: references of which an officer says that they are. Raises StorageError; repeating it
    does what is left.
    """
    acts = []
    for one in findings.certainly_entered(confirmed):
        reference = one.entry.reference_id
        with _opened(keeper.workplace.deployment(one.deployment), keeper) as session:
            entry = session.register.entry(reference)
            if entry.suspended_on is None:
                # First what was sealed with it: it must not be signed or given out any more.
                forget_staged(session)
                suspended = replace(entry, suspended_on=day_of(keeper.now_ns))
                session.keep(replace(session.register.with_entry(suspended), sealed=None))
            acts.append(Act(Suspended(one.deployment, reference), _orders(session, reference)))
    return acts


def remove(suspended: list[Suspended], keeper: Keeper) -> list[Suspended]:
    """Remove entries and their templates from the registers that are still there; return those."""
    there = {one.id: one for one in open_deployments(keeper.workplace)}
    manifests = manifests_of(keeper.workplace, keeper.vault)
    done = []
    for one in suspended:
        if one.deployment not in there:
            continue
        with _opened(there[one.deployment], keeper) as session:
            kept = [each for each in session.templates() if each.reference_id != one.reference_id]
            sealed = session.register.sealed
            if sealed is not None and one.reference_id in sealed.template_sha256:
                forget_staged(session)
                sealed = None
            # First the templates: what is killed in between has no face left.
            session.keep_templates(kept)
            session.keep(replace(session.register.without(one.reference_id), sealed=sealed))
        manifests.revoked(one.deployment, one.reference_id, utc_text(keeper.now_ns), _REASON)
        done.append(one)
    return done


def _orders(session: Session, reference_id: str) -> list[str]:
    return [
        f"passerby-desk order revoke --device {shown_device(device)} --reference "
        f"{shlex.quote(reference_id)} --reason {shlex.quote(_REASON)} --valid-for 7d"
        for device in devices_of(session)
    ]


@contextmanager
def _opened(deployment: Deployment, keeper: Keeper) -> Iterator[Session]:
    with held_alone(deployment.lock):
        yield Session(deployment, keeper.identity, keeper.now_ns)

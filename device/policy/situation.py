"""`Situation`: everything that arming depends on, gathered by others and handed to the rules."""

from dataclasses import dataclass

from device.policy.standing import Standing
from device.protocol.alert import ListVersion, ModelHash
from device.protocol.authorisation import Authorisation


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenList:
    """What is known of a list once it is open.

    deployment, watchlist: as its sealed header says. size: references on it, whatever became of
    them. held: of those, neither revoked nor expired. comparable: of those, not overdue for review
    (`device.policy.references`).
    """

    deployment: str
    watchlist: ListVersion
    size: int
    held: int
    comparable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is so, at one moment. A fault is a sentence, or None where there is none.

    now_ns: wall clock, UTC since 1970. floor_ns: no true time is below it (`device.policy.clock`).
    device: urn:passerby:<site>:<device>. clock_fault: why now_ns is not believed. bundle_fault: why
    there is no authorisation. authorisation: verified with both signatures, or None.
    fresh_until_ns: when the first of the bundle's signed files expires. standing: the desk's
    orders. stop_rule: its sentence once it has struck (`device.policy.stop_rule`).
    loosened: what is set looser than for the evaluation (`device.policy.configured`).
    storage_fault, memory_fault, camera_fault: of the machine; the camera is asked only once the
    list is open. swaps: whether the system swaps, so that memory_fault matters.

    Not known before the list is opened, and then None: opened, and mostly models, threshold.
    lock_fault: why it is not open. models: that are loaded. threshold: that is applied.
    """

    now_ns: int
    floor_ns: int
    device: str
    authorisation: Authorisation | None
    fresh_until_ns: int | None
    standing: Standing
    bundle_fault: str | None = None
    clock_fault: str | None = None
    stop_rule: str | None = None
    loosened: tuple[str, ...] = ()
    storage_fault: str | None = None
    memory_fault: str | None = None
    swaps: bool = True
    opened: OpenList | None = None
    lock_fault: str | None = None
    models: tuple[ModelHash, ...] | None = None
    threshold: float | None = None
    camera_fault: str | None = None

"""What a passage of strangers came to: counts, finds, and rules that were broken."""

from collections import Counter
from dataclasses import dataclass, field

_KEPT = 40
"""Finds that are kept word for word."""


@dataclass
class Outcome:
    """What one passage came to. Counts of finds are by place; nothing found is an empty Counter.

    faces: that the appliance detected; compared: shots of them; frames: shown. embedded: crops that
    became templates; unknown: those that the shadow did not make likewise. lost: frames that the
    camera never gave to the program, whose pixels stay in its own buffers for a few frames.
    fired: faults by stage.
    planted, unfound, unwiped: controls that were laid out, not found, or found afterwards.
    finds: how many, by place. told: some of them, word for word. rules: broken, in sentences.
    skipped: what could not be done here, and why.
    """

    seed: int
    frames: int = 0
    faces: int = 0
    compared: int = 0
    alerts: int = 0
    lost: int = 0
    embedded: int = 0
    unknown: int = 0
    fired: Counter = field(default_factory=Counter)
    around: Counter = field(default_factory=Counter)
    searches: int = 0
    bytes_read: int = 0
    forms: int = 0
    planted: int = 0
    unfound: int = 0
    unwiped: int = 0
    finds: Counter = field(default_factory=Counter)
    told: list = field(default_factory=list)
    rules: list = field(default_factory=list)
    skipped: list = field(default_factory=list)
    traced: bool = False
    verbose: bool = False
    sizes: dict = field(default_factory=dict)
    core: str = ""
    seconds: float = 0.0

    @property
    def clean(self):
        missed = self.unfound or self.unwiped or self.unknown
        return not self.finds and not self.rules and not missed

    def found(self, place, finds):
        """Note what was found at a place."""
        if finds:
            self.finds[place] += len(finds)
            self.told += [f"{place}: {one}" for one in finds[: max(0, _KEPT - len(self.told))]]

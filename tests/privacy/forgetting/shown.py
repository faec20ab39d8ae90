"""What became of a frame that was shown to the appliance."""

import dataclasses


@dataclasses.dataclass(slots=True)
class Shown:
    """What became of a frame. Times: CLOCK_MONOTONIC, nanoseconds; None: it did not happen.

    filled_ns: its last byte was in the camera's buffer. released_ns: the program gave the buffer
    back. ended_ns: its processing had ended. wiped: the buffer held only zeros when it was given
    back. superseded: a newer frame was there before it was processed. dropped: the program was
    never given it. fault: the stage that failed. processing_fault: what the program says of it.
    faces, destroyed, compared, alerts: what the program's ledger counted of this frame.
    embedded: CRC-32 of each crop that became a template, and of that template.
    """

    number: int
    filled_ns: int | None = None
    released_ns: int | None = None
    ended_ns: int | None = None
    wiped: bool = False
    superseded: bool = False
    dropped: bool = False
    fault: str | None = None
    armed: bool = False
    faces: int = 0
    compared: int = 0
    alerts: int = 0
    destroyed: int = 0
    embedded: list = dataclasses.field(default_factory=list)
    processing_fault: str | None = None
    refused: str | None = None

    @property
    def over(self):
        """Nothing more will happen to it."""
        return self.ended_ns is not None or self.superseded or self.dropped or bool(self.refused)

    @property
    def life_ms(self):
        """From the last byte in the buffer to its wiping, None when it was not released."""
        if self.filled_ns is None or self.released_ns is None:
            return None
        return (self.released_ns - self.filled_ns) / 1e6


def note(shown, what, facts):
    """Write a notice into the frame that it tells of."""
    if shown is None:
        return
    if what == "filled":
        shown.filled_ns = facts["at_ns"]
    elif what in ("released", "dropped"):
        shown.released_ns, shown.wiped = facts["at_ns"], facts["wiped"]
        shown.superseded = not facts.get("processed", True)
        shown.dropped = what == "dropped"
        shown.fault = facts.get("fault") or shown.fault
    elif what == "ended":
        shown.ended_ns = facts.pop("at_ns")
        for name, value in facts.items():
            setattr(shown, name, value)
    elif what == "refused":
        shown.refused = facts["why"]

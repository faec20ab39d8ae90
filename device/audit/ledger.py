"""The ledger: how many faces were seen, and that every one of them was destroyed."""

from dataclasses import dataclass


@dataclass(slots=True)
class Ledger:
    """Aggregate counts of one run. They stay on the device until the sealed record (R16).

    frames: processed. faces: tracks, that is people passing, as well as the tracker can tell.
    appearances: faces in frames. compared: shots that were worth cutting out. destroyed:
    appearances whose frame was released, which overwrites it, and after which the crop's and the
    detector's buffers were found blank; it equals `appearances` or something is wrong. attacks:
    tracks with a shot that came near a reference and was judged a presentation attack. alerts: left
    the matching as alerts. faults: frames whose processing failed; their faces are counted and
    destroyed all the same (R14). late: frames that were too old when their turn came and were wiped
    unprocessed; they are not among `frames`, and who was in them is not known.
    """

    frames: int = 0
    faces: int = 0
    appearances: int = 0
    compared: int = 0
    destroyed: int = 0
    attacks: int = 0
    alerts: int = 0
    faults: int = 0
    late: int = 0

    def frame_ended(self, faces: int, *, wiped: bool) -> None:
        """Count a frame and the faces in it. wiped: it was released and no buffer holds a face."""
        self.frames += 1
        self.appearances += faces
        if wiped:
            self.destroyed += faces

    def lines(self) -> list[str]:
        """Return the ledger for people."""
        return [
            f"frames processed   {self.frames:>8,}",
            (
                f"faces seen         {self.faces:>8,}   in {self.appearances:,} appearances, "
                f"{self.compared:,} of them compared"
            ),
            f"faces destroyed    {self.destroyed:>8,}   of {self.appearances:,} appearances",
            f"judged attacks     {self.attacks:>8,}",
            f"alerts             {self.alerts:>8,}",
            f"faulty frames      {self.faults:>8,}",
            f"too old, unread    {self.late:>8,}",
        ]

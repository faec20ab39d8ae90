"""The conditions of arming, one function each, in the order in which they are asked.

A condition returns None where it holds, else one sentence: what is wrong, what to do, and who does
it. All must hold. They are asked in three groups, each only when there is what it asks about:

of the device (`DEVICE`), always:
 1. R5: a bundle with both signatures was verified and is here;
 2. R6: the clock is trusted;
 3. R24: the desk has not ended this deployment;
 4. R21: nobody has suspended this device;
 5. R32: the stop rule has not struck;
 6. R41: the state directory can be written, so that every search leaves its line in the log;
 7. R49: the list can be held in memory that is never written to a disk;

of the authorisation (`AUTHORISATION`), once a bundle was verified:
 8. R6: it names this device;
 9. R7: none of its signed files has expired;
10. R54: the pilot has not ended;
11. R54: somebody is named who evaluates it afterwards;
12. R40: an impact assessment is named;
13. R36: somebody attests that the notice hung there before signature and first window;
14. R31: the signed threshold is not below its signed floor;
15. R35: a provisional threshold goes with silent mode only;
16. R28, R29: no setting is looser than those that the threshold was evaluated with;
17. R6: a time window is open now;

of the list and what compares with it (`OPENED`), once the list is open:
18. R5: it is the list that was authorised;
19. R12: it is not longer than the authorised cap;
20. R29: the evaluation covers nine tenths of its size;
21. R7, R8: a reference is left that is neither revoked, nor expired, nor overdue for review;
22. R34: the models that run are those authorised, all of them and no other;
23. R31: the threshold that is applied is the signed one;
24. R14: the camera works.

No state, no I/O, no clock: the same situation gives the same answer.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from device.policy import of_authorisation, of_device, of_list


class Condition(NamedTuple):
    """One condition. number: of the requirement. holds: in words. broken: returns why it fails."""

    number: str
    holds: str
    broken: Callable[..., str | None]


DEVICE: Final = (
    Condition("R5", "a bundle with both signatures was verified and is here", of_device.unverified),
    Condition("R6", "the clock is trusted", of_device.clock_untrusted),
    Condition("R24", "the desk has not ended this deployment", of_device.ended),
    Condition("R21", "nobody has suspended this device", of_device.suspended),
    Condition("R32", "the stop rule has not struck", of_device.stopped),
    Condition("R41", "the state directory can be written", of_device.unrecorded),
    Condition(
        "R49", "the list can be held in memory that never reaches a disk", of_device.memory_open
    ),
)
AUTHORISATION: Final = (
    Condition("R6", "it names this device", of_authorisation.misplaced),
    Condition("R7", "none of its signed files has expired", of_authorisation.stale),
    Condition("R54", "the pilot has not ended", of_authorisation.pilot_over),
    Condition("R54", "somebody is named who evaluates it afterwards", of_authorisation.unevaluated),
    Condition("R40", "an impact assessment is named", of_authorisation.unassessed),
    Condition(
        "R36",
        "the notice is attested, before signature and first window",
        of_authorisation.unannounced,
    ),
    Condition(
        "R31", "the signed threshold is not below its signed floor", of_authorisation.floor_undercut
    ),
    Condition(
        "R35", "a provisional threshold goes with silent mode only", of_authorisation.unproven
    ),
    Condition(
        "R28, R29",
        "no setting is looser than the evaluation's",
        of_authorisation.settings_loosened,
    ),
    Condition("R6", "a time window is open now", of_authorisation.outside_windows),
)
OPENED: Final = (
    Condition("R5", "it is the list that was authorised", of_list.another_list),
    Condition("R12", "it is not longer than the authorised cap", of_list.too_long),
    Condition("R29", "the evaluation covers nine tenths of its size", of_list.uncovered),
    Condition("R7, R8", "a reference is left: not revoked, expired, overdue", of_list.nothing_left),
    Condition("R34", "the models are those authorised, all and no other", of_list.other_models),
    Condition("R31", "the threshold in use is the signed one", of_list.other_threshold),
    Condition("R14", "the camera works", of_list.blind),
)

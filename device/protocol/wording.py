"""The words that every alert and report carries (R20, R51)."""

from typing import Final

POSSIBLE_MATCH: Final = "possible match"
NOTICE: Final = "Possible match; not an identification; not to be the sole ground of any decision."
DEMONSTRATION: Final = "Demonstration: the watchlist is unsigned; not for operational use."
NO_PAD: Final = "no PAD"
"""There is no presentation attack detection: a photograph can raise an alert (R33)."""
ATTACK_JUDGED: Final = "judged a presentation attack (print or screen)"
"""Why a face near a reference gave no candidate. A judgement of a model, not a finding."""

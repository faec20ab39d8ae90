"""Bands in place of scores: raw scores would let a template be rebuilt (R47)."""

from typing import Literal

ScoreBand = Literal["moderate", "strong", "very strong"]
MarginBand = Literal["thin", "clear"]

_CLEAR_MARGIN = 0.15
"""Lead over the next reference, on the cosine scale, from which a look-alike is unlikely."""


def score_band(score: float, edges: tuple[float, float]) -> ScoreBand:
    """Return the band of a score above the threshold. edges: lower edges of the upper two bands."""
    strong, very_strong = edges
    if score >= very_strong:
        return "very strong"
    return "strong" if score >= strong else "moderate"


def margin_band(margin: float) -> MarginBand:
    """Return the band of a lead over the best other reference; thin hints at a look-alike."""
    return "clear" if margin >= _CLEAR_MARGIN else "thin"

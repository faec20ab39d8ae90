"""Conflicts within a list: photographs of one reference that do not agree, and one person twice.

Both are dangerous in opposite ways: a misfiled photograph puts an innocent person on the list under
somebody's id; a person with two ids is never found, since no reference then leads by the margin.
"""

import numpy as np

from device.matching.gallery import directions_of
from device.protocol.watchlist import Reference


def conflicts(references: list[Reference], same: float, twin: float) -> dict[str, str]:
    """Return the reference ids that may not be enrolled, each with the reason.

    same: lowest score of two photographs of one person. twin: score from which two references are
    taken for one person. Both are cosines, of the embedder's own scale.
    """
    found: dict[str, str] = {}
    for reference in references:
        rows = directions_of(reference)
        lowest = float((rows @ rows.T).min())
        if lowest < same:
            found[reference.reference_id] = (
                "its photographs do not show one person, or one is too poor: remove the wrong one"
            )
    if references:
        _add_twins(references, twin, found)
    return found


def _add_twins(references: list[Reference], twin: float, found: dict[str, str]) -> None:
    rows = np.concatenate([directions_of(reference) for reference in references])
    counts = [len(reference.templates) for reference in references]
    owner = np.repeat(np.arange(len(references)), counts)
    scores = rows @ rows.T
    for first, second in zip(*np.nonzero(scores >= twin), strict=True):
        if owner[first] < owner[second]:
            one, other = references[owner[first]], references[owner[second]]
            for reference, rival in ((one, other), (other, one)):
                found.setdefault(
                    reference.reference_id,
                    f"it shows the same person as {rival.reference_id}, or one who looks alike: "
                    "keep one of them",
                )

"""One to one: FMR and FNMR of single comparisons, and the accuracy over a file of pairs.

Verification is not what the device does: without a list there is no margin and no normalisation,
and the score is the cosine. It shows the embedder apart from the rest.
"""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from device.errors import PictureError
from device.vision.inference import Floats
from tools.lab.evaluate.figures import Rate
from tools.lab.evaluate.identification import det_of
from tools.lab.evaluate.rates import Names, coded, rate
from tools.lab.evaluate.report import PairFigures, VerificationFigures, VerificationPoint
from tools.lab.evaluate.resampling import Doubles
from tools.lab.evaluate.searches import Probes
from tools.lab.evaluate.tradeoff import Tradeoff, Trials

TARGETS = (1e-2, 1e-3, 1e-4)
"""Wanted FMRs."""
_FOLDS = 10
_COLUMNS = ("file_a", "file_b", "same")
_YES, _NO = {"1", "true", "yes", "same"}, {"0", "false", "no", "different"}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files, and whether they show one person. first becomes the reference."""

    first: Path
    second: Path
    same: bool


def pairs_in(file: Path) -> list[Pair]:
    """Read a file of pairs. Raises PictureError: damaged, or a picture of it is missing."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise PictureError(f"{file} lacks the columns {', '.join(missing)}.")
            return [_pair(file, row, reader.line_num) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PictureError(f"{file} cannot be read ({error}).") from error


def _pair(file: Path, row: dict[str, str], line: int) -> Pair:
    first, second = (file.parent / (row[name] or "") for name in ("file_a", "file_b"))
    same = (row["same"] or "").strip().lower()
    if same not in _YES | _NO:
        raise PictureError(f"{file}, line {line}: same must be 1 or 0.")
    for path in (first, second):
        if not path.is_file():
            raise PictureError(f"{file}, line {line}: a picture that it names is not there.")
    return Pair(first, second, same in _YES)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Cosines of acquired probes that main figures count with the references of the gallery.

    own: (n,) of mated probes with their own reference. others: (m, references) of non-mated ones
    with all. names, other_names: whose probes they are.
    """

    own: Doubles
    names: npt.NDArray[np.str_]
    others: Doubles
    other_names: npt.NDArray[np.str_]


def comparisons_of(mated: Probes, non_mated: Probes, references: Floats) -> Comparisons:
    """Compare one to one. references: (n, dimension) float32, of the gallery."""
    ours = np.flatnonzero(mated.comparable & mated.counted)
    theirs = np.flatnonzero(non_mated.comparable & non_mated.counted)
    own = np.einsum("ij,ij->i", mated.crops.exact[ours], references[mated.owner[ours]])
    return Comparisons(
        own=own.astype(np.float64),
        names=mated.names[ours],
        others=(non_mated.crops.exact[theirs] @ references.T).astype(np.float64),
        other_names=non_mated.names[theirs],
    )


def verification_of(compared: Comparisons) -> VerificationFigures:
    """Return FMR and FNMR; comparisons are resampled by the probe's subject."""
    subjects = np.repeat(coded(compared.other_names)[0], compared.others.shape[1])
    tradeoff = Tradeoff(
        Trials(compared.own, compared.names), Trials(compared.others.reshape(-1), subjects)
    )
    return VerificationFigures(
        len(compared.own), compared.others.size, _points(tradeoff, TARGETS), det_of(tradeoff)
    )


def _points(tradeoff: Tradeoff, targets: Sequence[float]) -> list[VerificationPoint]:
    points = [tradeoff.at(target) for target in targets]
    return [
        VerificationPoint(
            point.target,
            point.threshold,
            point.false_positive,
            point.false_negative,
            supported=point.false_positive.events > 0,
        )
        for point in points
    ]


def pair_figures(
    pairs: Sequence[Pair], scores: Doubles, names: npt.NDArray[np.str_]
) -> PairFigures:
    """Return the figures of a file of pairs.

    scores: (n,) of each pair; -inf where it could not be compared. names: whose the first picture
    of each is; all pairs of one person fall into one fold.
    """
    same = np.array([pair.same for pair in pairs], np.bool_)
    compared = np.isfinite(scores)
    folds = np.array([_fold(name) for name in names.tolist()])
    thresholds = _candidates(scores[compared])
    right = np.zeros(len(pairs), np.bool_)
    for fold in range(_FOLDS):
        inside = folds == fold
        threshold = _best(thresholds, scores[~inside], same[~inside])
        right[inside] = (scores[inside] >= threshold) == same[inside]
    one = _best(thresholds, scores, same)
    tradeoff = Tradeoff(
        Trials(scores[same], names[same]),
        Trials(scores[~same], names[~same]),
    )
    return PairFigures(
        same=int(same.sum()),
        different=int((~same).sum()),
        not_compared=int((~compared).sum()),
        accuracy=_rate(right & compared, names),
        accuracy_one_threshold=_rate(((scores >= one) == same) & compared, names),
        one_threshold=one,
        points=_points(tradeoff, TARGETS[:2]),
    )


def _fold(person: str) -> int:
    return int.from_bytes(hashlib.sha256(person.encode()).digest()[:4]) % _FOLDS


def _candidates(scores: Doubles) -> Doubles:
    """Return thresholds in steps of a thousandth over the range of the scores."""
    if not len(scores):
        return np.array([0.0])
    low, high = np.floor(1000 * scores.min()), np.ceil(1000 * scores.max())
    return np.arange(low, high + 1) / 1000


def _best(thresholds: Doubles, scores: Doubles, same: npt.NDArray[np.bool_]) -> float:
    """Return the threshold with the most right decisions; the middle one of several."""
    ours, theirs = np.sort(scores[same]), np.sort(scores[~same])
    right = len(ours) - np.searchsorted(ours, thresholds) + np.searchsorted(theirs, thresholds)
    best = np.flatnonzero(right == right.max())
    return float(thresholds[best[len(best) // 2]])


def _rate(events: npt.NDArray[np.bool_], names: Names) -> Rate:
    figure = rate(events, names)
    if not isinstance(figure, Rate):
        raise PictureError("The file of pairs is empty.")
    return figure

"""The threshold of an authorisation: from an evaluation, or clearly provisional (R29, R31).

`passerby-lab evaluate` writes the statement; the desk reads the file by a type of its own, since
what stands in it is a claim of another program. A threshold is never copied from anywhere else.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from device.errors import ConfigurationError
from device.protocol.alert import ModelHash
from device.protocol.authorisation import Threshold
from device.vision.catalogue import ModelEntry
from tools.desk.watchlist.regular import beginning_of

COVERED_TENTHS: Final = 9
"""An evaluation covers a list when it had this many tenths of its length at least (R29)."""
LARGEST_BYTES: Final = 4 * 1024 * 1024
_LOWEST, _HIGHEST = 0.05, 0.99


class Stated(Struct, frozen=True):
    """One line of a statement: a list size, a wanted FPIR, and whether it was shown."""

    list_size: Annotated[int, Meta(ge=1)]
    target_fpir: Annotated[float, Meta(gt=0, lt=1)]
    supported: bool
    threshold: float
    threshold_upper_bound: float | None
    words: str


class Statement(Struct, frozen=True):
    """What the desk needs of a threshold statement. sha256: of the file."""

    models: list[ModelHash]
    thresholds: list[Stated]
    format: Literal["passerby.threshold-statement.v1"]
    sha256: str = ""


def read_statement(path: Path) -> Statement:
    """Return the statement of a file. Raises ConfigurationError."""
    try:
        content = beginning_of(path, LARGEST_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error.strerror or error}): --evaluation names the threshold "
            "statement that `passerby-lab evaluate` wrote."
        ) from error
    if len(content) > LARGEST_BYTES:
        raise ConfigurationError(f"{path} is too large for a threshold statement.")
    try:
        found = msgspec.json.decode(content, type=Statement)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path} is no threshold statement: {error}.") from error
    return msgspec.structs.replace(found, sha256=hashlib.sha256(content).hexdigest())


def covers(evaluated: int, listed: int) -> bool:
    """R29: whether an evaluation of so many references stands for a list of so many."""
    return evaluated * 10 >= listed * COVERED_TENTHS


def evaluated_threshold(
    statement: Statement, models: Sequence[ModelHash], listed: int, target_fpir: float
) -> Threshold:
    """Return the threshold that a statement supports for a list of this length.

    Raises ConfigurationError: other models (R34), too short a list (R29), not shown (R28).
    """
    _check_models(statement, models)
    line = _line(statement, listed, target_fpir)
    bound = line.threshold_upper_bound
    if not line.supported or bound is None:
        raise ConfigurationError(
            f"The evaluation does not show an FPIR of {target_fpir:g} for {line.list_size} "
            f"references: {line.words} Evaluate with more people, or add --provisional for a pilot "
            "in silent mode."
        )
    if not _LOWEST <= bound <= _HIGHEST:
        raise ConfigurationError(
            f"The evaluation asks for a threshold of {bound:.4f}, outside {_LOWEST} to {_HIGHEST}: "
            "these models cannot keep that rate; take others, or a shorter list."
        )
    return Threshold(
        kind="evaluated",
        threshold_id=f"{_name_of(models)}-{line.list_size}-{line.target_fpir:g}",
        threshold=bound,
        floor=bound,
        target_fpir=line.target_fpir,
        list_size=line.list_size,
        evaluation_sha256=statement.sha256,
        words=line.words[:2000],
    )


def provisional_threshold(embedder: ModelEntry, listed: int, target_fpir: float) -> Threshold:
    """Return a threshold with nothing behind it: the embedder's own, for silent mode only (R35).

    listed: length of the list that it is meant for. Raises ConfigurationError.
    """
    if embedder.scores is None:
        raise ConfigurationError(
            f"The embedder {embedder.name} declares no threshold in models.toml: evaluate it."
        )
    return Threshold(
        kind="provisional",
        threshold_id=f"{embedder.name}-provisional",
        threshold=embedder.scores.threshold,
        floor=embedder.scores.threshold,
        target_fpir=target_fpir,
        list_size=max(1, listed),
        evaluation_sha256=None,
        words=(
            "PROVISIONAL: no evaluation stands behind this threshold. Nobody may be engaged; what "
            "it gives is recorded to evaluate it."
        ),
    )


def _line(statement: Statement, listed: int, target_fpir: float) -> Stated:
    covering = [line for line in statement.thresholds if covers(line.list_size, listed)]
    if not covering:
        most = max((line.list_size for line in statement.thresholds), default=0)
        raise ConfigurationError(
            f"The evaluation had {most} references, less than 90 % of the {listed} on this list "
            "(R29): evaluate with a longer list, or shorten this one."
        )
    wanted = [line for line in covering if line.target_fpir <= target_fpir * (1 + 1e-9)]
    if not wanted:
        stated = ", ".join(sorted({f"{line.target_fpir:g}" for line in covering}))
        raise ConfigurationError(
            f"The evaluation says nothing of an FPIR of {target_fpir:g}; it has {stated}."
        )
    # The nearest to what was asked; of those the shortest that is no shorter than this list.
    return min(
        wanted,
        key=lambda line: (
            -line.target_fpir,
            line.list_size < listed,
            abs(line.list_size - listed),
        ),
    )


def _check_models(statement: Statement, models: Sequence[ModelHash]) -> None:
    stated = {(one.role, one.sha256) for one in statement.models}
    strange = [one.name for one in models if (one.role, one.sha256) not in stated]
    if strange:
        raise ConfigurationError(
            f"The evaluation was not made with {', '.join(strange)}: a threshold belongs to one "
            "set of models (R34). Evaluate these, or name those."
        )


def _name_of(models: Sequence[ModelHash]) -> str:
    return next((one.name for one in models if one.role == "embedder"), "embedder")

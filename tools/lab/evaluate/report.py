"""What an evaluation says, as typed JSON; `docs/schemas/evaluation.schema.json` is made from here.

No field can hold a person's name, a picture or a template. Nothing in it depends on when it ran;
what it ran on stands apart in `environment`.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from device.protocol.alert import ModelHash
from device.protocol.event import Sha256
from tools.lab.evaluate.figures import Count, Figure, NotEvaluated, Rate, Ratio, Share
from tools.lab.evaluate.statement import ThresholdStatement

EVALUATION_SCHEMA: Final = "urn:passerby:schema:evaluation:1"
NOTICE: Final = (
    "These are figures of one data set, not of a street. A possible match is not an identification "
    "and not to be the sole ground of any decision."
)


class DataSet(Struct, frozen=True, forbid_unknown_fields=True):
    """What was evaluated, in numbers.

    manifest_sha256: of the manifest. files_sha256: of the names and contents of the files that were
    looked at. counted: whether the pictures of each kind are real; where a data set has real ones,
    simulated pictures and people who do not exist are in the conditions only. left_out: lines of
    the manifest that were not evaluated, by the reason.
    """

    manifest_sha256: Sha256
    files_sha256: Sha256
    gallery_people: Count
    gallery_pictures: Count
    mated_probes: Count
    mated_people: Count
    non_mated_probes: Count
    non_mated_people: Count
    made_up_probes_apart: Count
    negative_pictures: Count
    group_pictures: Count
    attack_pictures: Count
    unreadable_pictures: Count
    left_out: dict[str, int]


class PipelineVersion(Struct, frozen=True, forbid_unknown_fields=True):
    """What was evaluated it with.

    code_sha256: of the code that sees, compares and enrols. settings: those of the device that
    decide what is compared and when a candidate is returned, by their names in its configuration.
    """

    passerby: str
    code_sha256: Sha256
    collection: Literal["operational", "built-in"]
    models: list[ModelHash]
    settings: dict[str, float]
    attack_detection: str


class Named(Struct, frozen=True, forbid_unknown_fields=True):
    """A figure of one part of the data."""

    name: str
    figure: Figure


class Acquisition(Struct, frozen=True, forbid_unknown_fields=True):
    """How often a picture gave nothing to compare: FTE for enrolment, FTA for probes.

    reasons: pictures by what the quality gate said. by_set: per source_set of the manifest.
    """

    all: Figure
    reasons: dict[str, int]
    by_set: list[Named]


class DetPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """A point of a DET curve, with the 95 % band of false negatives."""

    false_positive: Share
    false_negative: Share
    low: Share
    high: Share


class IdentificationPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """FNIR and TPIR at a wanted FPIR, of one list size (ISO/IEC 19795-1).

    threshold: the lowest at which at most target_fpir of the non-mated searches return a candidate,
    with its 95 % interval. The interval of fnir and tpir counts that the threshold was drawn too.
    """

    target_fpir: Share
    threshold: float
    threshold_low: float
    threshold_high: float
    fpir: Rate
    fnir: Rate
    tpir: Rate


class IdentificationFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """Searches in lists of one size.

    lists: how many were drawn. imposed: references in each of people who are never searched for
    there. searches: mated and non-mated. rank_1: the right reference comes first, whatever the
    threshold. A failure to acquire is a false negative, and in a non-mated search no candidate.
    """

    list_size: Count
    whole_gallery: bool
    lists: Count
    imposed: Count
    mated_searches: Count
    non_mated_searches: Count
    rank_1: Rate
    points: list[IdentificationPoint]
    det: list[DetPoint]


class MissingSize(Struct, frozen=True, forbid_unknown_fields=True):
    """A list size that could not be evaluated, and why."""

    list_size: Count
    why: str


class VerificationPoint(Struct, frozen=True, forbid_unknown_fields=True):
    """FNMR at a wanted FMR; supported: enough comparisons of different people to see the rate."""

    target_fmr: Share
    threshold: float
    fmr: Rate
    fnmr: Rate
    supported: bool


class VerificationFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """One probe against one reference, no list and no margin; acquired probes only."""

    mated_comparisons: Count
    non_mated_comparisons: Count
    points: list[VerificationPoint]
    det: list[DetPoint]


class PairFigures(
    Struct, frozen=True, tag_field="state", tag="evaluated", forbid_unknown_fields=True
):
    """A file of pairs, "same" or "different".

    accuracy: share of right decisions, in ten folds of people: the threshold that was best on nine
    decides the tenth. A pair that could not be compared counts as a wrong decision.
    accuracy_one_threshold: the same with the one threshold that is best on all pairs.
    """

    same: Count
    different: Count
    not_compared: Count
    accuracy: Rate
    accuracy_one_threshold: Rate
    one_threshold: float
    points: list[VerificationPoint]


class Condition(Struct, frozen=True, forbid_unknown_fields=True):
    """One subset or source set, searched in the whole gallery at the thresholds of all.

    tpir, fpir: in the order of `target_fpirs` of the evaluation.
    """

    kind: Literal["source_set", "subset"]
    name: str
    made_up: bool
    pictures: Count
    people: Count
    fta: Figure
    rank_1: Figure
    tpir: list[Figure]
    fpir: list[Figure]


class GroupFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """One group of people, at the threshold of all.

    fmr: single comparisons of the group's strangers with references, at the threshold of
    `fmr_threshold`; with so many more comparisons than searches it shows smaller differences.
    fnir_ratio, fpir_ratio, fmr_ratio: over the rate of everybody whose group is known; 1 is no
    difference.
    """

    group: str
    fte: Figure
    fta: Figure
    fnir: Figure
    fnir_ratio: Ratio | NotEvaluated
    fpir: Figure
    fpir_ratio: Ratio | NotEvaluated
    fmr: Figure
    fmr_ratio: Ratio | NotEvaluated


class Differential(Struct, frozen=True, forbid_unknown_fields=True):
    """Differences between groups (ISO/IEC 19795-10), whole gallery, one threshold for everybody.

    attribute: a column of the manifest; what it says is what the people said of themselves, or what
    others saw, as the data set's own documentation tells. everyone: all whose group is known.
    threshold: that of the wanted FPIR. fmr_threshold: that of an FMR of 0.001, one to one.
    smallest: fewest subjects behind any figure that was evaluated; 0 where none was.
    """

    attribute: Literal["gender", "ethnicity", "age"]
    target_fpir: Share
    threshold: float
    fmr_threshold: float
    everyone: GroupFigures
    groups: list[GroupFigures]
    not_known: Count
    smallest: Count


class DetectionFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """Faces found among those annotated, and faces found where there are none.

    recall: of annotated boxes, one found box each with an intersection over union of at least 0.5.
    found_in_pictures_of_people: share of gallery and probe pictures in which any face was found.
    false_per_picture: detections per negative picture, with its interval over pictures.
    compared: negative pictures with a detection that passes the quality gate, and would be
    compared. candidates: those that raise a candidate at the threshold of the wanted rate, whole
    gallery enrolled.
    """

    recall: Figure
    recall_by_source: list[Named]
    found_in_pictures_of_people: list[Named]
    negatives_with_a_detection: Figure
    false_per_picture: float | None
    false_per_picture_low: float | None
    false_per_picture_high: float | None
    negatives_by_subset: list[Named]
    compared: Figure
    candidates: list[Named]


class AttackType(Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of presentation attack (ISO/IEC 30107-3).

    apcer: attacks judged to be a person, of those in which a face was found. raises: attacks that
    raise the attacked person as a candidate, at the threshold of each target FPIR, whole gallery
    enrolled, with the attack detection as it is.
    """

    name: str
    made_up: bool
    pictures: Count
    no_face: Count
    apcer: Figure
    raises: list[Figure]


class AttackFigures(Struct, frozen=True, forbid_unknown_fields=True):
    """Attack detection. detector: its name and threshold, or "no PAD".

    bpcer: real probes judged to be an attack, of those in which a face was found; bpcer_made_up:
    the same for simulated and synthetic ones.
    """

    detector: str
    types: list[AttackType]
    bpcer: Figure
    bpcer_made_up: Figure


class Evaluation(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole evaluation. target_fpirs: the wanted rates, in the order of all lists of figures.

    environment: versions of what it ran on; the only part that another machine may change.
    """

    target_fpirs: list[Share]
    data: DataSet
    pipeline: PipelineVersion
    statement: ThresholdStatement
    fte: Acquisition
    fta: Acquisition
    identification: list[IdentificationFigures]
    missing_sizes: list[MissingSize]
    conditions: list[Condition]
    verification: VerificationFigures
    pairs: PairFigures | NotEvaluated
    differentials: list[Differential]
    detection: DetectionFigures
    attacks: AttackFigures
    environment: dict[str, str]
    confidence: Literal["95 %"] = "95 %"
    resamples: Annotated[int, Meta(ge=1)] = 1000
    format: Literal["passerby.evaluation.v1"] = "passerby.evaluation.v1"
    notice: Literal[
        "These are figures of one data set, not of a street. A possible match is not an "
        "identification and not to be the sole ground of any decision."
    ] = NOTICE

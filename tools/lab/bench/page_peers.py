"""The page's sections about the contest: what a frame costs everybody, and whom they find."""

from collections.abc import Sequence
from typing import Any

import msgspec

from tools.lab.bench.accuracy import Rate, at_thresholds, own_rule, passages_of
from tools.lab.bench.contest import Contested
from tools.lab.bench.costs import Cost, Spread, costs, per_track, stage_shares
from tools.lab.bench.markdown import interval, number, table

Found = dict[str, Any]
OURS, LOOP, BUILT_IN = "ours", "loop-small", "built-in"


def contested(found: Found, key: str) -> Contested | None:
    """Return a contest of the record, or None where it was not run."""
    return msgspec.convert(found[key], Contested) if key in found else None


def peers(found: Found) -> str:
    """Return what everybody costs, on the same frames in the same run."""
    contest = contested(found, "contest")
    if contest is None:
        return ""
    rows = [_cost(contest, cost) for cost in beside_the_loop(contest)]
    empty = contested(found, "contest, empty street")
    if empty is not None:
        rows += [_cost(empty, cost) for cost in beside_the_loop(empty)]
    return (
        "## Beside its peers\n\n"
        "CPU milliseconds per frame of the same rendered clips (main 1280×720, small 640×360, 15 "
        "frames a second), one thread each, every contestant in a process of its own, taking "
        "turns; median, lowest and highest of the repeats. The ratio is to the frame-by-frame "
        "loop (OpenCV's FaceDetectorYN on the small stream, and the same embedder for every "
        "face), in the same repeat: of the built-in models to the loop with the built-in "
        "embedder. Peers get their pictures converted for nothing; our own clock holds the "
        "conversion and the overwriting of everything.\n\n" + table(_HEAD, rows) + _who(contest)
    )


def beside_the_loop(contest: Contested) -> list[Cost]:
    """Return all costs; each one's ratio is to the loop that has its embedder."""
    plain = costs(contest, LOOP)
    built_in = costs(contest, f"{LOOP}-{BUILT_IN}")
    return [
        other if one.contestant.endswith(BUILT_IN) and other.ratio is not None else one
        for one, other in zip(plain, built_in, strict=True)
    ]


_HEAD = ("clip", "contestant", "CPU ms a frame", "ratio to the loop", "faces", "templates")


def _cost(contest: Contested, cost: Cost) -> list[str]:
    return [
        cost.clip,
        contest.names[cost.contestant],
        _spread(cost.cpu_ms),
        "" if cost.ratio is None else _spread(cost.ratio),
        f"{cost.faces:,}",
        f"{cost.embedded:,}",
    ]


def _spread(of: Spread) -> str:
    return f"{number(of.median)} ({interval(of.low, of.high)})"


def _who(contest: Contested) -> str:
    lines = [
        f"- {contest.names[name]}: {', '.join(f'{key} {value}' for key, value in versions.items())}"
        for name, versions in contest.versions.items()
    ]
    lines += [f"- left out: {name}: {why}" for name, why in contest.absent.items()]
    return "\n" + "\n".join(lines) + "\n"


def accuracy(found: Found) -> str:
    """Return whom everybody finds among people who walk past."""
    parts = [
        _found(contest, clip, title)
        for key, clip, title in (
            ("accuracy", "passages", "Rendered people"),
            ("filmed", "filmed", "Real clips (DATA=)"),
        )
        if (contest := contested(found, key)) is not None
    ]
    if not parts:
        return ""
    return (
        "## Whom they find\n\n"
        "A passage is found when the person's own reference leads and reaches the contestant's "
        "threshold, which is for each the lowest at which no more than the stated part of the "
        "strangers' passages reach it. Chosen and stated on the same strangers, so they compare "
        "contestants and promise nothing for others. Intervals are exact (Clopper and Pearson, "
        "95 %). Last column: Passerby's own rule, several shots of a track at the threshold that "
        "ships.\n\n" + "\n".join(parts)
    )


def _found(contest: Contested, clip: str, title: str) -> str:
    cost = {each.contestant: each for each in beside_the_loop(contest) if each.clip == clip}
    rows = [_accuracy(contest, name, clip, cost[name]) for name in contest.names if name in cost]
    head = (
        "contestant",
        "CPU ms a frame",
        "ratio to the loop",
        "found, no stranger alerts",
        "found, 1 in 10 strangers",
        "own rule: found; strangers",
    )
    return f"### {title}\n\n" + table(head, rows)


def _accuracy(contest: Contested, name: str, clip: str, cost: Cost) -> list[str]:
    passages = passages_of(contest, name, clip)
    rule = own_rule(passages)
    own = "" if rule is None else f"{_rate(rule.found_rate)}; {_rate(rule.false_alerts)}"
    return [
        contest.names[name],
        number(cost.cpu_ms.median),
        "" if cost.ratio is None else number(cost.ratio.median),
        *(_rate(at.found_rate) for at in at_thresholds(passages)),
        own,
    ]


def _rate(rate: Rate) -> str:
    low, high = rate.interval
    return f"{rate.hits} of {rate.total} ({100 * low:.0f}–{100 * high:.0f} %)"


def profile(found: Found) -> str:
    """Return where the time goes, and what each cut is worth."""
    contest = contested(found, "ablation")
    if contest is None:
        return ""
    clips = list(dict.fromkeys(raw.run.clip for raw in contest.runs))
    return (
        "## Where the time goes\n\n"
        + table(("stage", *clips), _stages(contest, clips))
        + "\nShare of Passerby's CPU time; the second look counts with its detection.\n\n"
        "## What each cut is worth\n\n"
        "The same clips with one cut taken out; the ratio is to Passerby as it ships.\n\n"
        + table((*_HEAD[:3], "ratio to Passerby", *_HEAD[4:]), _cuts(contest))
        + _budget(contest)
    )


def _stages(contest: Contested, clips: Sequence[str]) -> list[list[str]]:
    shares = [stage_shares(contest, "ours-stages", clip) for clip in clips]
    names = list(dict.fromkeys(name for share in shares for name in share))
    return [
        [name, *(f"{100 * share[name].median:.1f} %" if name in share else "" for share in shares)]
        for name in names
    ]


def _cuts(contest: Contested) -> list[list[str]]:
    return [
        _cost(contest, cost) for cost in costs(contest, OURS) if cost.contestant != "ours-stages"
    ]


def _budget(contest: Contested) -> str:
    lines = []
    for clip in ("walker", "passages"):
        for who, each in per_track(contest, OURS, clip).items():
            lines.append(
                f"- {clip}, {who}: {each.embedded} templates of {each.tracks} tracks "
                f"({each.passages} passages), {number(each.embedded_per_track)} per track"
            )
    return "\nTemplates per track (second crops counted):\n\n" + "\n".join(lines) + "\n"

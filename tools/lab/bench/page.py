"""The page of a record: what was asked and what was found first, then everything else."""

from collections.abc import Callable
from statistics import median
from typing import Any

from tools.lab.bench import page_device, page_live, page_peers
from tools.lab.bench.accuracy import at_thresholds, own_rule, passages_of
from tools.lab.bench.costs import costs
from tools.lab.bench.idle import GATED, SEARCHED, SIZES, WIPED
from tools.lab.bench.markdown import number, table
from tools.lab.bench.page_peers import BUILT_IN, LOOP, OURS, beside_the_loop, contested
from tools.lab.bench.search import PLAIN, PROTECTED

Found = dict[str, Any]

_SECTIONS: tuple[tuple[str, Callable[[Found], str]], ...] = (
    ("contest", page_peers.peers),
    ("accuracy", page_peers.accuracy),
    ("ablation", page_peers.profile),
    ("steps", page_device.steps),
    ("search", page_device.search),
    ("idle", page_device.idle),
    ("allocations", page_device.allocations),
    ("sweep", page_device.sweep),
    ("depths", page_device.depths),
    ("forgetting", page_device.forgetting),
    ("estimate", page_device.estimate),
)


def page(found: Found) -> str:
    """Return the page in Markdown; sections without measurements are left out."""
    parts = [_head(found), _asked(found)]
    parts += [make(found) for section, make in _SECTIONS if section in found]
    parts.append(page_live.live(found))
    parts.append(_absent(found))
    return "\n".join(part for part in parts if part)


def _head(found: Found) -> str:
    machine = found.get("machine", {})
    models = ", ".join(f"{name} `{sha[:12]}…`" for name, sha in machine.get("models", {}).items())
    facts = ", ".join(f"{key} {value}" for key, value in machine.items() if key != "models")
    return (
        "# Benchmarks\n\n"
        "Written by `make bench`; the raw runs are in "
        "[benchmarks.json](benchmarks.json). Times of a shared machine are noisy: read the ratios, "
        "which compare what ran in turns in one run. How the appliance comes to compute so little: "
        "[performance.md](performance.md).\n\n"
        f"{found.get('at', '')}; {facts}; {models}.\n"
    )


def _absent(found: Found) -> str:
    lines = [f"- {name}: {why}" for name, why in found.get("absent", {}).items()]
    return "## Left out\n\n" + "\n".join(lines) + "\n" if lines else ""


def _asked(found: Found) -> str:
    rows = [row for ask in _QUESTIONS for row in ask(found)]
    return "## What was asked of it\n\n" + table(("asked", "found", ""), rows) if rows else ""


def _row(asked: str, said: str, *, met: bool) -> list[str]:
    return [asked, said, "yes" if met else "**no**"]


def _of_the_loop(found: Found) -> list[list[str]]:
    rows = []
    for key in ("contest", "accuracy", "filmed"):
        contest = contested(found, key)
        if contest is None:
            continue
        for cost in beside_the_loop(contest):
            if cost.contestant in {OURS, f"{OURS}-{BUILT_IN}"} and cost.ratio is not None:
                models = "built-in" if cost.contestant.endswith(BUILT_IN) else "operational"
                asked = f"CPU, “{cost.clip}”, {models} models: at most 0.2 of the loop's"
                met = cost.ratio.median <= 0.2  # noqa: PLR2004
                rows.append(_row(asked, number(cost.ratio.median), met=met))
    return rows


def _of_dlib(found: Found) -> list[list[str]]:
    rows = []
    for key in ("contest", "filmed"):
        contest = contested(found, key)
        if contest is None:
            continue
        for cost in costs(contest, "dlib"):
            if cost.contestant == OURS and cost.ratio is not None:
                asked = f"CPU, “{cost.clip}”: at most 0.05 of dlib / face_recognition"
                said = number(cost.ratio.median)
                rows.append(_row(asked, said, met=cost.ratio.median <= 0.05))  # noqa: PLR2004
    return rows


def _of_walkers(found: Found) -> list[list[str]]:
    rows = []
    for key, clip in (("accuracy", "passages"), ("filmed", "filmed")):
        contest = contested(found, key)
        if contest is None:
            continue
        ours, loop = (passages_of(contest, name, clip) for name in (OURS, LOOP))
        if not ours or not loop:
            continue
        mine, its = (at_thresholds(each)[0].found_rate for each in (ours, loop))
        rule = own_rule(ours)
        own = "" if rule is None else f"; by its own rule {rule.found_rate.hits}"
        said = f"{mine.hits} of {mine.total}, the loop {its.hits} of {its.total}{own}"
        asked = f"people found, “{clip}”, no stranger alerting: not fewer than the loop"
        rows.append(_row(asked, said, met=mine.hits >= its.hits))
    return rows


def _of_idle(found: Found) -> list[list[str]]:
    by_name = found.get("idle")
    if by_name is None:
        return []
    rows = []
    for size in SIZES:
        gated, searched = (
            median(by_name[f"{size[0]} x {size[1]}, {name}, {WIPED}"]) for name in (GATED, SEARCHED)
        )
        asked = f"nobody there, {size[0]}×{size[1]}: at most 3 % of detecting in every frame"
        rows.append(_row(asked, f"{100 * gated / searched:.1f} %", met=gated <= 0.03 * searched))
    return rows


def _of_search(found: Found) -> list[list[str]]:
    by_name = found.get("search")
    if by_name is None:
        return []
    rows = []
    for name in (PLAIN, PROTECTED):
        middle = median(by_name[name]["2000"])
        asked = f"comparison with 2,000 references, {name}: at most 0.1 ms"
        rows.append(_row(asked, f"{middle / 1000:.3f} ms", met=middle <= 100))  # noqa: PLR2004
    return rows


def _of_allocations(found: Found) -> list[list[str]]:
    counts = found.get("allocations")
    if counts is None:
        return []
    total = sum(counts.values())
    return [_row("allocations of frame size per frame: 0", str(total), met=total == 0)]


def _of_the_appliance(found: Found) -> list[list[str]]:
    rows = []
    twenty, memory, ready, late = (
        found.get(k) for k in ("twenty", "memory", "ready, 2000", "latency")
    )
    if twenty is not None:
        oldest = max(part["began_ms"]["most"] for part in twenty["stretches"].values())
        waits = twenty["delivery"]["waiting_end"]
        asked = "twenty faces: no frame older than 200 ms is processed, nothing piles up"
        said = f"oldest {oldest:.0f} ms; {waits} alerts waiting at the end"
        rows.append(_row(asked, said, met=oldest <= 200 and waits == 0))  # noqa: PLR2004
    if memory is not None:
        most = memory["memory"]["most_mb"]
        asked = "memory with 2,000 references and five faces: at most 150 MB"
        rows.append(_row(asked, f"{most:.0f} MB", met=most <= 150))  # noqa: PLR2004
    if ready is not None:
        asked = "ready with 2,000 references: within 1.5 s"
        said = f"{ready['median_s']:.2f} s (slowest {ready['most_s']:.2f} s)"
        rows.append(_row(asked, said, met=ready["median_s"] <= 1.5))  # noqa: PLR2004
    if late is not None and late["delivery"]["received_p99_ms"] is not None:
        p99 = late["delivery"]["received_p99_ms"]
        said = f"{number(p99['value'])} ms ({late['delivery']['received']} alerts)"
        asked = "p99 from capture to alert received, receipts and sealing on: stated"
        rows.append(_row(asked, said, met=True))
    return rows


_QUESTIONS: tuple[Callable[[Found], list[list[str]]], ...] = (
    _of_the_loop,
    _of_dlib,
    _of_walkers,
    _of_idle,
    _of_search,
    _of_allocations,
    _of_the_appliance,
)

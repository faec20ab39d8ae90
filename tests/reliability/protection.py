"""Proof: stored templates of two deployments cannot be linked, nothing is found less, and it fits.

`python -m tests.reliability.protection --work DIR` renders people and measures a full list of them;
`passerby-lab protection --data DIR` does the same with real faces.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from tests.reliability.proof import Proof, report, say
from tools.lab.protection.command import lines, measure
from tools.lab.protection.linkage import Link
from tools.lab.protection.people import rendered

CLAIM = (
    "without the key, the same people on two lists are linked no oftener than by chance; protected "
    "and plain searches return the same candidates; another key finds nobody"
)
FULL, QUICK = 600, 32
_SIGMAS = 5


def is_chance(link: Link) -> bool:
    """Return whether an attack did no better than guessing: hits like Poisson's of mean 1."""
    off = abs(link.auc - 0.5) / (0.29 / link.people**0.5)
    return link.hits < 9 and off < _SIGMAS


def works(link: Link) -> bool:
    """Return whether an attack that must work did, so that a failed one means something."""
    return link.hits == link.people


def prove(options):
    started_s = time.monotonic()
    count = QUICK if getattr(options, "quick", False) else FULL
    people = rendered(count)
    sizes = tuple(size for size in (100, 300, FULL) if size <= count)
    figures = measure(people, sizes, np.random.default_rng(options.seed))
    for line in lines(figures):
        say(f"  {line}")
    ours = [link for link in figures.links if link.scheme == "Passerby"]
    controls = [
        link
        for link in figures.links
        if (link.scheme, link.attack, link.lists)
        == ("one rotation", "resemblances", "same photographs")
    ]
    whole = next(each for each in figures.wholes if each.scheme == "Passerby")
    held = {
        "no attack better than chance": all(map(is_chance, ours)),
        "the same attack links plain rotations": bool(controls) and all(map(works, controls)),
        "whole lists do not agree": abs(whole.correlation) < _SIGMAS * whole.sigma,
        "same candidates": all(a.same_candidates == a.probes for a in figures.agreements),
        "another key refused": figures.renewal.refused,
        "one length of file": len({cost.file_bytes for cost in figures.costs}) == 1,
    }
    largest = figures.costs[-1]
    summary = {
        "people": count,
        "models": figures.models,
        **held,
        "attacks on Passerby": len(ours),
        "most linked": max(link.hits for link in ours),
        "largest score difference": max(a.largest for a in figures.agreements),
        "file bytes": largest.file_bytes,
        "seal s": round(largest.seal_s, 3),
        "open ms": round(1000 * largest.open_s),
        "comparison ratio": round(largest.ratio, 1),
        "seconds": round(time.monotonic() - started_s),
    }
    return Proof("protection", CLAIM, all(held.values()), summary)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, help="not needed; as all proofs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    proof = prove(parser.parse_args())
    say(f"{'PASS' if proof.held else 'FAIL'}  {proof.name}: {proof.claim}")
    sys.stdout.write(report([proof]))
    return 0 if proof.held else 1


if __name__ == "__main__":
    sys.exit(main())

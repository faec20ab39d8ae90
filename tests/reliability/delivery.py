"""`make proof-delivery`: every proof that alerts are not lost, read or forged, one after the other.

    python -m tests.reliability.delivery [--only NAME …] [--quick] [--out FILE]

Writes JSON with the figures and what they depend on; exits 1 when a proof fails.
"""

import argparse
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

from tests.reliability.proof import report, say

PROOFS = (
    "chaos",
    "power",
    "model",
    "amnesia",
    "outage",
    "hostile",
    "certificates",
    "cover",
    "fuzzing",
    "throughput",
    "fleet",
)


def main(arguments=None):
    options = _parser().parse_args(arguments)
    proofs = []
    for name in options.only or PROOFS:
        began_s = time.monotonic()
        say(f"--- {name}")
        with tempfile.TemporaryDirectory(prefix="p") as folder:
            one = argparse.Namespace(work=Path(folder), seed=options.seed, quick=options.quick)
            proof = import_module(f"tests.reliability.{name}").prove(one)
        proofs.append(proof)
        print(proof.line(), f"\n      {time.monotonic() - began_s:.0f} s", flush=True)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            options.out.write_text(report(proofs))
    failed = [proof.name for proof in proofs if not proof.held]
    print(f"{len(proofs) - len(failed)} of {len(proofs)} proofs hold.", *failed)
    return 1 if failed else 0


def _parser():
    parser = argparse.ArgumentParser(prog="delivery", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PROOFS, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a small run of each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())

"""Generated inputs over all decoders: nothing but refusals, and nothing forged is accepted."""

from tests.reliability.fuzz import together
from tests.reliability.proof import Proof

CASES, QUICK_CASES = 3_000_000, 20_000


def prove(options):
    cases = QUICK_CASES if options.quick else CASES
    tallies = together(cases, options.seed, 2).values()
    uncaught, forged = sum(t.uncaught for t in tallies), sum(t.forged for t in tallies)
    figures = {
        "decoders": len(tallies),
        "cases": sum(tally.cases for tally in tallies),
        "accepted, rightly": sum(tally.accepted for tally in tallies),
        "uncaught errors": uncaught,
        "forged accepted": forged,
        "slowest_ms": round(1000 * max(tally.slowest_s for tally in tallies), 1),
    }
    claim = "every decoder refuses what is not ours with its typed error"
    return Proof("bad input", claim, not uncaught and not forged, figures)

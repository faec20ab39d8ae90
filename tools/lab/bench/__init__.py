"""The benchmark: what one frame costs, and what it finds, here and in other people's pipelines.

Everybody is given the same frames, the same references and the same core; each contestant runs in a
process of its own, and the repeats of all are interleaved, so that a noisy machine is noisy for
all.
"""

import argparse


def run(options: argparse.Namespace) -> int:
    """See `tools.lab.bench.command`, which is loaded late: contestants need none of it."""
    from tools.lab.bench.command import run as measure  # noqa: PLC0415

    return measure(options)

"""Times pieces of work by turns, so that a busy machine is busy for all of them."""

import time
from collections.abc import Callable, Mapping


def in_turns(
    works: Mapping[str, Callable[[], object]], rounds: int, calls: int
) -> dict[str, list[float]]:
    """Return microseconds of processor time per call: of each work one mean per round.

    Every round does all works, one after the other. Whoever takes memory at a first call makes it
    before.
    """
    spent: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.process_time()
            for _ in range(calls):
                work()
            spent[name].append((time.process_time() - start) / calls * 1e6)
    return spent


def milliseconds(spent: Mapping[str, list[float]]) -> dict[str, list[float]]:
    """Return figures of `in_turns` in milliseconds."""
    return {name: [value / 1000 for value in values] for name, values in spent.items()}

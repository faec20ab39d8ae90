"""Failures to enrol and to acquire: FTE and FTA (ISO/IEC 19795-1), with the reasons."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from tools.lab.evaluate.rates import FEWEST_OF_CONDITION, rate
from tools.lab.evaluate.report import Acquisition, Named
from tools.lab.manifest import Item


def acquisition_of(
    items: Sequence[Item], faults: Sequence[str], counted: Sequence[bool]
) -> Acquisition:
    """Return how often pictures gave nothing to compare.

    faults: why each did not, empty where it did. counted: which the main figure counts; the figures
    per source set count all.
    """
    failed = np.array([bool(fault) for fault in faults], np.bool_)
    names = np.array([item.identities[0] for item in items], np.str_)
    sets = np.array([item.source_set for item in items], np.str_)
    main = np.asarray(counted, np.bool_)
    return Acquisition(
        rate(failed[main], names[main]),
        dict(sorted(Counter(fault for fault in faults if fault).items())),
        [
            Named(
                str(name),
                rate(failed[sets == name], names[sets == name], fewest=FEWEST_OF_CONDITION),
            )
            for name in np.unique(sets)
            if name
        ],
    )

"""The appliance: everything that runs on the device.

Rooms, in the order in which data flows: `capture` (frames) → `vision` (faces) → `matching`
(candidates) → `alerts` (the one type that leaves). `policy` says whether anything may be compared,
`bundles` brings in the watchlist and the models, `audit` counts and logs, `protocol` holds the
message formats shared with the desk. `appliance` wires the rooms and owns the threads; `cli` is
`passerby`. Imports run one way; the contracts in `pyproject.toml` hold the direction.
"""

import os

# One comparison is too small for a thread pool: OpenBLAS's would spin on the cores that the
# interpreter needs. Read when NumPy loads, so it is set before any room is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.1.0"

"""The appliance: everything that runs on the device.

Rooms, in the order in which data flows: `capture` (frames) → `vision` (faces) → `matching`
(candidates) → `alerts` (the one type that leaves). `policy` says whether anything may be compared,
`bundles` brings in the watchlist and the models, `audit` counts and logs, `protocol` holds the
message formats shared with the desk. `appliance` wires the rooms and owns the threads; `cli` is
`passerby`. Imports run one way; the contracts in `pyproject.toml` hold the direction.
"""

__version__ = "0.1.0"

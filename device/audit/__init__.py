"""Audit: counts and the log of what matters.

In: facts from the other rooms. Out: the ledger (aggregate counts, R16) and an append-only,
hash-chained, signed log (R41, R42), its verification, and copies of it for an auditor (R44). Never:
a picture, a template, a score, a count on the wire.

`log` writes; `events` is the closed list of what can be written; `tally` writes the ledger's counts
with their purpose; `verify` finds what was done to a log; `totals` adds it up and compares.
"""

from device.audit.ledger import Ledger
from device.audit.log import AuditLog
from device.audit.tally import Tally

__all__ = ["AuditLog", "Ledger", "Tally"]

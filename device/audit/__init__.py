"""Audit: counts and the log of what matters.

In: facts from the other rooms. Out: the ledger (aggregate counts, R16) and an append-only,
hash-chained log (R41, R42). Never: a picture, a template, a score, a count on the wire.
"""

from device.audit.ledger import Ledger
from device.audit.log import AuditLog

__all__ = ["AuditLog", "Ledger"]

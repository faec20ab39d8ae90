"""Policy: may anything be compared, and what may leave.

Pure rules over settings and facts that are handed in; no I/O, no clock of its own. In doubt the
answer is no. Signed authorisations, time windows and the stop rule come into this room later; the
callers already ask it before every comparison. Answers, in part, for R5 and R46.
"""

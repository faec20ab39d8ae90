"""Protocol: message types and formats shared with the desk. No I/O, no clock, no state.

In: values. Out: bytes, and back. Never: reads a file, opens a socket, imports another room. Answers
for R18 (alerts open unreviewed), R20 and R51 (the words), R45 (opaque topics) and R47 (bands, never
scores).
"""

"""`passerby-lab evaluate`: how often the device is wrong, and for whom (R28 to R31, R33).

In: a manifest of pictures (docs/evaluation.md) and a collection of models. Out: figures after
ISO/IEC 19795-1 and 19795-10 with their uncertainty as JSON, a page for people, and the threshold
statement that a policy is to sign. It looks at pictures through the device's own models and rules
(`pipeline`), and everything after that is arithmetic on scores. Never: a name, a picture or a
template in what it writes, a zero for what was not measured, a figure that a rerun would change.
"""

from tools.lab.evaluate.command import run

__all__ = ["run"]

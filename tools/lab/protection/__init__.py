"""`passerby-lab protection`: can two deployments' lists be linked, and what does it cost?

In: people with their templates, rendered or of a data set. Out: linkage attacks against the list as
it is stored, with two weaker schemes beside it as a proof that the attacks work (`attacks`,
`schemes`); whether accuracy is lost, and whether a new key revokes the old (`accuracy`); sizes,
times and memory (`cost`). Answers for R55. Never: writes a template.
"""

from tools.lab.protection.command import run

__all__ = ["run"]

"""Rights: what the desk knows of a person when they ask, and what it tells them.

In: a name with a birth date, or a reference id; never a photograph, there is no way to give one
(R38). Out: for the officer who decides, every list of every deployment, running or erased, that a
matching reference was on (R27); for the person who asks, a letter; for both, a deadline (R39).

It must never: let a letter that neither confirms nor denies depend on what was found, write a name
outside the vault, or drop a request silently.
"""

"""Watchlists: who is on them and why, made so that an unlawful one cannot be made.

In: what people know of a person who is wanted, and booking photographs. Out: five targets of a
bundle (`device.protocol.bundle`), in which stand opaque references and templates only. Never: a
copy of a photograph, a name in anything but a file that age has encrypted, an address that could
be fetched. Answers for R1 to R5, R7 to R12, R29, R35, R36, R40, R54 and R56.

`entry` is what is written down of a person, `rules` what must hold of it, `vault` how it is kept.
"""

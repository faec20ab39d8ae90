"""Policy: may anything be compared, what may leave, and when must the list be erased.

In: a `Situation`, gathered by others: the authorisation that two people signed, the clock, the
desk's orders, what is loaded. Out: sentences that say what forbids comparing, and what to do about
it. Never: I/O, a clock of its own, a yes in doubt.

    arming      the verdict: waiting, ready, armed, over; and what may leave
    conditions  all conditions in their order; of_device, of_authorisation, of_list hold them
    references  which references of an open list may be compared
    configured  what a signed configuration may set
    clock       when the clock is believed
    stop_rule   when false alerts are too many
    erasure     when the list's end has come
    standing    the desk's orders in force
    transport   what may travel over which connection

Answers for R5, R6, R7, R8, R12, R24, R28, R29, R31, R32, R34, R35, R36, R40, R54; in part for
R46. The conditions and figures for readers: docs/policy.md.
"""

"""Retention: how long anything is kept, said once, and the holds that are the only exception.

In: `firmware_config/retention.toml`, the schedule (R23). Out: the periods that the desk's programs
work with, the public notice's and docs/retention.md's words, and a test that fails when any default
of the code says something else. Holds (R26) keep one alert from being erased (R25), for a case, by
an approver, until a day. It must never keep anything for longer than the schedule's maximum.
"""

"""Bundles: watchlists, models and configuration in.

For now one unsigned demonstration list from a file; signed updates (TUF) come into this room later,
behind the same function. In: files. Out: decoded, checked lists. Never: a network connection.
"""

from device.bundles.demonstration import load_list

__all__ = ["load_list"]

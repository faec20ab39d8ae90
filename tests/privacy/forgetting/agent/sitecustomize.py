"""Registers the very first exit function, which Python therefore calls last.

So the program stands still once all of its own code has run, and its memory can be searched.
"""

import atexit
import sys


def _hold():
    camera = sys.modules.get("picamera2")
    if camera is not None:
        camera.hold()


atexit.register(_hold)

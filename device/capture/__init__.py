"""Capture: where frames come from.

In: a camera, a clip or a folder of stills. Out: `Frame`s, one at a time, the latest wins. Never:
stores a frame, knows what a face is, imports another room. Answers for R13 (buffers are wiped when
a frame ends) and R17 (nothing is recorded).
"""

from device.capture.camera import Camera
from device.capture.factory import source_for
from device.capture.frame import Frame, Picture, PixelFormat, Pixels
from device.capture.source import FrameSource

__all__ = ["Camera", "Frame", "FrameSource", "Picture", "PixelFormat", "Pixels", "source_for"]

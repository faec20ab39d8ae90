"""OpenCV, set up once: quiet, single-threaded, and without its own idea of parallelism.

Import `cv2` from here, never directly: the environment has to be set before the library loads.
"""

import os

os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
# A USB camera that hangs must be noticed within two seconds; OpenCV would wait ten.
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", "1")

import cv2

# The interpreter's threads do the heavy work; OpenCV's pool would only fight with them.
cv2.setNumThreads(1)
# Which optimised kernels run must not change a score between two runs on one machine.
cv2.ocl.setUseOpenCL(False)

__all__ = ["cv2"]

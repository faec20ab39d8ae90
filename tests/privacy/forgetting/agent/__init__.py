"""What runs inside the real `passerby run` during the proof: a camera, notices, faults and plants.

This folder stands on the program's PYTHONPATH, so that its `import picamera2` finds the one here.
Nothing here keeps a pixel: frames go from the socket straight into the camera's buffers.
"""

"""The whole appliance on the bench: `passerby run` in real time, from the camera to the desk.

`appliance.py` starts what a site has, `fake/` plays the camera inside the appliance's process,
`sensor.py` fills its buffers, `watch.py` asks the kernel, `workloads.py`
measures.
"""

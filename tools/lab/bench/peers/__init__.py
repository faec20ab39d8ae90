"""The benchmark's peers: what others run, each by its own library, one thread, every frame.

They live in an environment of their own (`make venv-peers`); nothing here imports their libraries
before a contestant is asked for. What is ours (the writer of ncnn's files, the decoding of anchors,
the architectures) works without them.
"""

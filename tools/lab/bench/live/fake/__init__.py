"""What stands on the path of the appliance's process only: its camera, and a watch with a pencil.

None of it is imported by the tools: `PYTHONPATH` of the child names this folder.
"""

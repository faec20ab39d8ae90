"""Programs for the other end of the cable: field (technicians), desk (police), lab (engineers).

They may import `device`, never the reverse; nothing here runs on a deployed appliance.
"""

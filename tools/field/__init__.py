"""`passerby-field`: what a technician does to a device: models now, flashing and checks later."""

"""`passerby-desk`: what the police team does: enrolment now, signing and judging alerts later."""

"""For the technician: whether data flows, what is wrong with the evidence, and what to do."""

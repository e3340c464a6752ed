"""Disclosure on request: a field that stays at home, for one department, a purpose and a time."""

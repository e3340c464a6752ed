"""Disclosure on request: asked for, decided in plain words, and looked at once."""

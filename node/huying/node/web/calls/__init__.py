"""Calls on the screen: the lists, and the page of one call with its steps."""

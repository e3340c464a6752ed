"""Sealed copies of a child's own entries, kept by its parent, who can't read them."""

"""Whether a store is sound, and what is done where it is not: `fsck` and its repair.

Everything that can be computed from what was signed is computed again; a repair keeps what still
stands, and notes the rest to be got anew.
"""

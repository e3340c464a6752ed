"""The feed's bytes: entries, their tree, and the signed words about it.

From the inside out: `audience` splits a record into compartments, `leaf` binds them into an entry,
`merkle` and `merkle_proof` are the tree, `note` and `checkpoint` what is signed over it, `segment`
what travels, `tlog_proof` what proves one entry offline. docs/FEED.md has every byte.
"""

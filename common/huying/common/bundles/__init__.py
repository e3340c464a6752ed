"""Bundles: a session carried as files, for a gap that no socket crosses.

`carriage` writes what a session would have sent, `bundle` and `bundle_receipt` are the bytes,
`bundle_import` reads them back, `bundle_ledger` remembers. docs/SYNC.md has the formats.
"""

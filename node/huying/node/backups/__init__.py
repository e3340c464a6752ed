"""Backups of a node and the way back: one encrypted file, its keys, and the restore."""

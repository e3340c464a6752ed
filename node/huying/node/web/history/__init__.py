"""The life of one record, version by version, read back through its feed."""

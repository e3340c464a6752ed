"""The registry of record types, and what each field may hold."""

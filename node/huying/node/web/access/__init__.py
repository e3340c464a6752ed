"""People and access: accounts, roles, the scope of each, signing in, and the audit trail."""

"""Alembic's environment and the revisions. Imported only where a database is behind."""

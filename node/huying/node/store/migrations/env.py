"""Alembic runs this. The connection comes from `huying.node.store.database`, in its transaction.

There is no offline mode and no alembic.ini: a node migrates its own database when it starts.
"""

from __future__ import annotations

from alembic import context

from huying.node.store.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()

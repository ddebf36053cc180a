"""Run by Alembic: brings the database to the newest tables, on PostgreSQL and SQLite alike."""

from __future__ import annotations

from alembic import context
from sqlmodel import SQLModel

import jobs.models  # noqa: F401 - fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    compare_type=True,
    # SQLite cannot alter a table in place; batch mode copies it.
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()

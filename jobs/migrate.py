"""Bringing the database up to date, and telling whether it is."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection

from jobs.db import Database

#: Any number will do, as long as it is always this one: roles that start together migrate one after the other.
_LOCK = 7_215_531


class SchemaOutdated(Exception):
    """The database's tables are not those of this program; `mediamill db upgrade` brings them up to date."""


def upgrade(database: Database) -> None:
    """Run the migrations that are still missing. Safe to call from several processes at once."""
    with database.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        command.upgrade(_config(connection), "head")


def check(database: Database) -> None:
    """Raises SchemaOutdated unless the tables are exactly those of this program."""
    with database.engine.connect() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    want = newest()
    if have != want:
        raise SchemaOutdated(f"the database is at {have or 'nothing'}, this program needs {want}: run `mediamill db upgrade`")


def newest() -> str | None:
    return ScriptDirectory.from_config(_config(None)).get_current_head()


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config

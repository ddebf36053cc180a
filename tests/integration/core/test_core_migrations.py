"""Migrations over a database that is in use: every row is still there, and every rule still holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from house import add_job, add_jobs, rows_of, tenant
from sqlalchemy import MetaData, insert, inspect, select, text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from jobs import migrate
from jobs.db import Database, after, now
from jobs.ids import new_id
from jobs.models import Attempt, Dependency, Job
from jobs.queries import schedule

OUTPUTS = [{"kind": "image", "url": "https://example.com/1.png"}]


@pytest.fixture(params=["sqlite", "postgresql"])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with the first tables, and a running job in them."""
    if request.param == "sqlite":
        opened, drop = Database(f"sqlite:///{tmp_path}/old.db"), None
    else:
        server = request.getfixturevalue("postgres")
        name = server.create()
        opened, drop = Database(server.url(name)), lambda: server.drop(name)
    _move(opened, "0001")
    yield opened
    opened.dispose()
    if drop:
        drop()


def _move(database: Database, revision: str, step: Callable[..., None] = command.upgrade) -> None:
    with database.engine.begin() as connection:
        step(migrate._config(connection), revision)


def _fill(database: Database) -> dict[str, Any]:
    """A tenant's running job and its attempt, as the first program wrote them."""
    tables = MetaData()
    tables.reflect(database.engine)
    tenant_id, job_id, attempt_id = new_id("ten"), new_id("job"), new_id("att")
    job = {
        "id": job_id,
        "tenant_id": tenant_id,
        "operation": "kling.text_to_video",
        "modality": "video",
        "provider": "kling",
        "status": "running",
        "input": {"prompt": "a boat"},
        "metadata": {},
        "on_unknown": "hold",
        "attempt_id": attempt_id,
        "due_at": after(60),
        "created_at": now(),
        **dict.fromkeys(("version", "priority", "fence", "crashes", "polls", "oddities", "collect_tries"), 0),
        "attempts": 1,
    }
    attempt = {
        "id": attempt_id,
        "job_id": job_id,
        "n": 1,
        "state": "accepted",
        "provider": "kling",
        "client_ref": "our-name",
        "upstream_id": "task-1",
        "outputs": OUTPUTS,
        "sent_at": now(),
    }
    with database.transaction() as session:
        session.execute(insert(tables.tables["tenant"]).values(id=tenant_id, name=tenant_id, created_at=now()))
        session.execute(insert(tables.tables["job"]).values(job))
        session.execute(insert(tables.tables["attempt"]).values(attempt))
    return {"tenant_id": tenant_id, "job_id": job_id, "attempt_id": attempt_id}


def test_jobs_and_attempts_come_through_the_second_migration_as_they_were(old: Database) -> None:
    made = _fill(old)

    migrate.upgrade(old)

    migrate.check(old)
    (job,), (attempt,) = rows_of(old, Job), rows_of(old, Attempt)
    assert (job.id, job.input, job.start_at, job.status) == (made["job_id"], {"prompt": "a boat"}, None, "running")
    assert (attempt.id, attempt.upstream_id, attempt.outputs) == (made["attempt_id"], "task-1", OUTPUTS)
    assert (attempt.shared, attempt.given) == (False, None)


@pytest.mark.parametrize(
    ("wrong", "rule"),
    [
        ({"provider": "kling", "upstream_id": "task-1"}, "provider.*upstream_id"),
        ({"client_ref": "our-name"}, "client_ref"),
        ({"n": 1}, "job_id.*n"),
        ({"state": "perhaps"}, "ck_attempt_state_known"),
        ({"state": "accepted"}, "ck_attempt_accepted_has_a_task"),
        ({"job_id": "job_nobody"}, "(?i)foreign key"),
    ],
)
def test_the_rules_of_the_copied_table_hold_after_it(old: Database, wrong: dict[str, Any], rule: str) -> None:
    made = _fill(old)
    migrate.upgrade(old)
    row = {"id": new_id("att"), "job_id": made["job_id"], "n": 2, "provider": "suno", "client_ref": "another", **wrong}
    with pytest.raises(IntegrityError, match=rule), old.transaction() as session:
        session.execute(insert(Attempt).values(row))


def test_the_first_program_goes_on_with_the_second_tables(old: Database) -> None:
    """It names no column that is new."""
    made = _fill(old)
    first_program = MetaData()
    first_program.reflect(old.engine, only=["attempt"])
    migrate.upgrade(old)
    row = {"id": new_id("att"), "job_id": made["job_id"], "n": 2, "provider": "suno", "client_ref": "x", "state": "sending"}
    with old.transaction() as session:
        session.execute(insert(first_program.tables["attempt"]).values(row | {"sent_at": now()}))


def test_going_back_starts_what_waited(old: Database) -> None:
    made = _fill(old)
    migrate.upgrade(old)
    waiting = add_job(old, made["tenant_id"], due_at=None)
    with old.transaction() as session:
        session.execute(insert(Dependency).values(job_id=waiting, needs_id=made["job_id"]))

    _move(old, "0001", command.downgrade)

    with old.read() as session:
        assert session.scalar(text("SELECT due_at IS NOT NULL FROM job WHERE id = :id"), {"id": waiting})  # type: ignore[call-overload]
        assert session.scalar(text("SELECT upstream_id FROM attempt")) == "task-1"  # type: ignore[call-overload]
    migrate.upgrade(old)
    migrate.check(old)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_dispatcher_finds_the_backlog_without_a_look_at_what_waits(fresh_database_url: Callable[[str], str], kind: str) -> None:
    """Thousands of jobs may wait for others: an index that holds them would be walked through at every release."""
    database = Database(fresh_database_url(kind))
    who = tenant(database)
    add_jobs(database, who, 5)
    add_jobs(database, who, 500, due_at=None)
    statement = select(col(Job.id)).where(schedule.waits(), col(Job.modality) == "video", col(Job.tenant_id) == who)
    with database.engine.connect() as connection:
        asked = statement.order_by(col(Job.priority).desc(), col(Job.id)).limit(5).compile(connection)
        if kind == "sqlite":
            values = tuple(asked.params[name] for name in asked.positiontup or ())
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", values)
        else:
            # What it knows of the table is of those who used it before.
            connection.execute(text("ANALYZE job"))
            connection.execute(text("SET enable_seqscan = off"))
            plan = connection.exec_driver_sql(f"EXPLAIN {asked}", dict(asked.params))
        told = " ".join(str(row) for row in plan)
        indexes = {
            index["name"]: " ".join(map(str, index["dialect_options"].values())) for index in inspect(connection).get_indexes("job")
        }
    database.dispose()
    (used,) = {name for name in indexes if name in told}
    assert "due_at IS NOT NULL" in indexes[used]

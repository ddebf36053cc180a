"""The tables: migrations and models agree, and the database refuses nonsense by itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from house import add_batch, add_job, job_row, rows_of, tenant, together
from sqlalchemy import CheckConstraint, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from jobs import migrate
from jobs.db import Database, now
from jobs.ids import new_id
from jobs.models import Artifact, Attempt, Batch, Delivery, Dependency, Event, FeedPosition, Job, LedgerEntry, Limit, Pause

A_SHA = "a" * 64
TASK = "840011223344"


def test_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": SQLModel.metadata})
        differences = compare_metadata(context, SQLModel.metadata)
    assert differences == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_index_covers_the_rows_that_the_models_say(
    fresh_database_url: Callable[[str], str], request: pytest.FixtureRequest, tmp_path: Any, kind: str
) -> None:
    """The comparison above does not look at the condition of an index, and one that is not the query's own is never used."""
    migrated = Database(fresh_database_url(kind))
    if kind == "sqlite":
        declared, drop = Database(f"sqlite:///{tmp_path}/declared.db"), None
    else:
        server = request.getfixturevalue("postgres")
        name = server.create()
        declared, drop = Database(server.url(name)), lambda: server.drop(name)
    SQLModel.metadata.create_all(declared.engine)

    assert _indexes(migrated) == _indexes(declared)

    migrated.dispose()
    declared.dispose()
    if drop:
        drop()


def _indexes(database: Database) -> dict[str, str]:
    """Each index of our tables as the database would make it again."""
    question = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
        if database.sqlite
        else "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema() AND tablename <> 'alembic_version'"
    )
    with database.engine.connect() as connection:
        return {name: " ".join(made.split()) for name, made in connection.exec_driver_sql(question)}


def test_a_migrated_database_passes_its_check_and_migrating_again_changes_nothing(database: Database) -> None:
    migrate.check(database)
    migrate.upgrade(database)
    migrate.check(database)


def test_an_empty_database_is_refused_with_what_to_do(tmp_path: Any) -> None:
    empty = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(migrate.SchemaOutdated, match="db upgrade"):
        migrate.check(empty)
    empty.dispose()


def test_roles_that_start_together_migrate_one_after_the_other(postgres: Any) -> None:
    name = postgres.create()
    roles = [Database(postgres.url(name)) for _ in range(4)]
    together(*(lambda role=role: migrate.upgrade(role) for role in roles))
    migrate.check(roles[0])
    for role in roles:
        role.dispose()
    postgres.drop(name)


# Nonsense -----------------------------------------------------------------------------------------------------------------

Row = Callable[[Database, str], tuple[type[SQLModel], dict[str, Any]]]


def _job(**values: Any) -> Row:
    return lambda _, tenant_id: (Job, job_row(tenant_id, **values))


def _final(**values: Any) -> dict[str, Any]:
    return {"status": "canceled", "finished_at": now(), "due_at": None, **values}


def _attempt(**values: Any) -> Row:
    def make(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
        job_id = add_job(database, tenant_id)
        base = {"id": new_id("att"), "job_id": job_id, "n": 1, "provider": "kling", "client_ref": new_id("att")}
        return Attempt, base | values

    return make


def _artifact(**values: Any) -> Row:
    def make(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
        return Artifact, {**_artifact_row(add_job(database, tenant_id)), **values}

    return make


def _artifact_row(job_id: str) -> dict[str, Any]:
    return {
        "id": new_id("art"),
        "job_id": job_id,
        "index": 0,
        "kind": "image",
        "media_type": "image/png",
        "size_bytes": 1,
        "sha256": A_SHA,
        "key": "k",
    }


def _event(*, job: bool, batch: bool) -> Row:
    def make(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
        return Event, _event_row(database, tenant_id, job=job, batch=batch)

    return make


def _event_row(database: Database, tenant_id: str, *, job: bool = True, batch: bool = False) -> dict[str, Any]:
    return {
        "id": new_id("evt"),
        "tenant_id": tenant_id,
        "job_id": add_job(database, tenant_id) if job else None,
        "batch_id": add_batch(database, tenant_id, 1)[0] if batch else None,
        "version": 1,
        "type": "job.running",
        "body": "{}",
    }


def _delivery(**values: Any) -> Row:
    def make(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
        event = _event_row(database, tenant_id)
        with database.transaction() as session:
            session.execute(insert(Event).values(event))
        return Delivery, {"id": new_id("dlv"), "event_id": event["id"], "tenant_id": tenant_id, "url": "https://x", **values}

    return make


def _batch(**values: Any) -> Row:
    return lambda _, tenant_id: (Batch, {"id": new_id("batch"), "tenant_id": tenant_id, "meta": {}, **values})


def _ledger_entry(**values: Any) -> Row:
    def make(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
        _, attempt = _attempt()(database, tenant_id)
        with database.transaction() as session:
            session.execute(insert(Attempt).values(attempt))
        base = {
            "id": new_id("led"),
            "attempt_id": attempt["id"],
            "kind": "reserve",
            "tenant_id": tenant_id,
            "job_id": attempt["job_id"],
            "operation": "kling.text_to_video",
            "day": "2026-11-26",
        }
        return LedgerEntry, base | values

    return make


def _limit(**values: Any) -> Row:
    return lambda _, __: (Limit, {"scope": "provider=kling", "provider": "kling", **values})


def _pause(**values: Any) -> Row:
    base = {"scope": "provider:kling", "kind": "provider", "name": "kling", "reason": "maintenance", "actor": "operator"}
    return lambda _, __: (Pause, base | values)


def _dependency_on_itself(database: Database, tenant_id: str) -> tuple[type[SQLModel], dict[str, Any]]:
    job_id = add_job(database, tenant_id)
    return Dependency, {"job_id": job_id, "needs_id": job_id}


#: One row that breaks it, for each CHECK there is, under the constraint's own name.
NONSENSE: dict[str, list[Row]] = {
    "ck_batch_not_empty": [_batch(total=0)],
    "ck_job_status_known": [_job(status="sleeping")],
    "ck_job_finished_exactly_when_final": [_job(finished_at=now()), _job(status="canceled", due_at=None)],
    "ck_job_final_is_at_rest": [_job(**_final(due_at=now())), _job(**_final(lease_owner="w"))],
    "ck_job_failure_has_a_reason": [_job(**_final(status="failed"))],
    "ck_job_progress_is_a_share": [_job(progress=1.01), _job(progress=-0.1)],
    "ck_job_line_with_batch": [_job(line=1)],
    "ck_job_on_unknown_known": [_job(on_unknown="guess")],
    "ck_dependency_not_on_itself": [_dependency_on_itself],
    "ck_attempt_state_known": [_attempt(state="perhaps")],
    "ck_attempt_accepted_has_a_task": [_attempt(state="accepted")],
    "ck_artifact_not_empty": [_artifact(size_bytes=0)],
    "ck_artifact_sha256_whole": [_artifact(sha256="abc")],
    "ck_event_about_one_thing": [_event(job=True, batch=True), _event(job=False, batch=False)],
    "ck_ledger_entry_kind_known": [_ledger_entry(kind="guess")],
    "ck_ledger_entry_no_negative_amounts": [_ledger_entry(usd=Decimal("-0.000001"))],
    "ck_limit_rule_some_at_once": [_limit(concurrency=0)],
    "ck_limit_rule_some_a_second": [_limit(per_second=0)],
    "ck_limit_rule_some_a_minute": [_limit(per_minute=0), _limit(per_minute=-1.5)],
    "ck_limit_rule_limits_something": [_limit()],
    "ck_limit_rule_one_key_or_each": [_limit(concurrency=1, key_name="main", each_key=True)],
    "ck_pause_kind_known": [_pause(kind="planet")],
    "ck_pause_people_are_not_overruled": [_pause(probe_at=now())],
    "ck_feed_position_one_row": [lambda _, __: (FeedPosition, {"id": 2, "last": 0})],
    "ck_delivery_status_known": [_delivery(status="lost", finished_at=now())],
    "ck_delivery_finished_exactly_when_over": [_delivery(finished_at=now()), _delivery(status="delivered")],
}


def test_there_is_nonsense_for_every_check_of_the_models() -> None:
    checks = {
        str(constraint.name)
        for table in SQLModel.metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }
    assert checks == set(NONSENSE)


@pytest.mark.parametrize(
    ("constraint", "row"),
    [pytest.param(name, row, id=f"{name}-{n}") for name, rows in NONSENSE.items() for n, row in enumerate(rows)],
)
def test_the_database_refuses_nonsense(database: Database, constraint: str, row: Row) -> None:
    table, values = row(database, tenant(database))
    with pytest.raises(IntegrityError, match=constraint), database.transaction() as session:
        session.execute(insert(table).values(values))


@pytest.mark.parametrize(
    "row",
    [
        _job(),
        _job(**_final()),
        _job(**_final(status="failed", error={"code": "x"})),
        _job(progress=0),
        _job(progress=1),
        _attempt(),
        _ledger_entry(),
        _ledger_entry(usd=Decimal(0)),
        _limit(concurrency=1),
        _limit(per_second=0.5),
        _limit(per_minute=1, each_key=True),
        _pause(),
        _pause(automatic=True, probe_at=now()),
    ],
)
def test_the_database_takes_what_makes_sense(database: Database, row: Row) -> None:
    table, values = row(database, tenant(database))
    with database.transaction() as session:
        session.execute(insert(table).values(values))


def test_an_error_that_is_null_in_python_is_null_in_sql(database: Database) -> None:
    """JSON null would slip past `failure_has_a_reason`."""
    values = job_row(tenant(database), **_final(status="failed", error=None))
    with pytest.raises(IntegrityError, match="failure_has_a_reason"), database.transaction() as session:
        session.execute(insert(Job).values(values))


def test_two_attempts_never_have_one_task(database: Database) -> None:
    who = tenant(database)
    for place in (1, 2):
        _, row = _attempt(state="accepted", upstream_id=TASK)(database, who)
        if place == 1:
            with database.transaction() as session:
                session.execute(insert(Attempt).values(row))
        else:
            with pytest.raises(IntegrityError), database.transaction() as session:
                session.execute(insert(Attempt).values(row))


def test_attempts_that_share_a_task_may_be_many_beside_one_that_does_not(database: Database) -> None:
    who = tenant(database)
    made = [_attempt(state="accepted", upstream_id=TASK, shared=shared)(database, who)[1] for shared in (True, True, False)]
    with database.transaction() as session:
        for row in made:
            session.execute(insert(Attempt).values(row))


def test_a_job_has_one_output_in_each_place_and_one_event_a_version(database: Database) -> None:
    who = tenant(database)
    job_id = add_job(database, who)
    event = {"tenant_id": who, "job_id": job_id, "version": 1, "type": "job.running", "body": "{}"}
    with database.transaction() as session:
        session.execute(insert(Artifact).values(_artifact_row(job_id)))
        session.execute(insert(Event).values(id=new_id("evt"), **event))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(insert(Artifact).values(_artifact_row(job_id)))
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(insert(Event).values(id=new_id("evt"), **event))


def test_a_job_belongs_to_a_tenant_that_exists(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(insert(Job).values(job_row("ten_nobody")))


def test_a_line_of_a_batch_becomes_one_job(database: Database) -> None:
    who = tenant(database)
    batch_id, _ = add_batch(database, who, 2)
    with pytest.raises(IntegrityError), database.transaction() as session:
        session.execute(insert(Job).values(job_row(who, batch_id=batch_id, line=2)))
    assert len(rows_of(database, Job)) == 2


def test_an_error_rolls_everything_back(database: Database) -> None:
    who = tenant(database)

    class Unexpected(Exception):
        pass

    with pytest.raises(Unexpected), database.transaction() as session:
        session.execute(insert(Job).values(job_row(who)))
        raise Unexpected
    assert rows_of(database, Job) == []


def test_commits_survive_a_power_cut_on_sqlite(fresh_database_url: Callable[[str], str]) -> None:
    """The intent is committed before money is spent: NORMAL would keep it from a killed process only."""
    opened = Database(fresh_database_url("sqlite"))
    with opened.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2  # FULL
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    opened.dispose()

"""Usage in SQL: each call's money in its group, what is not known counted apart, and a day found without reading the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from house import add_job, tenant
from sqlalchemy import event, insert, select, text, update
from sqlmodel import col

from jobs.db import Database
from jobs.ids import new_id
from jobs.models import Attempt, Job
from jobs.queries import ledger, usage
from jobs.queries.usage import Span, Used

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
TUESDAY = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)


def call(
    database: Database,
    job_id: str,
    quoted: str | None,
    outcome: str = "",
    cost: str | None = None,
    *,
    at: datetime = MONDAY,
    key: str = "main",
) -> None:
    """A paid call of this job and what became of it: settle, refund, or nothing yet."""
    with database.transaction() as session:
        job = session.get_one(Job, job_id)
        attempt_id = new_id("att")
        n = len(session.scalars(select(col(Attempt.id)).where(col(Attempt.job_id) == job_id)).all()) + 1
        session.execute(insert(Attempt).values(id=attempt_id, job_id=job_id, n=n, provider=job.provider, client_ref=new_id("att")))
        usd = None if quoted is None else Decimal(quoted)
        ledger.reserve(session, job, attempt_id, key_name=key or None, usd=usd, at=at)
        if outcome == "settle":
            assert ledger.settle(session, attempt_id, None if cost is None else Decimal(cost))
        elif outcome == "refund":
            assert ledger.refund(session, attempt_id, "it was refused")


def used(database: Database, *by: str, tenant_id: str | None, span: Span = usage.ALL_TIME) -> dict[usage.Key, Used]:
    with database.read() as session:
        return usage.used(session, by, tenant_id=tenant_id, span=span)


def money(group: Used) -> tuple[Decimal | None, ...]:
    return (group.quoted.said, group.settled.said, group.refunded.said, group.open.said, group.cost)


def usd(*amounts: str | None) -> tuple[Decimal | None, ...]:
    return tuple(None if one is None else Decimal(one) for one in amounts)


def test_every_call_is_quoted_and_then_settled_refunded_or_open(database: Database) -> None:
    who = tenant(database)
    job = add_job(database, who)
    call(database, job, "0.50", "settle", "0.40")
    call(database, job, "0.50", "refund")
    call(database, job, "0.25")
    (group,) = used(database, "operation", tenant_id=who).values()
    assert money(group) == usd("1.25", "0.40", "0.50", "0.25", None)
    assert (group.jobs, group.calls, group.open_calls, group.unknown_calls) == (1, 3, 1, 0)


def test_a_cost_is_said_once_every_call_is_over(database: Database) -> None:
    who = tenant(database)
    call(database, add_job(database, who), "0.50", "settle", "0.000001")
    call(database, add_job(database, who), None, "settle", "0.10")
    (group,) = used(database, "operation", tenant_id=who).values()
    assert group.cost == Decimal("0.100001")
    assert (group.quoted.said, group.quoted.unknown) == (Decimal("0.50"), 1)


def test_what_nobody_knows_is_counted_apart_and_is_never_zero(database: Database) -> None:
    who = tenant(database)
    song = add_job(database, who, operation="suno.music", provider="suno")
    call(database, song, None, "settle", None)
    call(database, song, None)
    call(database, song, None, "refund")
    (group,) = used(database, "operation", tenant_id=who).values()
    assert money(group) == (None, None, None, None, None)
    assert (group.calls, group.open_calls, group.unknown_calls, group.quoted.unknown) == (3, 1, 2, 3)

    call(database, song, None, "settle", "0.30")
    (group,) = used(database, "operation", tenant_id=who).values()
    assert (group.settled.said, group.unknown_calls, group.cost) == (Decimal("0.30"), 2, None)


def test_jobs_without_a_call_are_counted_and_have_cost_nothing_that_is_written_down(database: Database) -> None:
    who = tenant(database)
    add_job(database, who)
    (group,) = used(database, "status", tenant_id=who).values()
    assert (group.jobs, group.calls, group.cost) == (1, 0, None)
    assert money(group)[:4] == usd("0", "0", "0", "0")


def test_a_job_counts_for_the_key_that_it_was_last_called_with(database: Database) -> None:
    who = tenant(database)
    ended, old, waits = (add_job(database, who) for _ in range(3))
    with database.transaction() as session:
        for job_id, key in ((ended, "films"), (old, None)):
            attempt = {"id": f"att_{job_id}", "job_id": job_id, "n": 1, "provider": "kling", "client_ref": job_id, "key_name": key}
            session.execute(insert(Attempt).values(attempt))
            session.execute(update(Job).where(col(Job.id) == job_id).values(attempt_id=f"att_{job_id}"))
    assert {key: group.jobs for key, group in used(database, "key_name", tenant_id=who).items()} == {
        (None,): 1,
        ("default",): 1,
        ("films",): 1,
    }
    assert waits


def test_groups_are_told_apart_by_whatever_is_asked_for(database: Database) -> None:
    one, two = tenant(database), tenant(database)
    film = add_job(database, one)
    song = add_job(database, one, operation="suno.music", provider="suno", key_name="main")
    other = add_job(database, two)
    call(database, film, "0.10", "settle", "0.10", at=MONDAY, key="main")
    call(database, film, "0.10", "settle", "0.10", at=TUESDAY, key="films")
    call(database, song, "0.50", "settle", "0.50", at=TUESDAY, key="")
    call(database, other, "9.00", "settle", "9.00")

    def settled(*by: str, tenant_id: str | None = one) -> dict[usage.Key, Decimal | None]:
        return {key: group.settled.said for key, group in used(database, *by, tenant_id=tenant_id).items() if group.calls}

    assert settled("operation") == {("kling.text_to_video",): Decimal("0.20"), ("suno.music",): Decimal("0.50")}
    assert settled("provider") == {("kling",): Decimal("0.20"), ("suno",): Decimal("0.50")}
    assert settled("day") == {("2026-11-23",): Decimal("0.10"), ("2026-11-24",): Decimal("0.60")}
    assert settled("key_name") == {("default",): Decimal("0.50"), ("films",): Decimal("0.10"), ("main",): Decimal("0.10")}
    assert settled("tenant", tenant_id=None) == {(one,): Decimal("0.70"), (two,): Decimal("9.00")}
    assert settled("status") == {("queued",): Decimal("0.70")}
    assert settled("day", "provider") == {
        ("2026-11-23", "kling"): Decimal("0.10"),
        ("2026-11-24", "kling"): Decimal("0.10"),
        ("2026-11-24", "suno"): Decimal("0.50"),
    }
    assert settled("provider", "day").keys() == {("kling", "2026-11-23"), ("kling", "2026-11-24"), ("suno", "2026-11-24")}
    # What is told apart adds up to the whole, whichever way.
    for by in usage.DIMENSIONS:
        whole = usage.total(used(database, by, tenant_id=None).values())
        assert (whole.jobs, whole.calls, whole.settled.said) == (3, 4, Decimal("9.70")), by


def test_a_span_takes_in_the_jobs_between_and_the_money_of_its_days(database: Database) -> None:
    who = tenant(database)
    job = add_job(database, who)
    for at, cost in ((MONDAY, "1"), (TUESDAY, "2")):
        call(database, job, cost, "settle", cost, at=at)

    def settled(start: datetime | None, end: datetime | None) -> Decimal | None:
        return usage.total(used(database, "day", tenant_id=who, span=Span(start, end)).values()).settled.said

    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    assert settled(None, None) == 3
    assert settled(midnight, None) == 2
    assert settled(None, midnight) == 1
    assert settled(MONDAY, midnight) == 1, "the whole of a day that the span touches"
    assert settled(TUESDAY, TUESDAY.replace(day=30)) == 2
    with database.read() as session:
        created = session.get_one(Job, job).created_at
    before, after = Span(None, created), Span(created, None)
    counted = [sum(group.jobs for group in used(database, "day", tenant_id=who, span=span).values()) for span in (before, after)]
    assert counted == [0, 1]


def test_more_groups_than_an_answer_holds_are_refused(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    who = tenant(database)
    add_job(database, who)
    add_job(database, who, operation="suno.music", provider="suno")
    monkeypatch.setattr(usage, "MOST_ROWS", 2)
    assert len(used(database, "operation", tenant_id=who)) == 2
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    with pytest.raises(usage.TooMany, match="more than one answer holds"):
        used(database, "operation", tenant_id=who)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.parametrize("whose", ["one", "all"])
def test_days_are_found_in_the_indexes_of_the_tables(fresh_database_url: Callable[[str], str], kind: str, whose: str) -> None:
    """A year of other days is not read for a week, neither for one tenant nor for all of them."""
    database = Database(fresh_database_url(kind))
    plans: list[str] = []
    who = tenant(database)

    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "GROUP BY" in statement:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if kind == 'sqlite' else ''}{statement}", values)
            plans.append(" ".join(str(row) for row in cursor.fetchall()))

    with database.read() as session:
        if kind == "postgresql":
            session.execute(text("SET enable_seqscan = off"))
        span = Span(MONDAY, TUESDAY)
        usage.used(session, ("tenant", "operation", "day"), tenant_id=who if whose == "one" else None, span=span)
    database.dispose()
    money_plan, jobs_plan = plans
    if kind == "sqlite":
        assert ("(tenant_id=? AND id>? AND id<?)" if whose == "one" else "(id>? AND id<?)") in jobs_plan, jobs_plan
    else:
        assert "(id)::text >=" in jobs_plan.partition("Index Cond")[2], jobs_plan
    assert "ix_ledger_entry_tenant_id_day" in money_plan, money_plan
    if kind == "sqlite":
        assert "tenant_id=? AND day>? AND day<?" in money_plan, money_plan
    else:
        assert "(day)::text >=" in money_plan.partition("Index Cond")[2], money_plan

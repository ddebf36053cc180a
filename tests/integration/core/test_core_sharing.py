"""Pauses, limits and tenants in SQL: one row for each thing that is said, and what is counted against it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from house import add_job, add_jobs, in_transaction, rows_of, tenant, together
from sqlalchemy import event, insert, text, update
from sqlmodel import col

from jobs.db import Database, after, now
from jobs.ids import new_id
from jobs.models import Attempt, Limit, Pause, Tenant
from jobs.queries import limits, pauses, tenants
from jobs.queries.limits import Selectors

KEYS = {"kling": ("main", "second"), "suno": ("main",)}


def keys_of(provider: str) -> tuple[str, ...]:
    return KEYS.get(provider, ("main",))


def put(database: Database, kind: str, name: str, **values: Any) -> bool:
    with database.transaction() as session:
        return pauses.put(session, kind, name, **({"reason": "because", "actor": "ann"} | values))


def the_pause(database: Database, scope: str) -> Pause:
    with database.read() as session:
        found = pauses.get(session, scope)
    assert found is not None
    return found


# Pauses -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name", "operation", "scope"),
    [
        ("provider", "kling", None, "provider:kling"),
        ("operation", "kling.text_to_video", None, "operation:kling.text_to_video"),
        ("tenant", "ten_1", None, "tenant:ten_1"),
        ("key", "main", None, "key:main"),
        ("key", "main", "kling.text_to_video", "key:main operation:kling.text_to_video"),
    ],
)
def test_a_scope_says_what_is_paused(kind: str, name: str, operation: str | None, scope: str) -> None:
    assert pauses.scope_of(kind, name, operation) == scope


def test_the_first_person_to_pause_keeps_the_word(database: Database) -> None:
    assert put(database, "provider", "kling", reason="maintenance", actor="ann")
    assert not put(database, "provider", "kling", reason="too dear", actor="ben")
    kept = the_pause(database, "provider:kling")
    assert (kept.reason, kept.actor, kept.automatic) == ("maintenance", "ann", False)


def test_a_person_takes_over_what_was_paused_by_itself(database: Database) -> None:
    assert put(database, "key", "main", automatic=True, probe_at=after(60), actor="worker")
    assert put(database, "key", "main", reason="the invoice is open", actor="ann")
    kept = the_pause(database, "key:main")
    assert (kept.reason, kept.actor, kept.automatic, kept.probe_at) == ("the invoice is open", "ann", False, None)


def test_no_probe_starts_what_a_person_stopped(database: Database) -> None:
    put(database, "key", "main")
    assert not put(database, "key", "main", automatic=True, probe_at=now())
    assert the_pause(database, "key:main").probe_at is None
    with database.transaction() as session:
        assert pauses.lift(session, "key:main", only_automatic=True) is None
    assert the_pause(database, "key:main")


def test_an_automatic_pause_is_put_once_and_lifted_by_whoever_sees_that_all_is_well(database: Database) -> None:
    assert put(database, "key", "main", automatic=True, probe_at=after(60), reason="402")
    assert not put(database, "key", "main", automatic=True, probe_at=after(90), reason="402 again")
    assert the_pause(database, "key:main").reason == "402"
    with database.transaction() as session:
        lifted = pauses.lift(session, "key:main", only_automatic=True)
    assert lifted is not None and lifted.scope == "key:main"
    assert rows_of(database, Pause) == []


def test_many_who_pause_at_once_make_one_pause(database: Database) -> None:
    def one(number: int) -> Any:
        def work(session: Any) -> bool:
            return pauses.put(session, "provider", "kling", reason=str(number), actor="ann", automatic=number % 2 == 0)

        return in_transaction(database, work)

    made = together(*(one(number) for number in range(12)))
    (kept,) = rows_of(database, Pause)
    assert 1 <= sum(made) <= 2, "an automatic one may have come before the person's"
    assert not kept.automatic


def test_a_pause_is_lifted_once(database: Database) -> None:
    put(database, "tenant", "ten_1", reason="unpaid")
    with database.transaction() as session:
        lifted = pauses.lift(session, "tenant:ten_1")
        assert lifted is not None and lifted.reason == "unpaid"
        assert pauses.lift(session, "tenant:ten_1") is None


def test_pauses_are_listed_oldest_first(database: Database) -> None:
    for name in ("suno", "kling", "flux"):
        put(database, "provider", name)
    with database.read() as session:
        assert [one.name for one in pauses.listed(session)] == ["suno", "kling", "flux"]


def test_what_waits_is_due_and_not_handed_out(database: Database) -> None:
    who = tenant(database)
    add_jobs(database, who, 3)
    add_job(database, who, due_at=after(60))
    add_job(database, who, due_at=None)
    add_job(database, who, released_at=now())
    add_job(database, who, status="running", due_at=after(-1))
    with database.read() as session:
        assert pauses.lanes(session) == [(who, "kling", "kling.text_to_video", 3)]


def test_jobs_wait_for_the_pauses_that_they_fit(database: Database) -> None:
    one, two = tenant(database), tenant(database)
    add_jobs(database, one, 2)
    add_job(database, one, operation="kling.image_to_video")
    add_jobs(database, two, 4, operation="suno.music", modality="music", provider="suno")
    for kind, name in (
        ("provider", "kling"),
        ("operation", "kling.text_to_video"),
        ("tenant", two),
        ("key", "second"),
        ("key", "main"),
    ):
        put(database, kind, name)
    put(database, "key", "main", operation="suno.music")
    with database.read() as session:
        found, standing = pauses.lanes(session), pauses.listed(session)
    waiting = {pause.scope: pauses.waiting_for(pause.scope, found, standing, keys_of) for pause in standing}
    assert waiting == {
        "provider:kling": 3,
        "operation:kling.text_to_video": 2,
        f"tenant:{two}": 4,
        "key:second": 3,
        "key:main": 7,
        "key:main operation:suno.music": 4,
    }


def test_a_paused_key_keeps_nothing_back_where_another_is_left(database: Database) -> None:
    add_jobs(database, tenant(database), 2)
    put(database, "key", "main")
    put(database, "key", "second", operation="kling.image_to_video")
    with database.read() as session:
        found, standing = pauses.lanes(session), pauses.listed(session)
    assert [pauses.waiting_for(pause.scope, found, standing, keys_of) for pause in standing] == [0, 0]


def test_lifting_frees_what_no_other_pause_holds(database: Database) -> None:
    who = tenant(database)
    add_jobs(database, who, 2)
    add_job(database, who, operation="kling.image_to_video")
    put(database, "provider", "kling")
    put(database, "operation", "kling.text_to_video")
    with database.transaction() as session:
        found = pauses.lanes(session)
        lifted = pauses.lift(session, "provider:kling")
        assert lifted is not None
        assert pauses.freed_by(lifted, found, pauses.listed(session), keys_of) == 1


# Limits -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selectors", "scope"),
    [
        (Selectors(provider="kling", each_key=True), "provider=kling key=*"),
        (Selectors(operation="kling.text_to_video"), "operation=kling.text_to_video"),
        (Selectors(tenant_id="ten_1", provider="kling"), "tenant=ten_1 provider=kling"),
        (Selectors(key_name="main"), "key=main"),
        (Selectors(each_key=True), "key=*"),
        (Selectors(), "all"),
        (
            Selectors("ten_1", "kling", "kling.video_effects", "a-b_1"),
            "tenant=ten_1 provider=kling operation=kling.video_effects key=a-b_1",
        ),
    ],
)
def test_a_rules_scope_is_its_selectors_and_reads_back(selectors: Selectors, scope: str) -> None:
    assert selectors.scope == scope
    assert limits.selectors_of(scope) == selectors


def test_selectors_are_read_in_any_order() -> None:
    assert limits.selectors_of("  key=*   provider=kling ").scope == "provider=kling key=*"


@pytest.mark.parametrize(
    ("scope", "complaint"),
    [
        ("", "there is no selector"),
        ("kling", "kling is no selector"),
        ("vendor=kling", "vendor=kling is no selector"),
        ("provider=", "provider= is no selector"),
        ("provider=kling provider=suno", "provider= is given twice"),
        ("provider=kling all", "all is no selector"),
        ("provider=klïng", "is no selector"),
    ],
)
def test_a_scope_that_is_none_is_told_what_is_wrong(scope: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        limits.selectors_of(scope)


def test_a_rule_that_is_set_again_is_replaced_as_a_whole(database: Database) -> None:
    with database.transaction() as session:
        limits.put(session, provider="kling", each_key=True, concurrency=5, per_minute=60)
    with database.transaction() as session:
        again = limits.put(session, provider="kling", each_key=True, per_second=0.5)
    assert (again.scope, again.concurrency, again.per_minute, again.per_second) == ("provider=kling key=*", None, None, 0.5)
    assert len(rows_of(database, Limit)) == 1


def test_rules_are_listed_by_scope_and_taken_away_once(database: Database) -> None:
    with database.transaction() as session:
        limits.put(session, provider="suno", concurrency=1)
        limits.put(session, concurrency=100)
        assert [rule.scope for rule in limits.listed(session)] == ["all", "provider=suno"]
        assert limits.remove(session, "provider=suno")
        assert not limits.remove(session, "provider=suno")
        assert limits.get(session, "provider=suno") is None


def _attempt(tenant_id: str, job_id: str, **values: Any) -> dict[str, Any]:
    return {
        "id": new_id("att"),
        "job_id": job_id,
        "n": 1,
        "provider": "kling",
        "tenant_id": tenant_id,
        "operation": "kling.text_to_video",
        "client_ref": new_id("att"),
        **values,
    }


def _hold(database: Database, tenant_id: str, **values: Any) -> None:
    job_id = add_job(database, tenant_id, status="running", due_at=after(60))
    with database.transaction() as session:
        session.add(Attempt(**_attempt(tenant_id, job_id, **({"held": True} | values))))


def test_a_limit_is_used_by_held_attempts_and_by_jobs_with_a_place(database: Database) -> None:
    one, two = tenant(database), tenant(database)
    _hold(database, one, key_name="main", units=2)
    _hold(database, one, key_name="second")
    _hold(database, two, operation="kling.image_to_video")
    _hold(database, one, held=False, key_name="main", units=50)
    add_job(database, two, reserved=True, key_name="main", units=3)
    add_job(database, two, units=100)

    def used(**selectors: Any) -> dict[str, int]:
        with database.transaction() as session:
            return limits.used(limits.put(session, concurrency=1, **selectors), limits.under_way(session))

    assert used() == {"main": 5, "second": 1, "default": 1}
    assert used(provider="kling", each_key=True) == {"main": 5, "second": 1, "default": 1}
    assert used(provider="suno") == {}
    assert used(operation="kling.text_to_video") == {"main": 5, "second": 1}
    assert used(tenant_id=one) == {"main": 2, "second": 1}
    assert used(tenant_id=two, key_name="main") == {"main": 3}
    assert used(key_name="default") == {"default": 1}


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_counted_is_found_in_the_indexes_made_for_it(fresh_database_url: Callable[[str], str], kind: str) -> None:
    """Whatever has ended stays in the tables: a million jobs are not read to count a hundred."""
    database = Database(fresh_database_url(kind))
    who = tenant(database)
    states: list[tuple[int, dict[str, Any]]] = [
        (2000, {"status": "succeeded", "due_at": None, "finished_at": now()}),
        (20, {"status": "running", "due_at": after(60), "reserved": True}),
        (20, {"status": "queued"}),
    ]
    for count, values in states:
        ids = add_jobs(database, who, count, **values)
        held = values["status"] == "running"
        with database.transaction() as session:
            session.execute(insert(Attempt), [_attempt(who, job_id, held=held) for job_id in ids])
    asked: list[str] = []

    @event.listens_for(database.engine, "before_cursor_execute")
    def explain(connection: Any, cursor: Any, statement: str, values: Any, *_: Any) -> None:
        if statement.startswith("SELECT") and "GROUP BY" in statement:
            cursor.execute(f"EXPLAIN {'QUERY PLAN ' if kind == 'sqlite' else ''}{statement}", values)
            asked.append(" ".join(str(row) for row in cursor.fetchall()))

    with database.transaction() as session:
        if kind == "postgresql":  # as its autovacuum does
            session.execute(text("ANALYZE"))
        limits.under_way(session)
        pauses.lanes(session)
    database.dispose()
    under_way, lanes = asked
    assert "ix_attempt_held" in under_way and "ix_job_reserved" in under_way, under_way
    assert "ix_job_backlog" in lanes or "ix_job_due" in lanes, lanes


# Tenants ------------------------------------------------------------------------------------------------------------------


def test_a_tenant_is_found_by_its_id_before_a_namesake(database: Database) -> None:
    one, two = tenant(database), tenant(database)
    with database.transaction() as session:
        session.execute(update(Tenant).where(col(Tenant.id) == two).values(name=one))
        found = tenants.find(session, one)
        assert found is not None and found.id == one
        found = tenants.find(session, two)
        assert found is not None and found.id == two
        assert tenants.find(session, "nobody") is None


def test_a_change_leaves_what_it_does_not_name(database: Database) -> None:
    who = tenant(database)
    with database.transaction() as session:
        tenants.change(session, who, weight=3, cap_usd=Decimal("100.00"))
        changed = tenants.change(session, who, max_running=10, cap_day_usd=Decimal("0.000001"))
        assert changed is not None
        assert (changed.weight, changed.max_running, changed.cap_usd) == (3, 10, Decimal(100))
        assert changed.cap_day_usd == Decimal("0.000001")
        changed = tenants.change(session, who, cap_usd=None)
        assert changed is not None and changed.cap_usd is None
        assert tenants.change(session, "ten_nobody", weight=1) is None

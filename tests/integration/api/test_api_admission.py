"""A tenant's limits at submit: how often, how much may wait, what it may cost. Nothing is stored of what is not let in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from callers import SPEECH, VIDEO, Caller, Json, problem
from sqlalchemy import event, update
from sqlmodel import col

from jobs.db import after
from jobs.models import Bucket, Job
from jobs.queries import jobs, ledger, tenants

#: What SPEECH is quoted.
PRICE = Decimal("0.00024")


def limit(caller: Caller, **limits: Any) -> None:
    with caller.context.database.transaction() as session:
        assert tenants.change(session, caller.tenant_id, **limits)


def post(caller: Caller, document: Json | None = None, **headers: str) -> httpx2.Response:
    return caller.http.post("/v1/jobs", json=document or SPEECH, headers=headers)


def post_batch(caller: Caller, *documents: Json, query: str = "", **envelope: Any) -> httpx2.Response:
    return caller.http.post(f"/v1/batches{query}", json={"jobs": list(documents), **envelope})


def stored(caller: Caller) -> int:
    return len(caller.http.get("/v1/jobs?limit=200").json()["data"])


def race(count: int, work: Callable[[], int]) -> list[int]:
    """What each of so many gets that start at the same moment."""
    gate = threading.Barrier(count)

    def run(_: int) -> int:
        gate.wait(30)
        return work()

    with ThreadPoolExecutor(count) as pool:
        return sorted(pool.map(run, range(count)))


# How often ----------------------------------------------------------------------------------------------------------------


def test_a_tenant_may_submit_a_minutes_worth_at_once_and_then_as_they_come(caller: Caller) -> None:
    limit(caller, submits_per_minute=3)

    assert [post(caller).status_code for _ in range(3)] == [202, 202, 202]
    refused = post(caller)

    assert "3 times a minute" in problem(refused, 429, "too_many_submits")["detail"]
    assert 15 <= int(refused.headers["retry-after"]) <= 20, "one every twenty seconds"
    assert stored(caller) == 3
    # Twenty seconds pass.
    with caller.context.database.transaction() as session:
        session.execute(update(Bucket).where(col(Bucket.name) == f"submits:{caller.tenant_id}").values(at=after(-20)))
    assert [post(caller).status_code for _ in range(2)] == [202, 429]


def test_a_batch_counts_once_and_a_replay_or_a_dry_run_not_at_all(caller: Caller) -> None:
    limit(caller, submits_per_minute=3)
    assert post_batch(caller, *[SPEECH] * 10).status_code == 202
    assert [post(caller, **{"idempotency-key": "k"}).status_code for _ in range(5)] == [202] * 5
    assert caller.http.post("/v1/jobs?dry_run=true", json=SPEECH).status_code == 200
    assert post_batch(caller, SPEECH, query="?dry_run=true").status_code == 200
    assert post(caller, {"operation": "nothing", "input": {}}).status_code == 422

    assert post(caller).status_code == 202
    problem(post(caller), 429, "too_many_submits")
    problem(post_batch(caller, SPEECH), 429, "too_many_submits")
    assert post(caller, **{"idempotency-key": "k"}).headers["idempotent-replayed"] == "true"
    assert post_batch(caller, SPEECH, query="?dry_run=true").status_code == 200


def test_a_retry_is_a_submit_as_well(caller: Caller) -> None:
    job = caller.submit()["id"]
    caller.fail(job)
    limit(caller, submits_per_minute=1)

    assert caller.http.post(f"/v1/jobs/{job}/retry").status_code == 202
    problem(caller.http.post(f"/v1/jobs/{job}/retry"), 429, "too_many_submits")


def test_the_rate_holds_against_a_race(caller: Caller) -> None:
    limit(caller, submits_per_minute=10)
    assert race(30, lambda: post(caller).status_code) == [202] * 10 + [429] * 20
    assert stored(caller) == 10


# How much may wait --------------------------------------------------------------------------------------------------------


def test_no_more_may_wait_than_the_limit_says(caller: Caller) -> None:
    limit(caller, max_queued=4)
    assert post_batch(caller, *[SPEECH] * 3).status_code == 202
    found = problem(post_batch(caller, SPEECH, SPEECH), 429, "too_many_queued")
    assert found["detail"] == "at most 4 jobs may wait at once, and 3 do: submit 2 jobs more when fewer do"
    assert post(caller).status_code == 202
    problem(post(caller), 429, "too_many_queued")

    (job, *_) = caller.http.get("/v1/jobs").json()["data"]
    caller.send(job["id"])

    assert post(caller).status_code == 202
    assert stored(caller) == 5


def test_the_places_to_wait_hold_against_a_race(caller: Caller) -> None:
    limit(caller, max_queued=10)
    assert race(30, lambda: post(caller).status_code) == [202] * 10 + [429] * 20
    assert stored(caller) == 10


# What it may cost ---------------------------------------------------------------------------------------------------------


def test_a_cap_with_room_for_ten_takes_ten_of_fifty_that_race(caller: Caller) -> None:
    limit(caller, cap_usd=PRICE * 10)
    assert race(50, lambda: post(caller).status_code) == [202] * 10 + [402] * 40
    assert stored(caller) == 10


def test_batches_that_race_for_a_cap_are_taken_whole_or_not_at_all(caller: Caller) -> None:
    limit(caller, cap_usd=PRICE * 10)
    assert race(12, lambda: post_batch(caller, *[SPEECH] * 3).status_code) == [202] * 3 + [402] * 9
    assert stored(caller) == 9


def test_submits_with_keys_of_their_own_do_not_block_each_other(caller: Caller) -> None:
    """Each has written its key, and with it a lock on the tenant, before it asks for the tenant's limits."""
    limit(caller, cap_usd=PRICE * 10)
    numbers = iter(range(100))
    lock = threading.Lock()

    def submit() -> int:
        with lock:
            key = f"key-{next(numbers)}"
        return post(caller, **{"idempotency-key": key}).status_code

    assert race(30, submit) == [202] * 10 + [402] * 20


def test_what_is_beyond_the_cap_is_refused_with_all_amounts(caller: Caller) -> None:
    limit(caller, cap_usd=Decimal("0.001"))
    done, under_way, waits = (caller.submit()["id"] for _ in range(3))
    attempts = {job_id: caller.send(job_id) for job_id in (done, under_way)}
    with caller.context.database.transaction() as session:
        for job_id, attempt_id in attempts.items():
            ledger.reserve(session, session.get_one(Job, job_id), attempt_id, key_name=None, usd=PRICE, at=jobs.clock(session))
        ledger.settle(session, attempts[done], Decimal("0.0003"))
    caller.fail(done)

    (error,) = problem(post_batch(caller, SPEECH, SPEECH), 402, "budget_exhausted")["errors"]

    assert {name: error[name] for name in error if name.endswith("_usd")} == {
        "cap_usd": "0.001",
        "spent_usd": "0.0003",
        "set_aside_usd": "0.00048",
        "asked_usd": "0.00048",
    }
    assert "0.00048 USD" in error["msg"]
    assert caller.job(waits)["status"] == "queued"
    # What ends frees what was set aside for it.
    caller.http.post(f"/v1/jobs/{waits}/cancel")
    assert post_batch(caller, SPEECH).status_code == 202


@pytest.mark.parametrize("cap", ["cap_usd", "cap_day_usd"])
def test_a_price_that_nobody_knows_is_not_held_against_a_cap(caller: Caller, cap: str) -> None:
    assert post(caller, VIDEO).status_code == 202
    limit(caller, **{cap: Decimal(100)})

    assert "100.00 USD" in problem(post(caller, VIDEO), 422, "price_unknown")["detail"]
    found = problem(post_batch(caller, SPEECH, VIDEO, SPEECH, VIDEO), 422, "price_unknown")
    assert [error["line"] for error in found["errors"]] == [2, 4]
    assert found["detail"].startswith("line 2: what kling.text_to_video costs is not known")
    assert stored(caller) == 1


def test_the_cap_of_a_day_is_not_held_against_what_may_run_tomorrow(caller: Caller) -> None:
    limit(caller, cap_day_usd=PRICE)
    assert post_batch(caller, *[SPEECH] * 5).status_code == 202


@pytest.mark.parametrize("submit", [post, lambda caller: post_batch(caller, SPEECH, SPEECH)], ids=["job", "batch"])
def test_a_job_dearer_than_the_cap_of_a_day_could_never_start(caller: Caller, submit: Callable[[Caller], Any]) -> None:
    limit(caller, cap_day_usd=PRICE - Decimal("0.000001"))
    (error,) = problem(submit(caller), 402, "budget_exhausted")["errors"]
    assert (error["cap_day_usd"], error["asked_usd"]) == ("0.000239", "0.00024")
    assert "could never start" in error["msg"]
    assert stored(caller) == 0


# What it costs to ask -----------------------------------------------------------------------------------------------------


def test_a_tenant_without_limits_pays_one_look(caller: Caller) -> None:
    """The clock is asked for anyway: the limits come with it."""
    caller.submit()
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # What is asked to start the job comes after the answer.
        if not threading.current_thread().name.startswith("afterwards"):
            statements.append(statement)

    engine = caller.context.database.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        caller.submit()
    finally:
        event.remove(engine, "before_cursor_execute", note)

    asked = [statement for statement in statements if "tenant.cap_usd" in statement]
    assert len(asked) == 1
    assert not [statement for statement in statements if "FROM bucket" in statement or "ledger_entry" in statement]
    clocks = [
        statement for statement in statements if "FROM" not in statement and "SELECT" in statement and "timestamp" in statement
    ]
    assert clocks == []


def test_limits_of_one_tenant_are_not_anothers(caller: Caller, stranger: Caller) -> None:
    limit(caller, submits_per_minute=1, max_queued=1, cap_usd=PRICE)
    assert post(caller).status_code == 202
    assert post(caller).status_code == 429
    assert [post(stranger).status_code for _ in range(3)] == [202] * 3

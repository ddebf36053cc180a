"""`/metrics` about money and what is scarce: spend by day, accounts, pauses, limits; what is not known is no number."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import httpx2
import pytest
from callers import SPEECH, VIDEO, Caller, Serve, Served
from sqlalchemy import insert, update
from sqlmodel import col

from jobs.db import after
from jobs.models import Attempt, Balance, Job
from jobs.queries import jobs, ledger, limits, pauses


@pytest.fixture(params=["sqlite", "postgresql"])
def alone(request: pytest.FixtureRequest, serve: Serve, new_database: Callable[[str], str]) -> Caller:
    """A tenant of an installation where nothing else happens."""
    return serve(new_database(request.param)).tenant()


def metrics(served: Served) -> dict[str, str]:
    text = httpx2.get(f"{served.url}/metrics", trust_env=False).text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {name: value for name, _, value in (line.rpartition(" ") for line in lines)}


def call(caller: Caller, days_ago: int, cost: str | None = "", quoted: str | None = "0.50") -> None:
    """A call with the key `main`: of this cost, or open where it is empty."""
    job_id = caller.submit(SPEECH)["id"]
    attempt_id = caller.send(job_id)
    with caller.context.database.transaction() as session:
        at = jobs.clock(session) - timedelta(days=days_ago)
        usd = None if quoted is None else Decimal(quoted)
        ledger.reserve(session, session.get_one(Job, job_id), attempt_id, key_name="main", usd=usd, at=at)
        if cost != "":
            ledger.settle(session, attempt_id, None if cost is None else Decimal(cost))


def test_the_spend_of_today_and_yesterday_is_by_operation_and_key(alone: Caller) -> None:
    for days_ago, cost in ((0, "0.40"), (0, "0.000001"), (0, ""), (1, "3"), (2, "100")):
        call(alone, days_ago, cost)
    seen = metrics(alone.served)
    of = 'operation="openai.speech",key="main"'
    spend = {name: value for name, value in seen.items() if name.startswith("mediamill_spend_usd")}
    assert spend == {
        f'mediamill_spend_usd{{day="today",{of}}}': "0.400001",
        f'mediamill_spend_usd{{day="yesterday",{of}}}': "3.00",
    }
    assert seen[f'mediamill_open_usd{{day="today",{of}}}'] == "0.50"


def test_a_spend_that_nobody_knows_is_a_count_and_not_zero(alone: Caller) -> None:
    call(alone, 0, None, quoted=None)
    call(alone, 0, "", quoted=None)
    seen = metrics(alone.served)
    of = 'day="today",operation="openai.speech",key="main"'
    assert seen[f"mediamill_unknown_cost_calls{{{of}}}"] == "2"
    assert not any(name.startswith(("mediamill_spend_usd", "mediamill_open_usd")) for name in seen)


def test_accounts_are_shown_while_their_balance_is_fresh(alone: Caller) -> None:
    rows = [("main", Decimal("10.20"), None), ("films", None, "HTTP 401"), ("debt", Decimal(-1), None), ("old", Decimal(1), None)]
    with alone.context.database.transaction() as session:
        for name, usd, error in rows:
            session.execute(insert(Balance).values(key_name=name, usd=usd, error=error))
        session.execute(update(Balance).where(col(Balance.key_name) == "old").values(at=after(-7200)))
    seen = {name: value for name, value in metrics(alone.served).items() if name.startswith("mediamill_balance")}
    assert seen == {
        'mediamill_balance_usd{key="main"}': "10.20",
        'mediamill_balance_usd{key="debt"}': "-1.00",
        'mediamill_balance_known{key="main"}': "1",
        'mediamill_balance_known{key="films"}': "0",
        'mediamill_balance_known{key="debt"}': "1",
    }


def test_pauses_and_what_is_used_of_limits_are_shown(alone: Caller) -> None:
    job_id = alone.submit(VIDEO)["id"]
    attempt_id = alone.send(job_id)
    with alone.context.database.transaction() as session:
        values = {"held": True, "units": 4, "key_name": "main", "tenant_id": alone.tenant_id, "operation": "kling.text_to_video"}
        session.execute(update(Attempt).where(col(Attempt.id) == attempt_id).values(values))
        pauses.put(session, "key", "main", reason="low", actor="balance", automatic=True)
        pauses.put(session, "provider", "kling", reason="maintenance", actor="ada")
        limits.put(session, provider="kling", each_key=True, concurrency=5)
        limits.put(session, provider="suno", per_minute=3)
    seen = metrics(alone.served)
    assert seen['mediamill_paused{kind="key",name="main",operation="",automatic="true"}'] == "1"
    assert seen['mediamill_paused{kind="provider",name="kling",operation="",automatic="false"}'] == "1"
    assert seen['mediamill_units_under_way{provider="kling",key="main"}'] == "4"
    assert seen['mediamill_limit_units{scope="provider=kling key=*"}'] == "5"
    assert seen['mediamill_limit_used_units{scope="provider=kling key=*",key="main"}'] == "4"
    assert not any("suno" in name for name in seen)

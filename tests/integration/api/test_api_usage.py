"""`GET /v1/usage`: jobs and money in groups, each tenant its own and admins all, and nothing that is not known made up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from callers import SPEECH, VIDEO, Caller, Json, Served, next_number, problem

from jobs.models import Job
from jobs.queries import keys, ledger, usage

MONDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOTHING = {
    "calls": 0,
    "quoted_usd": "0.00",
    "unquoted_calls": 0,
    "settled_usd": "0.00",
    "refunded_usd": "0.00",
    "open_usd": "0.00",
    "open_calls": 0,
    "unknown_calls": 0,
    "cost_usd": None,
}


@pytest.fixture
def admin(served: Served) -> Iterator[Caller]:
    with served.context.database.transaction() as session:
        key, secret = keys.create(session, f"admins-{next_number()}", admin=True)
    caller = Caller(served, key.tenant_id, key.id, secret)
    yield caller
    caller.http.close()


def ask(caller: Caller, query: str = "") -> Json:
    answer = caller.http.get(f"/v1/usage{query}")
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def call(caller: Caller, document: Json, quoted: str | None, cost: str | None = "", key_name: str = "main") -> str:
    """A job with a paid call: settled at this cost, or open where the cost is empty; the job's id."""
    job_id: str = caller.submit(document)["id"]
    attempt_id = caller.send(job_id)
    with caller.context.database.transaction() as session:
        job = session.get_one(Job, job_id)
        usd = None if quoted is None else Decimal(quoted)
        ledger.reserve(session, job, attempt_id, key_name=key_name, usd=usd, at=MONDAY)
        if cost != "":
            ledger.settle(session, attempt_id, None if cost is None else Decimal(cost))
    return job_id


def test_jobs_are_counted_and_no_cost_is_made_up(caller: Caller) -> None:
    caller.submit(SPEECH)
    caller.fail(caller.submit(VIDEO)["id"])
    today = datetime.now(UTC).strftime("%Y-%m-%d")

    by_operation = ask(caller)

    assert by_operation["data"] == [
        {"operation": "kling.text_to_video", "jobs": 1, "by_status": {"failed": 1}, **NOTHING},
        {"operation": "openai.speech", "jobs": 1, "by_status": {"queued": 1}, **NOTHING},
    ]
    assert by_operation["total"] == {"jobs": 2, "by_status": {"failed": 1, "queued": 1}, **NOTHING}
    assert (by_operation["group_by"], by_operation["next_cursor"]) == ("operation", None)
    assert [(one["day"], one["jobs"]) for one in ask(caller, "?group_by=day")["data"]] == [(today, 2)]
    assert {one["status"]: one["jobs"] for one in ask(caller, "?group_by=status")["data"]} == {"failed": 1, "queued": 1}
    assert ask(caller, "?from=2020-01-01T00:00:00Z&to=2020-02-01T00:00:00Z")["data"] == []


def test_money_is_text_and_the_unknown_is_null_beside_a_count(caller: Caller) -> None:
    call(caller, SPEECH, "0.50", "0.40")
    call(caller, SPEECH, "0.25")
    call(caller, VIDEO, None, None)

    film, speech = ask(caller)["data"]

    assert speech["operation"] == "openai.speech"
    money = {name: speech[name] for name in ("quoted_usd", "settled_usd", "refunded_usd", "open_usd", "cost_usd")}
    assert money == {"quoted_usd": "0.75", "settled_usd": "0.40", "refunded_usd": "0.00", "open_usd": "0.25", "cost_usd": None}
    assert (speech["calls"], speech["open_calls"], speech["unknown_calls"]) == (2, 1, 0)
    assert (film["quoted_usd"], film["settled_usd"], film["cost_usd"], film["open_usd"]) == (None, None, None, "0.00")
    assert (film["unquoted_calls"], film["unknown_calls"]) == (1, 1)
    whole = ask(caller)["total"]
    assert (whole["quoted_usd"], whole["settled_usd"], whole["unknown_calls"]) == ("0.75", "0.40", 1)


def test_days_choose_what_was_called_on_them(caller: Caller) -> None:
    call(caller, SPEECH, "0.50", "0.40")

    def calls(query: str) -> int:
        found: int = ask(caller, query)["total"]["calls"]
        return found

    assert calls("?since=2026-11-23&until=2026-11-23") == 1
    assert calls("?since=2026-11-24") == 0
    assert calls("?until=2026-11-22") == 0
    assert calls("?from=2026-11-23T23:00:00Z") == 1
    assert calls("?from=2026-11-24T00:30:00%2B02:00&to=2026-11-23T23:00:00Z") == 1, "22:30 on Monday in UTC"
    shown = ask(caller, "?since=2026-11-23&until=2026-11-23")
    assert (shown["from"], shown["to"]) == ("2026-11-23T00:00:00.000000Z", "2026-11-24T00:00:00.000000Z")


def test_a_tenant_sees_its_own_and_an_admin_everybodys(caller: Caller, stranger: Caller, admin: Caller) -> None:
    call(caller, SPEECH, "0.50", "0.40")
    call(stranger, SPEECH, "7", "7")

    assert ask(caller)["total"]["settled_usd"] == "0.40"
    (own,) = ask(caller, "?group_by=tenant")["data"]
    assert own["tenant_id"] == caller.tenant_id
    everybody = {one["tenant_id"]: one for one in ask(admin, "?group_by=tenant")["data"]}
    assert everybody[caller.tenant_id]["settled_usd"] == "0.40"
    assert everybody[stranger.tenant_id]["settled_usd"] == "7.00"
    assert everybody[caller.tenant_id]["tenant"] == own["tenant"]
    for name in (caller.tenant_id, own["tenant"]):
        assert ask(admin, f"?tenant={name}")["total"]["settled_usd"] == "0.40"
    problem(admin.http.get("/v1/usage?tenant=nobody"), 422, "unknown_tenant")
    problem(caller.http.get(f"/v1/usage?tenant={stranger.tenant_id}"), 403, "admin_only")
    problem(caller.http.get(f"/v1/usage?tenant={caller.tenant_id}"), 403, "admin_only")


def test_several_things_are_told_apart_at_once(caller: Caller) -> None:
    call(caller, SPEECH, "1", "1", key_name="main")
    call(caller, SPEECH, "2", "2", key_name="films")
    call(caller, VIDEO, "3", "3", key_name="films")

    found = ask(caller, "?group_by=provider,%20key_name&since=2026-11-23&until=2026-11-23")

    assert found["group_by"] == "provider,key_name"
    assert [(one["provider"], one["key_name"], one["cost_usd"]) for one in found["data"] if one["calls"]] == [
        ("kling", "films", "3.00"),
        ("openai", "films", "2.00"),
        ("openai", "main", "1.00"),
    ]


def test_groups_come_in_pages_that_together_are_all_of_them(caller: Caller) -> None:
    for name in ("main", "films", "sounds"):
        call(caller, SPEECH, "1", "1", key_name=name)
    query = "?group_by=key_name,operation&since=2026-11-23&until=2026-11-23"
    whole = ask(caller, query)
    pages, cursor = [], ""
    while cursor is not None:
        page = ask(caller, f"{query}&limit=1{cursor and f'&cursor={cursor}'}")
        assert len(page["data"]) == 1
        assert page["total"] == whole["total"], "of all pages"
        pages += page["data"]
        cursor = page["next_cursor"]
    assert pages == whole["data"]
    assert {one["key_name"]: one["cost_usd"] for one in pages if one["calls"]} == {
        "films": "1.00",
        "main": "1.00",
        "sounds": "1.00",
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("group_by=moon", "not_one_of"),
        ("group_by=", "not_one_of"),
        ("group_by=day,day", "repeated_value"),
        ("group_by=day&group_by=operation", "repeated_parameter"),
        ("since=yesterday", "invalid"),
        ("since=2026-02-30", "invalid"),
        ("since=0001-01-01", "out_of_range"),
        ("until=9999-12-31", "out_of_range"),
        ("from=0001-01-01T00:00:00%2B14:00", "out_of_range"),
        ("from=2026-11-23T00:00:00", "invalid"),
        ("since=2026-11-24&until=2026-11-23", "out_of_range"),
        ("since=2026-11-24&from=2026-11-24T00:00:00Z", "twofold"),
        ("until=2026-11-24&to=2026-11-24T00:00:00Z", "twofold"),
        ("limit=0", "out_of_range"),
        ("limit=1001", "out_of_range"),
        ("cursor=bm9uZQ", "invalid_cursor"),
        ("cursor=%21", "invalid_cursor"),
        ("cursor=WzFd", "invalid_cursor"),
        ("cursor=WyJhIiwiYiJd", "invalid_cursor"),
        ("untl=2026-11-24", "unknown_parameter"),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(caller: Caller, query: str, code: str) -> None:
    refused = problem(caller.http.get(f"/v1/usage?{query}"), 422, code)
    assert re.match(r"query\b", refused["errors"][0]["loc"])


def test_more_groups_than_an_answer_holds_are_refused(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    caller.submit(SPEECH)
    caller.submit(VIDEO)
    monkeypatch.setattr(usage, "MOST_ROWS", 1)
    assert "fewer days" in problem(caller.http.get("/v1/usage"), 422, "too_many_groups")["detail"]

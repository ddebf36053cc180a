"""What admins may: pauses, limits, shares and caps; and that nobody else may."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from callers import SPEECH, VIDEO, Caller, Json, Serve, Served, next_number, problem
from sqlalchemy import delete, update
from sqlmodel import col

from api_stub.auth import Gate
from jobs.models import ApiKey, Job, Limit, Pause
from jobs.queries import jobs, keys, ledger
from workers.context import Context


@pytest.fixture
def admin(served: Served) -> Iterator[Caller]:
    """An admin. What was paused and limited is gone afterwards."""
    with served.context.database.transaction() as session:
        key, secret = keys.create(session, f"admins-{next_number()}", admin=True)
    caller = Caller(served, key.tenant_id, key.id, secret)
    yield caller
    caller.http.close()
    with served.context.database.transaction() as session:
        session.execute(delete(Pause))
        session.execute(delete(Limit))


def pause(admin: Caller, **values: Any) -> httpx2.Response:
    return admin.http.post("/v1/admin/pauses", json={"kind": "provider", "name": "kling", "reason": "maintenance"} | values)


def limit(admin: Caller, scope: str, **rates: Any) -> httpx2.Response:
    return admin.http.put(f"/v1/admin/limits/{quote(scope)}", json=rates)


def change(admin: Caller, tenant: str, **values: Any) -> httpx2.Response:
    return admin.http.patch(f"/v1/admin/tenants/{tenant}", json=values)


def data(admin: Caller, what: str) -> list[Json]:
    found: list[Json] = admin.http.get(f"/v1/admin/{what}").json()["data"]
    return found


# Who may ------------------------------------------------------------------------------------------------------------------


def test_every_route_for_admins_is_closed_to_all_others(caller: Caller, served: Served) -> None:
    asked = 0
    for path, methods in served_paths(served):
        for method in methods:
            url = re.sub(r"{\w+}", "x", path)
            problem(caller.http.request(method, url), 403, "admin_only")
            problem(httpx2.request(method, served.url + url, trust_env=False), 401, "missing_api_key")
            asked += 1
    assert asked == 10


def served_paths(served: Served) -> list[tuple[str, Json]]:
    paths = httpx2.get(f"{served.url}/openapi.json", trust_env=False).json()["paths"]
    return [(path, methods) for path, methods in paths.items() if path.startswith("/v1/admin/")]


def test_the_bootstrap_key_is_an_admins(served: Served) -> None:
    headers = {"authorization": f"Bearer {served.bootstrap_key}"}
    assert httpx2.get(f"{served.url}/v1/admin/tenants", headers=headers, trust_env=False).status_code == 200


def test_a_bootstrap_key_from_before_there_were_admins_becomes_one(serve: Serve, served: Served) -> None:
    database = served.context.database
    gate = Gate(database, served.context.settings.bootstrap_key)
    keys.ensure_bootstrap(database, served.bootstrap_key)
    with database.transaction() as session:
        session.execute(update(ApiKey).where(col(ApiKey.digest) == keys.digest(served.bootstrap_key)).values(admin=False))
    found = gate.caller_of(served.bootstrap_key)
    assert found is not None and found.admin
    assert gate.believed(served.bootstrap_key) == found


def test_a_key_that_is_believed_costs_no_look_into_the_database(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    with served.context.database.transaction() as session:
        _, secret = keys.create(session, f"tenant-{next_number()}", admin=True)
    gate = Gate(served.context.database, None)
    first = gate.caller_of(secret)
    monkeypatch.setattr(keys, "find", lambda *_: pytest.fail("asked again"))
    assert first is not None and gate.believed(secret) == first
    assert gate.believed("another") is None


# Pauses -------------------------------------------------------------------------------------------------------------------


def test_a_provider_is_paused_and_resumed(admin: Caller, caller: Caller, nudged: list[Context]) -> None:
    caller.submit(VIDEO)
    answer = pause(admin)
    assert answer.status_code == 201
    made = answer.json()
    assert made["scope"] == "provider:kling" and made["actor"] == f"api:{admin.key_id}" and made["reason"] == "maintenance"
    assert made["automatic"] is False and made["probe_at"] is None and made["jobs_waiting"] >= 1
    assert [one["scope"] for one in data(admin, "pauses")] == ["provider:kling"]

    assert admin.http.delete("/v1/admin/pauses/provider%3Akling").status_code == 204
    problem(admin.http.delete("/v1/admin/pauses/provider%3Akling"), 404, "not_found")
    assert data(admin, "pauses") == []


def test_what_is_paused_already_stays_as_it_was(admin: Caller) -> None:
    pause(admin)
    again = pause(admin, reason="another")
    assert (again.status_code, again.json()["reason"]) == (200, "maintenance")


def test_a_tenant_is_paused_by_name_and_shown_with_it(admin: Caller, caller: Caller, nudged: list[Context]) -> None:
    caller.submit(SPEECH)
    name = next(one["name"] for one in data(admin, "tenants") if one["id"] == caller.tenant_id)
    made = pause(admin, kind="tenant", name=name).json()
    assert (made["scope"], made["name"], made["tenant"]) == (f"tenant:{caller.tenant_id}", caller.tenant_id, name)
    assert made["jobs_waiting"] == 1
    assert admin.http.delete(f"/v1/admin/pauses/{quote(made['scope'])}").status_code == 204


def test_a_key_is_paused_for_one_operation(admin: Caller) -> None:
    made = pause(admin, kind="key", name="default", operation="kling.text_to_video").json()
    assert made["scope"] == "key:default operation:kling.text_to_video"
    assert admin.http.delete(f"/v1/admin/pauses/{quote(made['scope'])}").status_code == 204


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        ({"name": "klingg"}, "unknown_provider", "name: klingg is no provider; did you mean kling?"),
        ({"kind": "operation", "name": "kling.text_to_vide"}, "unknown_operation", "did you mean kling.text_to_video?"),
        ({"kind": "tenant", "name": "nobody-at-all"}, "unknown_tenant", "is no tenant"),
        ({"kind": "key", "name": "other"}, "unknown_key", "other is no upstream key; there are default"),
        ({"operation": "kling.text_to_video"}, "unknown_operation", "only a key is paused for one operation"),
        ({"kind": "key", "name": "default", "operation": "x"}, "unknown_operation", "operation: x is no operation"),
        ({"kind": "planet"}, "not_one_of", "kind"),
        ({"reason": ""}, "too_short", "reason"),
        ({"until": "six"}, "unknown_field", "until"),
    ],
    ids=str,
)
def test_a_wrong_pause_is_refused_with_the_right_name(admin: Caller, wrong: Json, code: str, said: str) -> None:
    assert said in problem(pause(admin, **wrong), 422, code)["detail"]
    assert data(admin, "pauses") == []


@pytest.mark.parametrize("scope", ["x", "provider:kling%00", "%0a", "x" * 1000])
def test_what_cannot_be_a_scope_is_not_found(admin: Caller, scope: str) -> None:
    problem(admin.http.delete(f"/v1/admin/pauses/{scope}"), 404, "not_found")
    problem(admin.http.delete(f"/v1/admin/limits/{scope}"), 404, "not_found")


# Limits -------------------------------------------------------------------------------------------------------------------


def test_a_limit_is_set_shown_replaced_and_taken_away(admin: Caller) -> None:
    # Jobs of other tenants are handed out beside this.
    made = limit(admin, f"key=* provider=kling tenant={admin.tenant_id}", concurrency=5, per_minute=60).json()
    assert made["scope"] == f"tenant={admin.tenant_id} provider=kling key=*" and made["each_key"] is True and made["key"] is None
    assert (made["concurrency"], made["per_second"], made["per_minute"], made["in_use"]) == (5, None, 60.0, 0)
    assert limit(admin, made["scope"], per_second=0.5).json()["concurrency"] is None
    (listed,) = data(admin, "limits")
    assert listed["per_second"] == 0.5
    address = f"/v1/admin/limits/{quote(made['scope'])}"
    assert admin.http.get(address).json() == listed
    assert admin.http.delete(address).status_code == 204
    problem(admin.http.delete(address), 404, "not_found")
    problem(admin.http.get(address), 404, "not_found")


def test_a_limit_may_be_for_everything_or_for_one_tenant(admin: Caller, caller: Caller) -> None:
    assert limit(admin, "all", concurrency=100).json()["scope"] == "all"
    made = limit(admin, f"tenant={caller.tenant_id} operation=openai.speech", per_minute=1).json()
    assert (made["tenant_id"], made["operation"]) == (caller.tenant_id, "openai.speech")


def test_a_limit_is_found_under_the_words_that_made_it(admin: Caller, caller: Caller) -> None:
    name = admin.http.get(f"/v1/admin/tenants/{caller.tenant_id}").json()["name"]
    made = limit(admin, f"tenant={name}", concurrency=3).json()
    address = f"/v1/admin/limits/{quote(f'tenant={name}')}"
    assert admin.http.get(address).json() == made
    assert admin.http.delete(address).status_code == 204
    assert admin.http.get(address).status_code == 404


@pytest.mark.parametrize(
    ("scope", "rates", "code", "said"),
    [
        ("provider=klingg", {"concurrency": 1}, "unknown_provider", "did you mean kling?"),
        ("operation=kling.text_to_vide", {"concurrency": 1}, "unknown_operation", "did you mean kling.text_to_video?"),
        (
            "provider=suno operation=kling.text_to_video",
            {"concurrency": 1},
            "unknown_operation",
            "is an operation of kling, not of suno",
        ),
        ("key=other", {"concurrency": 1}, "unknown_key", "there are default"),
        ("tenant=ten_nobody", {"concurrency": 1}, "unknown_tenant", "is no tenant"),
        ("vendor=kling", {"concurrency": 1}, "invalid_scope", "vendor=kling is no selector"),
        ("provider=kling", {}, "missing_field", "names none of concurrency, per_second and per_minute"),
        ("provider=kling", {"concurrency": 0}, "out_of_range", "concurrency"),
        ("provider=kling", {"per_second": 0}, "invalid", "per_second"),
        ("provider=kling", {"concurrency": "5"}, "wrong_type", "concurrency"),
        ("provider=kling", {"per_hour": 5}, "unknown_field", "per_hour"),
    ],
    ids=str,
)
def test_a_wrong_limit_is_refused(admin: Caller, scope: str, rates: Json, code: str, said: str) -> None:
    assert said in problem(limit(admin, scope, **rates), 422, code)["detail"]
    assert data(admin, "limits") == []


# Tenants ------------------------------------------------------------------------------------------------------------------


def test_a_tenants_share_and_caps_are_changed_one_by_one(admin: Caller, caller: Caller) -> None:
    changed = change(admin, caller.tenant_id, weight=3, max_running=10, cap_usd="100", cap_day_usd="0.0125").json()
    assert (changed["weight"], changed["max_running"], changed["submits_per_minute"]) == (3, 10, None)
    assert (changed["cap_usd"], changed["cap_day_usd"]) == ("100.00", "0.0125")
    changed = change(admin, changed["name"], cap_usd=None, max_queued=1000).json()
    assert (changed["cap_usd"], changed["cap_day_usd"], changed["max_queued"], changed["weight"]) == (None, "0.0125", 1000, 3)
    assert changed in data(admin, "tenants")
    assert change(admin, caller.tenant_id).json() == changed
    problem(change(admin, "ten_nobody", weight=1), 404, "not_found")


def test_a_tenant_is_shown_with_what_it_has_used_today(admin: Caller, caller: Caller) -> None:
    done, under_way, long_ago = (caller.submit()["id"] for _ in range(3))
    attempts = {job_id: caller.send(job_id) for job_id in (done, under_way, long_ago)}
    with admin.context.database.transaction() as session:
        today = jobs.clock(session)
        for job_id, days in ((done, 0), (under_way, 0), (long_ago, 1)):
            row, at = session.get_one(Job, job_id), today - timedelta(days=days)
            ledger.reserve(session, row, attempts[job_id], key_name=None, usd=Decimal("0.20"), at=at)
        ledger.settle(session, attempts[done], Decimal("0.135"))

    shown = admin.http.get(f"/v1/admin/tenants/{caller.tenant_id}").json()

    assert shown["used_today_usd"] == "0.335"
    assert shown in data(admin, "tenants")
    assert admin.http.get(f"/v1/admin/tenants/{shown['name']}").json() == shown
    problem(admin.http.get("/v1/admin/tenants/ten_nobody"), 404, "not_found")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"weight": 0}, "out_of_range"),
        ({"weight": None}, "wrong_type"),
        ({"max_running": 0}, "out_of_range"),
        ({"cap_usd": 0.1}, "invalid"),
        ({"cap_usd": "-1"}, "out_of_range"),
        ({"cap_day_usd": "0.0000001"}, "invalid"),
        ({"name": "other"}, "unknown_field"),
    ],
    ids=str,
)
def test_a_wrong_change_is_refused(admin: Caller, caller: Caller, values: Json, code: str) -> None:
    problem(change(admin, caller.tenant_id, **values), 422, code)

"""The look at the accounts: asked over real HTTP now and then by one of all, and a key stands still while its account is low."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import servers
import structlog
from house import together
from recorder import Answer, Recorder
from sqlalchemy import update

from jobs.db import after
from jobs.models import Balance, Pause
from jobs.queries import balances, pauses
from jobs.settings import Settings
from workers import balance, egress
from workers.context import Context, open_context

MAIN = "sk-main-0123456789"
QUOTA = "/user/quota"

Open = Callable[..., Context]


@pytest.fixture
def opened(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Opens the installation of this test, as one more process of it: `opened(gateway, low_balance_usd="5")`."""
    # On a machine with much else to do three seconds are not always enough for a connection.
    monkeypatch.setattr(egress, "POLL", egress.Timeouts(connect_s=30.0, read_s=30.0))
    with ExitStack() as stack:

        def open_at(gateway: Any, **settings: Any) -> Context:
            chosen: dict[str, Any] = {
                "data": tmp_path,
                "database_url": database_url,
                "storage_url": f"file://{tmp_path}/media",
                "link_secret": "a secret of these tests",
                "upstream_url": gateway.url,
                "balance_url": f"{gateway.url}{QUOTA}",
                "upstream_key": MAIN,
                "low_balance_usd": "5",
            }
            context = open_context(Settings(_env_file=None, **(chosen | settings)))  # type: ignore[call-arg]
            stack.callback(context.close)
            return context

        yield open_at


def holds(gateway: Recorder, usd: Any) -> None:
    gateway.serve({QUOTA: {"username": "acme", "total_quota": usd, "total_used_quota": 7.5, "keys": []}})


def look(context: Context) -> list[Any]:
    """Five minutes later; what was logged."""
    with context.database.transaction() as session:
        session.execute(update(Balance).values(at=after(-balance.EVERY_S - 1)))
    with structlog.testing.capture_logs() as logs:
        balance.look(context)
    return logs


def paused(context: Context) -> list[Pause]:
    with context.database.read() as session:
        return pauses.listed(session)


def kept(context: Context) -> dict[str, tuple[Decimal | None, str | None]]:
    with context.database.read() as session:
        return {one.key_name: (one.usd, one.error) for one in balances.listed(session)}


def test_a_low_account_pauses_its_key_until_it_is_filled(opened: Open, gateway: Recorder) -> None:
    context = opened(gateway)
    holds(gateway, 4.999999)
    (said,) = look(context)
    (pause,) = paused(context)
    assert (pause.scope, pause.automatic, pause.actor, pause.probe_at) == ("key:default", True, "balance", None)
    assert pause.reason == "its account holds 4.999999 USD, less than MEDIAMILL_LOW_BALANCE_USD (5.00)"
    assert (said["event"], said["log_level"], said["usd"]) == ("key_paused", "error", "4.999999")

    assert look(context) == [], "said once"
    holds(gateway, 5)
    (said,) = look(context)
    assert (paused(context), said["event"]) == ([], "key_resumed")
    assert kept(context) == {"default": (Decimal(5), None)}


def test_the_account_of_the_simulator_is_read_as_the_gateways_is(opened: Open, upstream: servers.Simulator) -> None:
    balance.look(opened(upstream, low_balance_usd="1000"))
    context = opened(upstream, low_balance_usd="0.01")
    ((usd, error),) = kept(context).values()
    assert (usd, error) == (50, None)
    assert [pause.scope for pause in paused(context)] == ["key:default"]
    look(context)
    assert paused(context) == []


def test_the_key_is_asked_with_in_the_query_and_stands_in_no_log(opened: Open, gateway: Recorder) -> None:
    context = opened(gateway, upstream_key="sk-with +&/odd")
    gateway.answer = lambda _: Answer({"error": {"message": "no such token sk-with +&/odd (request id: 1)"}}, 401)
    logs = look(context)
    (asked,) = gateway.requests
    assert (asked.method, asked.path, asked.query) == ("GET", QUOTA, {"key": ["sk-with +&/odd"]})
    assert "authorization" not in asked.headers
    assert "odd" not in str(logs) + str(kept(context))


def test_each_key_is_judged_by_its_own_account(opened: Open, gateway: Recorder) -> None:
    keys = {"main": {"key": "sk-a"}, "films": {"key": "sk-b", "providers": ["kling"]}, "sounds": {"key": "sk-c"}}
    context = opened(gateway, upstream_key=None, upstream_keys=keys)
    amounts = {"sk-a": 10.2, "sk-b": 0.5, "sk-c": -3}
    gateway.answer = lambda request: Answer({"total_quota": amounts[request.query["key"][0]]})
    look(context)
    assert [pause.scope for pause in paused(context)] == ["key:films", "key:sounds"]
    assert kept(context) == {"films": (Decimal("0.5"), None), "main": (Decimal("10.2"), None), "sounds": (Decimal(-3), None)}


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Answer({"error": {"message": "invalid token", "code": ""}}, 401), "HTTP 401: invalid token"),
        (Answer({"code": 429, "message": "slow down"}, 429), "HTTP 429: slow down"),
        (Answer(b"<html>Bad gateway</html>", 502), "HTTP 502"),
        (Answer(b"", 301, {"location": "https://elsewhere.example/"}), "HTTP 301"),
        (Answer(b"<html>hello</html>"), "the answer names no total_quota"),
        (Answer(b"[" * 100_000), "the answer names no total_quota"),
        (Answer({"error": {"message": "not today"}}), "the answer names no total_quota: not today"),
        (Answer({"total_quota": None}), "the answer names no total_quota"),
        (Answer({"total_quota": True}), "the answer names no total_quota"),
        (Answer(b'{"total_quota": NaN}'), "the answer names no total_quota"),
        (Answer(b'{"total_quota": -1e400}'), "the answer names no amount that can be meant"),
    ],
)
def test_an_answer_that_is_not_known_is_logged_and_changes_nothing(
    opened: Open, gateway: Recorder, answer: Answer, why: str
) -> None:
    context = opened(gateway)
    holds(gateway, 1)
    look(context)
    before = [pause.model_dump() for pause in paused(context)]

    gateway.answer = lambda _: answer
    (said,) = look(context)

    assert (said["event"], said["log_level"], said["key"], said["reason"]) == ("balance_unknown", "warning", "default", why)
    assert [pause.model_dump() for pause in paused(context)] == before
    assert kept(context) == {"default": (None, why)}


@pytest.mark.parametrize("usd", [-1, 999_999_999])
def test_an_account_without_a_limit_holds_enough_for_its_key(opened: Open, gateway: Recorder, usd: int) -> None:
    context = opened(gateway)
    holds(gateway, 1)
    look(context)
    assert len(paused(context)) == 1
    holds(gateway, usd)
    (said,) = look(context)
    assert (paused(context), said["event"], said["usd"]) == ([], "key_resumed", None)
    assert look(context) == [], "there is nothing to worry about"
    assert kept(context) == {"default": (None, "the account has no limit")}


def test_a_gateway_that_does_not_answer_changes_nothing(opened: Open, gateway: Recorder) -> None:
    context = opened(gateway, balance_url="http://127.0.0.1:9/user/quota")
    (said,) = look(context)
    assert said["reason"].startswith("no answer: ")
    assert paused(context) == []


def test_a_person_s_pause_is_not_lifted_and_one_for_another_reason_neither(opened: Open, gateway: Recorder) -> None:
    context = opened(gateway)
    with context.database.transaction() as session:
        pauses.put(
            session, "key", "default", reason="the gateway refused the key", actor="worker:1", automatic=True, probe_at=after(60)
        )
    holds(gateway, 1)
    look(context)
    holds(gateway, 100)
    look(context)
    assert [pause.reason for pause in paused(context)] == ["the gateway refused the key"]

    with context.database.transaction() as session:
        pauses.put(session, "key", "default", reason="leaked", actor="ada")
    look(context)
    assert [pause.reason for pause in paused(context)] == ["leaked"]


def test_without_a_threshold_the_balance_is_known_and_nothing_is_paused(opened: Open, gateway: Recorder) -> None:
    holds(gateway, 1)
    look(opened(gateway))
    context = opened(gateway, low_balance_usd=None)
    assert len(paused(context)) == 1
    look(context)
    assert (paused(context), kept(context)) == ([], {"default": (Decimal(1), None)})


def test_nothing_is_asked_without_an_address_or_a_key(opened: Open, gateway: Recorder) -> None:
    balance.look(opened(gateway, balance_url="none"))
    balance.look(opened(gateway, upstream_key=None))
    # The address of another gateway is not known, and CometAPI is not to see that one's key.
    balance.look(opened(gateway, balance_url=""))
    assert gateway.requests == []


def test_one_of_all_processes_asks_once_in_five_minutes(opened: Open, gateway: Recorder) -> None:
    holds(gateway, 10)
    processes = [opened(gateway) for _ in range(6)]
    together(*(lambda context=one: balance.look(context) for one in processes))  # type: ignore[misc]
    assert len(gateway.requests) == 1
    for context in processes:
        balance.look(context)
    assert len(gateway.requests) == 1
    with processes[0].database.transaction() as session:
        session.execute(update(Balance).values(at=after(-balance.EVERY_S + 20)))
    balance.look(processes[0])
    assert len(gateway.requests) == 1
    look(processes[0])
    assert len(gateway.requests) == 2


def test_a_new_key_is_asked_about_at_once(opened: Open, gateway: Recorder) -> None:
    holds(gateway, 10)
    balance.look(opened(gateway))
    balance.look(opened(gateway, upstream_keys={"films": {"key": "sk-b"}}))
    assert [request.query["key"] for request in gateway.requests] == [[MAIN], ["sk-b"]]

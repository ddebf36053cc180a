"""What a job's calls cost, step by step: quoted, set aside, spent or given back; and what else may be asked, and until when."""

from __future__ import annotations

import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import servers
from house import add_batch, claim, events_of, history_of, rows_of
from mill import Mill, open_mill
from sqlalchemy import text, update
from sqlmodel import col

from jobs import catalogue
from jobs.catalogue.spec import Operation
from jobs.db import after
from jobs.models import Attempt, Job, LedgerEntry
from jobs.queries import attempts, batches, keys, ledger, schedule
from jobs.states import JobState
from workers import cancel, follow, submit, upstream
from workers.context import Context

PRICES = """
[[price]]
operations = ["kling.text_to_video"]
usd = "0.28"
[[price]]
operations = ["suno.music"]
usd = "0.144"
[[price]]
operations = ["openai.chat", "openai.image_generation"]
usd = "0.002"
"""
VIDEO = {"prompt": "a paper boat", "aspect_ratio": "1:1"}
CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "a paper boat"}]}
GEMINI = {"model": "gemini-2.5-flash", "contents": [{"role": "user", "parts": [{"text": "a boat [[simulate:moderation]]"}]}]}
QUOTE = Decimal("0.28")


@pytest.fixture
def mill(tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator) -> Any:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, keys.new_webhook_secret(), prices=prices) as opened:
        yield opened


def accepted(mill: Mill, operation: str, given: dict[str, Any], **fields: Any) -> str:
    """A job with the quote that the API would give it."""
    job_id = mill.accept(operation, given, **fields)
    quote = mill.context.price(_operation(operation), given)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(quoted_usd=quote.usd, quote_kind="exact"))
    return job_id


def _operation(name: str) -> Operation:
    found = catalogue.find(name)
    assert found is not None
    return found


def simulated(given: dict[str, Any], fault: str) -> dict[str, Any]:
    return given | {"prompt": f"{given['prompt']} [[simulate:{fault}]]"}


def books(mill: Mill, job_id: str) -> list[tuple[str, Decimal | None]]:
    rows = sorted(rows_of(mill.database, LedgerEntry, col(LedgerEntry.job_id) == job_id), key=lambda row: (row.created_at, row.id))
    return [(row.kind, row.usd) for row in rows]


# What it cost -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "given", "usd"), [("kling.text_to_video", VIDEO, QUOTE), ("openai.chat", CHAT, Decimal("0.002"))]
)
def test_what_succeeds_is_spent_once(mill: Mill, operation: str, given: dict[str, Any], usd: Decimal) -> None:
    job_id = accepted(mill, operation, given)
    job = mill.run(job_id)
    assert (job.status, job.actual_usd) == ("succeeded", usd)
    assert books(mill, job_id) == [("quote", usd), ("reserve", usd), ("settle", usd)]


@pytest.mark.parametrize(
    ("fault", "kind", "usd"),
    [
        ("failed", "refund", Decimal(0)),
        ("invalid", "refund", Decimal(0)),
        ("no_outputs", "settle", QUOTE),
        ("dead_link", "settle", QUOTE),
    ],
)
def test_what_comes_to_nothing_is_given_back_unless_the_provider_calls_it_done(
    mill: Mill, fault: str, kind: str, usd: Decimal
) -> None:
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, fault))
    assert mill.run(job_id).status == "failed"
    followed(mill, job_id)
    assert books(mill, job_id)[2:] == [(kind, usd)]
    assert mill.job(job_id).actual_usd == usd


def test_each_refused_call_is_given_back_and_the_one_that_was_taken_is_paid(mill: Mill) -> None:
    mill.upstream.control(faults=[{"fault": "unavailable", "times": 2, "match": {"operation": "suno.music"}}])
    job_id = accepted(mill, "suno.music", {"tags": "a slow waltz"})
    assert mill.run(job_id).actual_usd == Decimal("0.144")
    kinds = [kind for kind, _ in books(mill, job_id)]
    assert kinds == ["quote", "reserve", "refund"] * 2 + ["quote", "reserve", "settle"]


def test_a_lost_answer_stays_open_in_the_books_until_its_task_is_found(mill: Mill) -> None:
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, "reset_after_accept"))
    assert mill.submit(job_id).status == "unknown"
    assert [kind for kind, _ in books(mill, job_id)] == ["quote", "reserve"]
    assert mill.run(job_id).status == "succeeded"
    assert mill.job(job_id).actual_usd == QUOTE


@pytest.mark.parametrize(
    ("operation", "given", "booked"),
    [
        ("gemini.generate_content", GEMINI, ["quote", "reserve", "settle"]),
        # A good status and an error in words that nobody knows: it is said nowhere whether that costs anything.
        ("kling.text_to_video", simulated(VIDEO, "error_in_200"), ["quote", "reserve"]),
    ],
)
def test_a_refusal_that_may_have_been_charged_is_not_paid_for_again_when_its_worker_dies(
    mill: Mill, operation: str, given: dict[str, Any], booked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = accepted(mill, operation, given)
    with monkeypatch.context() as patched:
        patched.setattr("workers.finish.fail", lambda *_: None)  # as if it had died before that
        assert mill.submit(job_id).status == "submitting"
    assert [kind for kind, _ in books(mill, job_id)] == booked
    mill.time_passes(job_id)
    mill.tick()
    job = mill.run(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "upstream_failed", True)
    assert mill.attempts(job_id)[0].note in job.error["message"]
    assert mill.calls == 1


def test_a_price_that_nobody_knows_is_unknown_and_not_zero(mill: Mill) -> None:
    job_id = mill.accept("replicate.prediction", {"model": "a/flux-pro", "input": {"prompt": "x", "width": 64, "height": 64}})
    job = mill.run(job_id)
    assert (job.status, job.quoted_usd, job.actual_usd) == ("succeeded", None, None)
    assert books(mill, job_id) == [("quote", None), ("reserve", None), ("settle", None)]


def test_a_job_that_never_called_cost_nothing(mill: Mill) -> None:
    job_id = accepted(mill, "kling.text_to_video", VIDEO, start_by="2026-01-01T00:00:00Z")
    mill.tick()
    job = mill.job(job_id)
    assert (job.status, job.actual_usd) == ("expired", Decimal(0))
    assert job.error is not None
    assert (job.error["code"], job.error["may_have_been_charged"]) == ("not_started_in_time", False)


@pytest.mark.parametrize("times", [{"start_by": "2026-01-01T00:00:00Z"}, {"deadline_s": 0.001}])
def test_a_job_whose_time_is_over_is_not_begun_even_if_its_turn_comes_before_the_tick(mill: Mill, times: dict[str, Any]) -> None:
    job_id = accepted(mill, "kling.text_to_video", VIDEO, **times)
    servers.eventually(lambda: mill.job(job_id).expire_at <= mill.clock(), what="its end")  # type: ignore[operator]
    assert mill.submit(job_id).status == "queued"
    mill.tick()
    assert (mill.job(job_id).status, mill.calls) == ("expired", 0)
    assert [name for _, name, _, _ in history_of(mill.database, job_id)] == ["expire"]


def test_a_job_whose_time_ends_while_its_inputs_are_fetched_is_not_paid_for(mill: Mill, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id = accepted(mill, "kling.text_to_video", VIDEO, deadline_s=3600)

    def slowly(context: Context, job: Job, op: Operation, asked: dict[str, Any]) -> dict[str, Any]:
        with mill.database.transaction() as session:
            session.execute(update(Job).values(deadline_at=after(-1), expire_at=after(-1)))
        job.expire_at = mill.job(job.id).expire_at
        return asked

    monkeypatch.setattr(submit, "with_media", slowly)
    assert mill.submit(job_id).status == "queued"
    mill.tick()
    job = mill.job(job_id)
    assert (job.status, job.actual_usd, mill.calls) == ("expired", Decimal(0), 0)
    assert job.error is not None
    assert (job.error["code"], job.error["may_have_been_charged"]) == ("deadline_exceeded", False)


# After its job has ended --------------------------------------------------------------------------------------------------


def followed(mill: Mill, job_id: str, *, look: int = 1) -> None:
    for _ in range(look):
        follow.follow(mill.context, [attempt.id for attempt in mill.attempts(job_id) if attempt.due_at is not None])


def canceled_while_it_ran(mill: Mill, given: dict[str, Any]) -> str:
    job_id = accepted(mill, "kling.text_to_video", given)
    assert mill.submit(job_id).status == "running"
    with mill.database.transaction() as session:
        assert mill.context.life.move(session, job_id, "cancel", actor="user")
    assert mill.job(job_id).actual_usd is None
    (attempt,) = mill.attempts(job_id)
    assert attempt.held, "the provider is at work for it all the same"
    assert attempt.due_at is not None
    return job_id


@pytest.mark.parametrize(("given", "usd"), [(VIDEO, QUOTE), (simulated(VIDEO, "failed"), Decimal(0))])
def test_a_canceled_jobs_task_is_followed_to_its_end_and_then_its_cost_is_known(
    mill: Mill, given: dict[str, Any], usd: Decimal
) -> None:
    job_id = canceled_while_it_ran(mill, given)
    mill.upstream.wait_finished()

    followed(mill, job_id)

    (attempt,) = mill.attempts(job_id)
    assert (attempt.held, attempt.due_at) == (False, None)
    assert mill.job(job_id).actual_usd == usd
    assert mill.job(job_id).status == "canceled"


def test_news_of_a_call_are_not_overwritten_by_who_looked_before_them(mill: Mill) -> None:
    job_id = canceled_while_it_ran(mill, VIDEO)

    def looked_at_the_end(seen: Attempt) -> bool:
        with mill.database.transaction() as session:
            attempts.look_at_the_end(session, seen)
        (found,) = mill.attempts(job_id)
        return found.due_at == found.follow_until

    (seen,) = mill.attempts(job_id)
    with mill.database.transaction() as session:
        attempts.look_again(session, seen.id, 60)
    assert not looked_at_the_end(seen)
    (seen,) = mill.attempts(job_id)
    assert looked_at_the_end(seen)


def meanwhile(mill: Mill, monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """This happens while the next call is on the wire."""
    real = upstream.submit

    def call(*said: Any) -> Any:
        happens()
        return real(*said)

    monkeypatch.setattr(upstream, "submit", call)


@pytest.mark.parametrize(
    ("operation", "given", "usd"),
    [
        ("kling.text_to_video", VIDEO, QUOTE),
        ("kling.text_to_video", simulated(VIDEO, "reset_after_accept"), QUOTE),
        ("kling.text_to_video", simulated(VIDEO, "invalid"), Decimal(0)),
        ("openai.chat", CHAT, Decimal("0.002")),
    ],
)
def test_a_call_whose_job_is_canceled_meanwhile_is_followed_once_its_answer_is_there(
    mill: Mill, operation: str, given: dict[str, Any], usd: Decimal, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = accepted(mill, operation, given)

    def cancel() -> None:
        with mill.database.transaction() as session:
            assert mill.context.life.move(session, job_id, "cancel", actor="user")
        followed(mill, job_id)  # the tick looks at once, when there is nothing to be seen

    meanwhile(mill, monkeypatch, cancel)
    assert mill.submit(job_id).status == "canceled"
    (attempt,) = mill.attempts(job_id)
    assert attempt.due_at is not None and attempt.due_at <= mill.clock()
    if attempt.state in ("accepted", "unknown"):
        mill.upstream.wait_finished()
    followed(mill, job_id, look=2)
    (attempt,) = mill.attempts(job_id)
    assert (attempt.held, attempt.due_at) == (False, None)
    assert mill.job(job_id).actual_usd == usd


@pytest.mark.parametrize("ending", ["invalid", "unavailable"])
def test_what_is_left_of_a_canceled_batch_is_not_called_again(mill: Mill, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by a fallback nor by another try, although its turn may come before the tick."""
    batch_id, _ = add_batch(mill.database, mill.tenant_id, 1)
    job_id = with_fallback(mill, ending)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(batch_id=batch_id, line=2))

    def cancel() -> None:
        with mill.database.transaction() as session:
            assert batches.mark_canceled(session, mill.tenant_id, batch_id)

    meanwhile(mill, monkeypatch, cancel)
    assert mill.submit(job_id).status == "queued"
    assert mill.submit(job_id).status == "queued"
    assert mill.calls == 1
    mill.tick()
    assert mill.job(job_id).status == "canceled"


def test_a_job_that_is_canceled_while_its_call_is_written_down_does_not_say_that_it_cost_nothing(
    mill_at: Callable[..., Mill], upstream: servers.Simulator
) -> None:
    mill = mill_at(upstream, "postgresql")
    batch_id, _ = add_batch(mill.database, mill.tenant_id, 1)
    job_id = accepted(mill, "kling.text_to_video", VIDEO)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == job_id).values(batch_id=batch_id, line=2))
    assert claim(mill.database, job_id, 0)
    job = mill.job(job_id)

    def cancel_all() -> None:
        while cancel.cancel_some(mill.context, batch_id, actor="user", reason="a test", running=True):
            pass

    def waits_for_a_lock() -> bool:
        locks = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()")
        with mill.database.read() as session:
            return bool(session.execute(locks).scalar_one())

    with mill.database.transaction() as session:
        assert schedule.touch(session, job_id, job.fence, attempt_id="att_1", attempts=1, reserved=False)
        canceler = threading.Thread(target=cancel_all)
        canceler.start()
        servers.eventually(waits_for_a_lock, what="the cancel that meets the call")
        attempts.begin(session, "att_1", job, "ref", VIDEO)
        ledger.reserve(session, job, "att_1", key_name=None, usd=QUOTE, at=mill.clock())
    canceler.join(20)
    assert (mill.job(job_id).status, mill.job(job_id).actual_usd) == ("canceled", None)


def test_a_task_that_never_ends_holds_its_place_for_a_time_and_stays_open_in_the_books(mill: Mill) -> None:
    job_id = canceled_while_it_ran(mill, simulated(VIDEO, "never_finishes"))
    followed(mill, job_id)
    (attempt,) = mill.attempts(job_id)
    assert attempt.held
    assert attempt.due_at > mill.clock()
    with mill.database.transaction() as session:
        session.execute(update(Attempt).values(follow_until=after(-1), due_at=after(-1)))
    followed(mill, job_id)
    (attempt,) = mill.attempts(job_id)
    assert (attempt.held, attempt.due_at) == (False, None)
    assert [kind for kind, _ in books(mill, job_id)] == ["quote", "reserve"]
    assert mill.job(job_id).actual_usd is None


def test_a_lost_call_of_a_job_that_was_given_up_is_found_and_settled(mill: Mill) -> None:
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, "reset_after_accept"))
    assert mill.submit(job_id).status == "unknown"
    with mill.database.transaction() as session:
        assert mill.context.life.move(session, job_id, "cancel", actor="user")
    mill.upstream.wait_finished()
    followed(mill, job_id, look=2)
    assert mill.job(job_id).actual_usd == QUOTE


# Times --------------------------------------------------------------------------------------------------------------------


def test_what_was_paid_for_is_waited_for_beyond_the_deadline_and_then_given_up_with_what_is_known(mill: Mill) -> None:
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, "never_finishes"), deadline_s=60)
    job = mill.submit(job_id)
    assert job.deadline_at is not None
    assert job.expire_at is not None
    assert (job.expire_at - job.deadline_at).total_seconds() == _operation("kling.text_to_video").grace_s > 0
    with mill.database.transaction() as session:
        session.execute(update(Job).values(deadline_at=after(-1)))
    mill.tick()
    assert mill.job(job_id).status == "running", "within its grace"
    with mill.database.transaction() as session:
        session.execute(update(Job).values(expire_at=after(-1)))
    mill.tick()
    job = mill.job(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("expired", "deadline_exceeded", True)
    assert mill.attempts(job_id)[0].upstream_id in job.error["message"]


@pytest.mark.parametrize(
    ("fault", "status", "charged"), [("unavailable", "queued", False), ("reset_after_accept", "unknown", True)]
)
def test_a_job_that_is_too_late_to_be_tried_again_says_whether_the_first_try_may_be_on_the_bill(
    mill: Mill, fault: str, status: str, charged: bool
) -> None:
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, fault), deadline_s=60)
    assert mill.submit(job_id).status == status
    with mill.database.transaction() as session:
        if status == "unknown":
            assert mill.context.life.move(session, job_id, "resubmit", actor="user", due_at=after(0))
        session.execute(update(Job).values(deadline_at=after(-1), expire_at=after(-1)))
    mill.tick()
    job = mill.job(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("expired", "deadline_exceeded", charged)
    assert ("cost nothing" in job.error["message"]) is not charged


def test_what_earlier_calls_may_have_cost_counts_towards_the_jobs_maximum(mill: Mill) -> None:
    mill.upstream.control(faults=[{"fault": "server_error", "times": 1}])
    job_id = accepted(mill, "kling.text_to_video", VIDEO, on_unknown="retry")
    with mill.database.transaction() as session:
        session.execute(update(Job).values(max_cost_usd=2 * QUOTE - Decimal("0.01")))
    mill.submit(job_id)
    job = mill.run(job_id)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "budget_exceeded", True)
    assert "0.28 USD may be owed for earlier calls" in job.error["message"]
    assert mill.calls == 1


# Fallbacks ----------------------------------------------------------------------------------------------------------------


def with_fallback(mill: Mill, fault: str, *, second: str = "kling.text_to_video", **fields: Any) -> str:
    given = {"prompt": f"a paper boat [[simulate:{fault}]]"}
    return accepted(mill, "kling.text_to_video", given, fallbacks=[{"operation": second, "input": VIDEO}], **fields)


def test_what_was_refused_at_no_cost_is_asked_elsewhere(mill: Mill) -> None:
    job_id = with_fallback(mill, "invalid")
    job = mill.run(job_id)
    assert (job.status, job.fallback, job.actual_usd) == ("succeeded", 1, QUOTE)
    assert job.asked is not None
    assert "invalid" in job.asked["input"]["prompt"]
    assert job.input == VIDEO
    assert [name for _, name, _, _ in history_of(mill.database, job_id)][:3] == ["claim", "fallback", "claim"]
    assert events_of(mill.database, job_id) == ["job.running", "job.succeeded"]
    assert [kind for kind, _ in books(mill, job_id)] == ["quote", "reserve", "refund", "quote", "reserve", "settle"]


@pytest.mark.parametrize("fault", ["failed", "no_outputs"])
def test_what_may_have_been_charged_is_not_asked_again_elsewhere(mill: Mill, fault: str) -> None:
    job = mill.run(with_fallback(mill, fault))
    assert (job.status, job.fallback) == ("failed", 0)
    assert mill.calls == 1


def test_a_job_whose_earlier_call_may_have_been_charged_says_so_and_is_not_asked_elsewhere(mill: Mill) -> None:
    mill.upstream.control(faults=[{"fault": "server_error", "times": 1}])
    fallbacks = [{"operation": "kling.text_to_video", "input": VIDEO | {"prompt": "another boat"}}]
    job_id = accepted(mill, "kling.text_to_video", VIDEO, fallbacks=fallbacks, on_unknown="retry")
    assert mill.submit(job_id).status == "unknown"
    while mill.job(job_id).status == "unknown":
        mill.look_up(job_id)
    mill.upstream.control(faults=[{"fault": "invalid"}])
    job = mill.run(job_id)
    assert (job.status, job.fallback) == ("failed", 0)
    assert job.error is not None
    assert (job.error["code"], job.error["may_have_been_charged"]) == ("invalid_input", True)
    assert job.actual_usd is None
    assert mill.calls == 2


@pytest.mark.parametrize("state", ["running", "collecting"])
def test_a_task_whose_operation_is_offered_no_more_may_have_been_charged_and_is_not_asked_elsewhere(
    mill: Mill, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fallbacks = [{"operation": "veo.video", "input": _operation("veo.video").example}]
    job_id = accepted(mill, "kling.text_to_video", VIDEO, fallbacks=fallbacks)
    mill.submit(job_id)
    if state == "collecting":
        mill.poll_until(job_id, JobState.COLLECTING)
    real = catalogue.find
    monkeypatch.setattr(catalogue, "find", lambda name: None if name == "kling.text_to_video" else real(name))
    job = mill.run(job_id)
    assert (job.status, job.fallback) == ("failed", 0)
    assert job.error is not None
    assert (job.error["code"], job.error["may_have_been_charged"]) == ("operation_removed", True)
    assert mill.calls == 1


def test_the_last_fallbacks_error_is_the_jobs(mill: Mill) -> None:
    refused = {"prompt": "a paper boat [[simulate:moderation_at_submit]] [[simulate:invalid]]"}
    fallbacks = [{"operation": "kling.text_to_video", "input": refused}] * 2
    job_id = accepted(mill, "kling.text_to_video", simulated(VIDEO, "invalid"), fallbacks=fallbacks)
    job = mill.run(job_id)
    assert (job.status, job.fallback, job.error and job.error["code"]) == ("failed", 2, "invalid_input")
    assert job.actual_usd == 0


def test_a_fallback_dearer_than_the_job_may_be_is_not_asked(mill: Mill) -> None:
    given = {"prompt": "x [[simulate:invalid]]"}
    fallbacks = [{"operation": "veo.video", "input": _operation("veo.video").example}]
    job_id = accepted(mill, "kling.text_to_video", given, fallbacks=fallbacks)
    with mill.database.transaction() as session:
        session.execute(update(Job).values(max_cost_usd=Decimal("0.30")))
    job = mill.run(job_id)
    assert (job.status, job.fallback, job.error and job.error["code"]) == ("failed", 1, "budget_exceeded")
    assert mill.calls == 1


# Keys ---------------------------------------------------------------------------------------------------------------------


def test_a_task_is_asked_after_with_the_key_that_started_it(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator
) -> None:
    named = {"main": {"key": "sk-main"}, "spare": {"key": "sk-spare"}}
    url, secret = fresh_database_url("sqlite"), keys.new_webhook_secret()
    with open_mill(tmp_path / "two", url, upstream, secret, upstream_keys=named) as mill:
        upstream.control(keys={"sk-spare": {"mood": "refused"}, "sk-test": {"mood": "refused"}})
        job_id = mill.accept("kling.text_to_video", VIDEO)
        mill.hand_over(job_id)
        with mill.database.transaction() as session:
            session.execute(update(Job).values(key_name="main"))
        assert mill.run(job_id).status == "succeeded"
        assert [attempt.key_name for attempt in mill.attempts(job_id)] == ["main"]

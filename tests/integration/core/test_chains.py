"""Jobs that wait for other jobs: when they start, when they never will, and what they start with. On both databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import servers
from house import add_batch, add_job, add_jobs, events_of, history_of, move, rows_of, the_job, together
from mill import Mill, open_mill
from sqlalchemy import update
from sqlmodel import col

from jobs import submission, view
from jobs.db import after, now
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Batch, Dependency, Job
from jobs.queries import batches, chains
from jobs.view import Links
from workers import cancel, dispatch, finish

BROKEN = JobError(code="upstream_failed", message="the boat sank").as_json()


@pytest.fixture
def mill(tmp_path: Path, database_url: str, upstream: servers.Simulator, receiver: servers.Receiver) -> Iterator[Mill]:
    with open_mill(tmp_path / "mill", database_url, upstream, receiver.secret) as opened:
        yield opened


@pytest.fixture
def sqlite_mill(
    tmp_path: Path, fresh_database_url: Callable[[str], str], upstream: servers.Simulator, receiver: servers.Receiver
) -> Iterator[Mill]:
    """For what the database has no part in."""
    with open_mill(tmp_path / "mill", fresh_database_url("sqlite"), upstream, receiver.secret) as opened:
        yield opened


def chat(*said: Any, **more: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": one} for one in said], **more}


def text_of(job_id: str) -> dict[str, str]:
    return {"job": job_id, "get": "output.text"}


def waiting_for(mill: Mill, *needs: str, **fields: Any) -> str:
    return mill.accept("openai.chat", chat(*map(text_of, needs)), **fields)


def ends(mill: Mill, job_id: str, name: str = "finish", **changes: Any) -> Moved:
    """The commit that ends a job, and nothing after it."""
    with mill.database.transaction() as session:
        source = "collecting" if name == "finish" else "queued"
        session.execute(update(Job).where(col(Job.id) == job_id).values(status=source))
    moved = move(mill.database, job_id, name, **changes)
    assert moved is not None
    return moved


def end(mill: Mill, job_id: str, name: str = "finish", **changes: Any) -> None:
    finish.told(mill.context, ends(mill, job_id, name, **changes))


def waits(mill: Mill, job_id: str) -> bool:
    job = the_job(mill.database, job_id)
    return job.status == "queued" and job.due_at is None


def starts(mill: Mill, job_id: str) -> bool:
    """It was released to its queue, or may be."""
    job = the_job(mill.database, job_id)
    return job.status == "queued" and job.due_at is not None


def rows(mill: Mill) -> list[tuple[str, str]]:
    return sorted((row.job_id, row.needs_id) for row in rows_of(mill.database, Dependency))


# Starting -----------------------------------------------------------------------------------------------------------------


def test_a_job_that_points_at_another_waits_for_it_and_starts_with_its_value(mill: Mill) -> None:
    first = mill.accept("openai.chat", chat("Name a boat."))
    second = waiting_for(mill, first)
    assert waits(mill, second)
    assert rows(mill) == [(second, first)]
    assert len(dispatch.release(mill.context).tickets) == 1, "only the first is anything to do"

    done = mill.run(first)

    assert done.status == "succeeded"
    assert starts(mill, second)
    assert rows(mill) == []
    given = the_job(mill.database, second).input
    assert mill.run(second).status == "succeeded"
    (attempt,) = mill.attempts(second)
    assert attempt.given == chat(done.output["text"])
    assert the_job(mill.database, second).input == given == chat(text_of(first)), "the request stays as it was sent"
    assert mill.attempts(first)[0].given is None
    assert mill.calls == 2


def test_a_job_whose_needs_have_all_succeeded_does_not_wait(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    end(mill, first)
    assert starts(mill, waiting_for(mill, first, first))
    assert rows(mill) == []


def test_a_job_waits_for_all_it_needs_in_whatever_order_they_end(mill: Mill) -> None:
    needs = add_jobs(mill.database, mill.tenant_id, 3)
    end(mill, needs[1])
    last = waiting_for(mill, *needs)
    assert [needed for _, needed in rows(mill)] == [needs[0], needs[2]]
    end(mill, needs[2])
    assert waits(mill, last)
    assert rows(mill) == [(last, needs[0])]
    end(mill, needs[0])
    assert starts(mill, last)


def test_two_jobs_that_end_at_the_same_moment_start_the_one_that_needs_both(mill: Mill) -> None:
    for _ in range(15):
        pair = add_jobs(mill.database, mill.tenant_id, 2)
        child = waiting_for(mill, *pair)
        together(*(lambda job_id=job_id: end(mill, job_id) for job_id in pair))
        assert starts(mill, child)
    assert rows(mill) == []


@pytest.mark.parametrize("how", ["finish", "fail"])
def test_a_job_that_ends_while_another_is_being_settled_is_not_overlooked(
    tmp_path: Path,
    fresh_database_url: Callable[[str], str],
    upstream: servers.Simulator,
    receiver: servers.Receiver,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """PostgreSQL alone: on SQLite nobody writes while another does."""
    with open_mill(tmp_path / "mill", fresh_database_url("postgresql"), upstream, receiver.secret) as mill:
        one, two = add_jobs(mill.database, mill.tenant_id, 2)
        child = waiting_for(mill, one, two)
        look, seen = chains.needs_of, []

        def look_and_then_it_ends(*about: Any) -> Any:
            seen.append(look(*about))
            if len(seen) == 1:
                ends(mill, two, how, **({"error": BROKEN} if how == "fail" else {}))
            return seen[-1]

        monkeypatch.setattr(chains, "needs_of", look_and_then_it_ends)
        end(mill, one)
        finish.settle(mill.context, [two])

        assert len(seen) >= 2
        assert starts(mill, child) if how == "finish" else the_job(mill.database, child).status == "failed"
        assert rows(mill) == []


def test_one_that_fails_and_one_that_succeeds_at_the_same_moment_fail_the_one_that_needs_both(mill: Mill) -> None:
    for _ in range(10):
        good, bad = add_jobs(mill.database, mill.tenant_id, 2)
        child = waiting_for(mill, good, bad)
        together(lambda good=good: end(mill, good), lambda bad=bad: end(mill, bad, "fail", error=BROKEN))
        assert the_job(mill.database, child).status == "failed"
        assert len(history_of(mill.database, child)) == 1
    assert rows(mill) == []


def test_a_job_with_a_start_of_its_own_keeps_it(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    hour = timedelta(hours=1)
    later = waiting_for(mill, first, start_at=(mill.clock() + hour).isoformat())
    past = waiting_for(mill, first, start_at=(mill.clock() - hour).isoformat())
    assert waits(mill, later)
    end(mill, first)
    job = the_job(mill.database, later)
    assert job.due_at == job.start_at
    assert job.due_at > mill.clock() + hour / 2
    assert the_job(mill.database, past).released_at is not None


def test_a_thousand_that_wait_for_one_all_start(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    checked = submission.check(
        {"operation": "openai.chat", "input": chat(text_of(first))}, callback=lambda _: None, files_missing=lambda _: set()
    )
    with mill.database.transaction() as session:
        submission.store(session, submission.rows(mill.tenant_id, [checked] * 1000))
    end(mill, first)
    assert rows(mill) == []
    assert all(job.due_at is not None for job in rows_of(mill.database, Job, col(Job.id) != first))


def test_what_a_dead_process_left_waiting_is_found_by_the_tick(mill: Mill) -> None:
    good, bad = add_jobs(mill.database, mill.tenant_id, 2)
    starting, failing = waiting_for(mill, good), waiting_for(mill, bad)
    open_still = waiting_for(mill, good, add_job(mill.database, mill.tenant_id))
    after_that = waiting_for(mill, failing)
    ends(mill, good)
    ends(mill, bad, "fail", error=BROKEN)
    canceled = waiting_for(mill, open_still)
    ends(mill, canceled, "cancel")
    assert waits(mill, starting)
    assert waits(mill, failing)

    for _ in range(20):
        mill.tick()

    assert starts(mill, starting)
    assert {the_job(mill.database, job_id).status for job_id in (failing, after_that)} == {"failed"}
    assert waits(mill, open_still)
    assert len(rows(mill)) == 1, "nothing is looked at for ever"


def test_a_message_that_was_not_ours_does_not_start_what_waits(mill: Mill) -> None:
    first = mill.accept("openai.chat", chat("Name a boat."))
    second = waiting_for(mill, first)
    for _ in range(12):
        assert mill.submit(second).status == "queued"
    assert waits(mill, second)
    assert mill.calls == 0
    mill.run(first)
    assert mill.run(second).status == "succeeded"


def test_a_job_that_ended_while_a_forged_message_held_what_waits_is_seen_by_the_tick(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    second = waiting_for(mill, first)
    assert move(mill.database, second, "claim", lease_owner="w", due_at=after(60), fence=Job.fence + 1)
    end(mill, first)
    move(mill.database, second, "requeue", due_at=None, released_at=None)
    for _ in range(20):
        mill.tick()
    assert starts(mill, second)


# Never starting -----------------------------------------------------------------------------------------------------------


def test_a_failure_ends_all_that_waits_for_it_and_each_says_why(mill: Mill) -> None:
    first = mill.accept("openai.chat", chat("Name a boat."), custom_id="the name")
    second = waiting_for(mill, first, callback_url="http://127.0.0.1:9/hook")
    third = waiting_for(mill, second, first)
    fourth = waiting_for(mill, second)
    mill.upstream.control(faults=[{"fault": "invalid"}])

    failed = mill.run(first)

    assert failed.error is not None
    told = f'It needs {first} (custom_id "the name"), which failed: {failed.error["message"]}'
    for job_id in (second, third):
        job = the_job(mill.database, job_id)
        assert job.status == "failed"
        assert job.error == JobError(code="dependency_failed", message=told).as_json()
    last = the_job(mill.database, fourth)
    assert last.error is not None
    assert last.error["message"] == f"It needs {second}, which failed: {told}"
    assert rows(mill) == []
    for job_id in (second, third, fourth):
        assert [name for _, name, _, _ in history_of(mill.database, job_id)] == ["fail"]
        assert events_of(mill.database, job_id) == ["job.failed"]
    assert len(mill.deliveries(second)) == 1
    assert mill.calls == 1


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("cancel", {}, "which was canceled."),
        ("expire", {"error": JobError(code="deadline_exceeded", message="Too late.").as_json()}, "which expired: Too late."),
    ],
)
def test_what_waits_for_a_job_that_was_ended_fails_and_says_how(mill: Mill, name: str, changes: dict[str, Any], said: str) -> None:
    first = add_job(mill.database, mill.tenant_id)
    second = waiting_for(mill, first)
    end(mill, first, name, **changes)
    job = the_job(mill.database, second)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["retryable"]) == ("failed", "dependency_failed", False)
    assert job.error["message"] == f"It needs {first}, {said}"


def test_a_long_chain_ends_to_its_last_link_and_keeps_the_first_cause(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    chain = [first]
    for _ in range(450):
        chain.append(waiting_for(mill, chain[-1]))
    end(mill, first, "fail", error=BROKEN)
    last = the_job(mill.database, chain[-1])
    assert last.status == "failed"
    assert last.error is not None
    assert last.error["message"].startswith(f"It needs {chain[-2]}, which failed: ")
    assert last.error["message"].endswith("the boat sank")
    assert len(last.error["message"]) < 500
    assert {job.status for job in rows_of(mill.database, Job)} == {"failed"}
    assert rows(mill) == []


def test_a_batch_is_complete_when_its_last_job_ended_because_of_another(mill: Mill) -> None:
    outside = add_job(mill.database, mill.tenant_id)
    batch_id, (inside,) = add_batch(mill.database, mill.tenant_id, 1)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == inside).values(due_at=None))
        chains.add(session, {inside: [outside]})
    end(mill, outside, "fail", error=BROKEN)
    (batch,) = rows_of(mill.database, Batch, col(Batch.id) == batch_id)
    assert batch.finished_at is not None


def test_canceling_a_batch_ends_what_waits_for_it_elsewhere(mill: Mill) -> None:
    batch_id, (inside, _) = add_batch(mill.database, mill.tenant_id, 2)
    outside = waiting_for(mill, inside)
    with mill.database.transaction() as session:
        batches.mark_canceled(session, mill.tenant_id, batch_id)
        batches.hold_back(session, mill.tenant_id, batch_id)
    while cancel.cancel_some(mill.context, batch_id, actor="test", reason="because"):
        pass
    assert the_job(mill.database, outside).status == "failed"


def test_nothing_of_a_canceled_batch_starts_because_another_job_succeeded(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    batch_id, (inside,) = add_batch(mill.database, mill.tenant_id, 1)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == inside).values(due_at=None))
        chains.add(session, {inside: [first]})
        batches.mark_canceled(session, mill.tenant_id, batch_id)
        batches.hold_back(session, mill.tenant_id, batch_id)
    end(mill, first)
    assert waits(mill, inside)
    assert rows(mill) == []


def test_a_job_that_is_canceled_while_it_waits_is_forgotten(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id)
    second = waiting_for(mill, first)
    third = waiting_for(mill, second)
    end(mill, second, "cancel")
    assert rows(mill) == []
    assert the_job(mill.database, third).status == "failed"
    end(mill, first)
    assert the_job(mill.database, second).status == "canceled"


def test_the_deadline_of_a_job_that_waits_is_kept(mill: Mill) -> None:
    first = add_job(mill.database, mill.tenant_id, due_at=after(3600))
    second = waiting_for(mill, first, deadline_s=60)
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id) == second).values(expire_at=now()))
    mill.tick()
    assert the_job(mill.database, second).status == "expired"
    assert rows(mill) == []


def test_settling_many_times_at_once_settles_once(mill: Mill) -> None:
    needs = add_jobs(mill.database, mill.tenant_id, 6)
    children = [waiting_for(mill, *needs[place : place + 3]) for place in range(4)]
    for needed in needs[:5]:
        ends(mill, needed)
    ends(mill, needs[5], "fail", error=BROKEN)
    together(*(lambda order=order: finish.settle(mill.context, order) for order in (needs, needs[::-1], needs[2:], needs[:4])))
    assert [starts(mill, child) for child in children] == [True, True, True, False]
    assert len(history_of(mill.database, children[3])) == 1
    assert rows(mill) == []


# What it starts with ------------------------------------------------------------------------------------------------------


def _resolves(mill: Mill, get: str) -> tuple[Job, Job]:
    """A finished chat, and the job that wanted this of it."""
    first = mill.accept("openai.chat", chat("Name a boat."))
    second = mill.accept("openai.chat", chat({"job": first, "get": get}))
    return mill.run(first), mill.run(second)


def test_a_value_that_is_not_there_fails_the_job_before_it_costs_anything(sqlite_mill: Mill) -> None:
    first, second = _resolves(sqlite_mill, "output.buttons[0].customId")
    assert second.error is not None
    assert (second.status, second.error["code"]) == ("failed", "reference_unresolved")
    assert (second.error["retryable"], second.error["may_have_been_charged"]) == (False, False)
    message = second.error["message"]
    assert message.startswith(f"input.messages[0].content wants 'output.buttons[0].customId' of {first.id}, which yields nothing.")
    assert "upstream, artifacts, output" in message
    assert sqlite_mill.calls == 1


@pytest.mark.parametrize("get", ["artifacts[0].url", "artifacts[0].preview_url", "artifacts[0].expires_at"])
def test_links_that_die_are_no_values(sqlite_mill: Mill, get: str) -> None:
    assert (_resolves(sqlite_mill, get)[1].error or {})["code"] == "reference_unresolved"


def test_facts_of_an_artifact_are_values(sqlite_mill: Mill) -> None:
    first, second = _resolves(sqlite_mill, "artifacts[0].sha256")
    assert second.status == "succeeded"
    (artifact,) = sqlite_mill.artifacts(first.id)
    assert sqlite_mill.attempts(second.id)[0].given == chat(artifact.sha256)


def test_the_task_of_a_polled_job_is_a_value(sqlite_mill: Mill) -> None:
    first = sqlite_mill.accept("kling.text_to_video")
    second = sqlite_mill.accept("openai.chat", chat({"job": first, "get": "upstream.task_id"}))
    sqlite_mill.run(first)
    assert sqlite_mill.run(second).status == "succeeded"
    (attempt,) = sqlite_mill.attempts(first)
    assert sqlite_mill.attempts(second)[0].given == chat(attempt.upstream_id)


def test_a_value_that_breaks_a_rule_of_the_operation_fails_the_job_before_it_costs_anything(sqlite_mill: Mill) -> None:
    first = sqlite_mill.accept("openai.chat", chat("Name a boat."))
    wrong = sqlite_mill.accept("openai.chat", chat("Hm.", temperature=text_of(first), top_p={"job": first, "get": "output.usage"}))
    sqlite_mill.run(first)
    job = sqlite_mill.run(wrong)
    assert job.error is not None
    assert (job.status, job.error["code"], job.error["may_have_been_charged"]) == ("failed", "invalid_input", False)
    assert "input.temperature must be of type number" in job.error["message"]
    assert "input.top_p must be of type number" in job.error["message"]
    assert sqlite_mill.attempts(wrong) == []


def test_an_artifact_of_another_job_is_handed_to_the_provider(sqlite_mill: Mill) -> None:
    first = sqlite_mill.accept("openai.image_generation")
    given = {"model": "doubao-seedream-4-0-250828", "prompt": "the same at night", "image": [{"job": first, "artifact": 0}]}
    second = sqlite_mill.accept("seedream.image_generation", given)
    assert waits(sqlite_mill, second)
    sqlite_mill.run(first)
    job = sqlite_mill.run(second)
    assert (job.status, job.error) == ("succeeded", None)
    assert job.input == given


def test_an_artifact_that_is_not_there_fails_the_job(sqlite_mill: Mill) -> None:
    first = sqlite_mill.accept("openai.image_generation")
    given = {"model": "doubao-seedream-4-0-250828", "prompt": "the same at night", "image": [{"job": first, "artifact": 7}]}
    second = sqlite_mill.accept("seedream.image_generation", given)
    sqlite_mill.run(first)
    assert (sqlite_mill.run(second).error or {})["code"] == "reference_unresolved"


# How it looks -------------------------------------------------------------------------------------------------------------


def test_a_job_that_waits_says_for_whom(sqlite_mill: Mill) -> None:
    def shown(job_id: str) -> dict[str, Any]:
        return view.job_view(the_job(sqlite_mill.database, job_id), link=lambda *_: Links("", None), link_ttl_s=1)

    first = add_job(sqlite_mill.database, sqlite_mill.tenant_id)
    second = waiting_for(sqlite_mill, first, start_at="2020-01-01T00:00:00Z")
    assert (shown(first)["waits_for"], shown(first)["start_at"]) == ([], None)
    assert (shown(second)["waits_for"], shown(second)["status"]) == ([first], "queued")
    assert shown(second)["start_at"] == "2020-01-01T00:00:00.000000Z"
    end(sqlite_mill, first)
    assert shown(second)["waits_for"] == []

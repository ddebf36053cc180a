"""The one guarded move, on both databases: one winner, one history row, one event, and nothing from those who come too late."""

from __future__ import annotations

import json
from typing import Any

import pytest
from house import (
    LIFE,
    RACERS,
    add_batch,
    add_job,
    add_jobs,
    claim,
    events_of,
    history_of,
    in_transaction,
    job_row,
    move,
    rows_of,
    tenant,
    the_job,
    together,
)
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from jobs import catalogue
from jobs.catalogue import outcomes, wire
from jobs.db import Database, after, now
from jobs.ids import new_id
from jobs.models import Artifact, Batch, Delivery, Event, Job, Transition, WebhookEndpoint
from jobs.queries import idempotency, schedule
from jobs.states import FINAL, MOVES, JobState

ERROR = {"code": "x", "message": "because", "retryable": False, "may_have_been_charged": False, "upstream": None}


def _in_state(database: Database, state: JobState, **values: Any) -> str:
    final = {"finished_at": now(), "due_at": None} if state in FINAL else {"lease_owner": "worker"}
    error = {"error": ERROR} if state is JobState.FAILED else {}
    return add_job(database, tenant(database), status=state, fence=3, **(final | error | values))


@pytest.mark.parametrize("state", JobState)
def test_the_database_allows_exactly_the_moves_of_the_table(database: Database, state: JobState) -> None:
    for name, step in MOVES.items():
        job_id = _in_state(database, state)
        moved = move(database, job_id, name, error=ERROR)
        job = the_job(database, job_id)
        if state in step.sources:
            assert moved is not None
            assert (job.status, job.version, moved.job.status) == (step.target, 1, step.target)
            assert history_of(database, job_id) == [(1, name, state, step.target)]
            assert events_of(database, job_id) == ([step.event] if step.event else [])
            assert job.lease_owner is None, "every move gives up the lease"
        else:
            assert moved is None
            assert (job.status, job.version) == (state, 0)
            assert history_of(database, job_id) == []
            assert events_of(database, job_id) == []


@pytest.mark.parametrize("name", ["fail", "cancel", "expire", "finish"])
def test_an_end_puts_the_job_to_rest(database: Database, name: str) -> None:
    job_id = _in_state(database, JobState.COLLECTING, released_at=now(), due_at=after(60))
    assert move(database, job_id, name, error=ERROR, due_at=after(5))
    job = the_job(database, job_id)
    assert job.finished_at is not None
    assert (job.due_at, job.lease_owner, job.released_at) == (None, None, None)


def test_of_twenty_who_cancel_or_finish_at_once_one_wins(database: Database) -> None:
    job_id = _in_state(database, JobState.COLLECTING, callback_url="https://receiver.example/")
    racers = [
        in_transaction(database, lambda session, name=name: LIFE.move(session, job_id, name, actor=name, error=None))
        for name in ("finish", "cancel") * (RACERS // 2)
    ]
    moved = [one for one in together(*racers) if one is not None]

    assert len(moved) == 1
    job = the_job(database, job_id)
    assert (job.status, job.version) == (moved[0].job.status, 1)
    assert len(history_of(database, job_id)) == len(events_of(database, job_id)) == 1
    assert len(rows_of(database, Delivery, col(Delivery.job_id) == job_id)) == 1


def test_of_twenty_workers_with_one_message_one_claims(database: Database) -> None:
    job_id = add_job(database, tenant(database))
    claims = together(*(lambda n=n: claim(database, job_id, 0, f"worker-{n}") for n in range(RACERS)))
    winners = [one for one in claims if one is not None]

    assert len(winners) == 1
    job = the_job(database, job_id)
    assert (job.status, job.fence, job.lease_owner) == ("submitting", 1, winners[0].job.lease_owner)
    assert history_of(database, job_id) == [(1, "claim", "queued", "submitting")]


def test_a_worker_with_a_stale_fence_changes_nothing(database: Database) -> None:
    # Given a job whose first worker fell silent and which a second one claimed.
    job_id = add_job(database, tenant(database))
    first = claim(database, job_id, 0)
    assert first is not None
    assert move(database, job_id, "requeue", if_fence=first.job.fence)
    second = claim(database, job_id, first.job.fence)
    assert second is not None
    before = the_job(database, job_id)
    # When the first one wakes up and tries everything it knows.
    for name in MOVES:
        assert move(database, job_id, name, if_fence=first.job.fence, error=ERROR) is None
    with database.transaction() as session:
        assert not schedule.touch(session, job_id, first.job.fence, attempts=99)
        assert schedule.renew(session, [(job_id, first.job.fence)], 60) == set()
        schedule.snooze(session, [schedule.Snooze(job_id, first.job.fence, 1, 0.5, "x", 0)])
        assert schedule.claim(session, [(job_id, first.job.fence)], JobState.SUBMITTING, "zombie", 60) == []
    # Then nothing happened.
    assert the_job(database, job_id) == before


@pytest.mark.parametrize("state", sorted(FINAL))
def test_a_final_state_never_changes(database: Database, state: JobState) -> None:
    job_id = _in_state(database, state)
    before = the_job(database, job_id)
    for name in MOVES:
        assert move(database, job_id, name, error=ERROR) is None
    with database.transaction() as session:
        assert not schedule.touch(session, job_id, before.fence, attempts=99)
    assert the_job(database, job_id).status == state
    assert history_of(database, job_id) == []


def test_a_move_that_is_rolled_back_leaves_no_trace(database: Database) -> None:
    job_id = add_job(database, tenant(database), callback_url="https://receiver.example/")

    class Crash(Exception):
        pass

    with pytest.raises(Crash), database.transaction() as session:
        assert LIFE.move(session, job_id, "cancel", actor="test")
        raise Crash
    assert the_job(database, job_id).status == "queued"
    assert [rows_of(database, table) for table in (Transition, Event, Delivery)] == [[], [], []]


# What is told -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (None, ["job.succeeded"]),  # the default: ends and unknown, not the start
        (["job.running"], ["job.running"]),
        (["job.running", "job.succeeded"], ["job.running", "job.succeeded"]),
        (["job.failed"], []),
        ([], []),
    ],
)
def test_a_callback_is_told_what_was_asked_for(database: Database, wanted: list[str] | None, told: list[str]) -> None:
    job_id = add_job(
        database, tenant(database), status=JobState.SUBMITTING, callback_url="https://receiver.example/x", events=wanted
    )
    for name in ("accept", "collect", "finish"):
        assert move(database, job_id, name)

    by_event = {row.id: row.type for row in rows_of(database, Event)}
    deliveries = rows_of(database, Delivery)
    assert sorted(by_event[one.event_id] for one in deliveries) == told
    assert {one.url for one in deliveries} <= {"https://receiver.example/x"}
    assert events_of(database, job_id) == ["job.running", "job.succeeded"], "the feed has them all"


def test_standing_endpoints_are_told_too_but_not_disabled_ones_and_not_other_tenants(database: Database) -> None:
    who, other = tenant(database), tenant(database, "other")
    endpoints = {
        "all": {"tenant_id": who},
        "failures": {"tenant_id": who, "events": ["job.failed"]},
        "disabled": {"tenant_id": who, "disabled_at": now()},
        "others": {"tenant_id": other},
    }
    with database.transaction() as session:
        for name, values in endpoints.items():
            session.execute(
                insert(WebhookEndpoint).values(id=f"ep_{name}", url=f"https://{name}.example", secret="whsec_", **values)
            )
    job_id = add_job(database, who, callback_url="https://callback.example")

    moved = move(database, job_id, "cancel")

    assert moved is not None
    deliveries = rows_of(database, Delivery)
    assert {(one.url, one.endpoint_id) for one in deliveries} == {
        ("https://callback.example", None),
        ("https://all.example", "ep_all"),
    }
    assert {hint.delivery_id for hint in moved.hints} == {one.id for one in deliveries}


def test_an_event_carries_the_job_as_it_was_at_that_moment_frozen(database: Database) -> None:
    job_id = add_job(database, tenant(database), status=JobState.COLLECTING, meta={"order": "7"}, custom_id="c-1")
    with database.transaction() as session:
        session.execute(
            insert(Artifact).values(
                id=new_id("art"),
                job_id=job_id,
                index=0,
                kind="video",
                media_type="video/mp4",
                size_bytes=9,
                sha256="b" * 64,
                key=f"jobs/{job_id}/0.mp4",
            )
        )
    assert move(database, job_id, "finish", output={"said": "ü"})

    (event,) = rows_of(database, Event)
    body = json.loads(event.body)
    assert body["type"] == "job.succeeded"
    assert body["timestamp"].endswith("Z")
    data = body["data"]
    assert (data["id"], data["status"], data["progress"], data["output"]) == (job_id, "succeeded", 1.0, {"said": "ü"})
    assert (data["metadata"], data["custom_id"]) == ({"order": "7"}, "c-1")
    assert [(one["sha256"], one["bytes"], one["url"]) for one in data["artifacts"]] == [
        ("b" * 64, 9, f"https://links.example/jobs/{job_id}/0.mp4")
    ]


# Batches ------------------------------------------------------------------------------------------------------------------


def test_a_batch_is_completed_once_however_many_last_jobs_end_at_the_same_moment(database: Database) -> None:
    batch_id, job_ids = add_batch(database, tenant(database), 12, callback_url="https://receiver.example/b")

    def end(job_id: str) -> int:
        assert move(database, job_id, "cancel")
        with database.transaction() as session:
            return len(LIFE.complete_batch(session, batch_id))

    hints = together(*(lambda job_id=job_id: end(job_id) for job_id in job_ids))

    assert sum(hints) == 1
    (event,) = rows_of(database, Event, col(Event.batch_id) == batch_id)
    data = json.loads(event.body)["data"]
    assert (event.type, data["status"]) == ("batch.completed", "completed")
    assert data["counts"] == {"total": 12, "queued": 0, "running": 0, "succeeded": 0, "failed": 0, "canceled": 12, "expired": 0}
    assert rows_of(database, Batch)[0].finished_at is not None


def test_a_batch_with_an_open_job_is_not_completed(database: Database) -> None:
    batch_id, job_ids = add_batch(database, tenant(database), 2)
    assert move(database, job_ids[0], "cancel")
    with database.transaction() as session:
        assert LIFE.complete_batch(session, batch_id) == []
    assert rows_of(database, Batch)[0].finished_at is None
    with database.read() as session:
        assert schedule.unfinished_batches(session, 10) == []


def test_a_batch_whose_last_worker_died_before_completing_it_is_found(database: Database) -> None:
    batch_id, job_ids = add_batch(database, tenant(database), 1)
    assert move(database, job_ids[0], "cancel")
    with database.read() as session:
        assert schedule.unfinished_batches(session, 10) == [batch_id]
    with database.transaction() as session:
        LIFE.complete_batch(session, batch_id)
    with database.read() as session:
        assert schedule.unfinished_batches(session, 10) == []


def test_many_jobs_are_moved_as_one_and_those_elsewhere_are_left_alone(database: Database) -> None:
    who = tenant(database)
    here = add_jobs(database, who, 3, callback_url="https://receiver.example/")
    elsewhere = add_job(database, who, status=JobState.RUNNING)
    ended = add_job(database, who)
    assert move(database, ended, "cancel")

    with database.transaction() as session:
        moved = LIFE.move_all(
            session, [*here, elsewhere, ended, "job_nobody"], "cancel", JobState.QUEUED, actor="api", reason="why"
        )

    assert {one.job.id for one in moved} == set(here)
    for job_id in here:
        assert history_of(database, job_id) == [(1, "cancel", "queued", "canceled")]
        assert events_of(database, job_id) == ["job.canceled"]
        (delivery,) = rows_of(database, Delivery, col(Delivery.job_id) == job_id)
        (told,) = [one for one in moved if one.job.id == job_id]
        assert [hint.delivery_id for hint in told.hints] == [delivery.id]
    assert the_job(database, elsewhere).status == "running"
    with pytest.raises(ValueError, match="does not leave"), database.transaction() as session:
        LIFE.move_all(session, here, "finish", JobState.QUEUED, actor="api")


# Idempotency --------------------------------------------------------------------------------------------------------------


def _accept(database: Database, who: str, key: str, digest: str) -> str:
    """As the API does it: look, else make and remember, else whoever was first."""
    with database.read() as session:
        if found := idempotency.earlier(session, who, key, digest):
            return found
    job_id = new_id("job")
    try:
        with database.transaction() as session:
            idempotency.remember(session, who, key, digest, job_id)
            session.execute(insert(Job).values(job_row(who, id=job_id)))
    except IntegrityError:
        with database.read() as session:
            found = idempotency.earlier(session, who, key, digest)
            assert found is not None
            return found
    return job_id


def test_twenty_calls_with_one_key_make_one_job(database: Database) -> None:
    who = tenant(database)
    made = together(*(lambda: _accept(database, who, "key-1", "hash") for _ in range(RACERS)))
    assert len(set(made)) == 1
    assert [job.id for job in rows_of(database, Job)] == [made[0]]


def test_a_key_is_a_tenants_own_and_stands_for_one_request(database: Database) -> None:
    who, other = tenant(database), tenant(database, "other")
    first = _accept(database, who, "key-1", "hash")
    assert _accept(database, who, "key-1", "hash") == first
    assert _accept(database, other, "key-1", "hash") != first
    with pytest.raises(idempotency.KeyReused):
        _accept(database, who, "key-1", "another hash")


def test_a_key_is_forgotten_after_its_time(database: Database) -> None:
    who = tenant(database)
    first = _accept(database, who, "key-1", "hash")
    with database.transaction() as session:
        assert idempotency.forget_old(session, 60) == 0
    with database.transaction() as session:
        assert idempotency.forget_old(session, -1) == 1
    assert _accept(database, who, "key-1", "hash") != first


# What the provider says is stored -----------------------------------------------------------------------------------------


def test_whatever_a_provider_answered_can_be_written_down(database: Database) -> None:
    """One value that PostgreSQL refuses would undo the statement that writes a whole batch of polls."""
    op = catalogue.find("replicate.prediction")
    assert op is not None
    body = (
        b'{"status":"succeeded","output":{"a\\u0000b":"c\\u0000d \\ud800 \\u00fc","n":[1e999,0.5]},"metrics":{"deep":' + b"[" * 150
    )
    outcome = wire.read_poll(op, 200, {}, body + b"]" * 150 + b"}}")
    assert isinstance(outcome, outcomes.Done)
    job_id = add_job(database, tenant(database), status=JobState.RUNNING, operation=op.name)
    assert move(database, job_id, "collect", output=outcome.values)
    assert move(database, job_id, "finish")
    assert the_job(database, job_id).output["output"] == {"ab": "cd ? ü", "n": [None, 0.5]}

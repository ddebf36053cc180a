"""What a waiting job is told of its place, of when it may start and of what it waits for, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest
from house import add_job, add_jobs, tenant, the_job
from sqlalchemy import insert, select, update
from sqlmodel import col

from jobs.db import Database, after, now
from jobs.models import Attempt, Gate, Job, Tenant
from jobs.queries import limits, pauses, release, standing
from jobs.queries.release import House
from jobs.queries.standing import Standing
from jobs.states import MODALITIES, JobState

HOUSE = House(windows=dict.fromkeys(MODALITIES, 10), keys_of=lambda _: {"default": 1.0}, ageing_s=60, hint_s=30)


def stands(database: Database, job_id: str, house: House = HOUSE) -> Standing:
    with database.read() as session:
        found = standing.of(session, session.get_one(Job, job_id), house)
    assert found is not None
    return found


def test_a_place_is_counted_as_tenants_are_served(database: Database) -> None:
    large, small = tenant(database, "a"), tenant(database, "b")
    add_jobs(database, large, 30, rank_at=after(-100))
    first, second, third = (add_job(database, small, rank_at=after(-10 + n)) for n in range(3))
    assert [stands(database, job_id).position for job_id in (first, second, third)] == [1, 3, 5]
    with database.transaction() as session:
        session.execute(update(Tenant).where(col(Tenant.id) == large).values(weight=3))
    assert [stands(database, job_id).position for job_id in (first, second, third)] == [1, 5, 9]


def test_equal_jobs_of_one_batch_have_places_of_their_own(database: Database) -> None:
    job_ids = add_jobs(database, tenant(database), 4)
    with database.transaction() as session:
        session.execute(update(Job).values(rank_at=session.execute(select(now())).scalar_one()))
    assert [stands(database, job_id).position for job_id in job_ids] == [1, 2, 3, 4]


def test_the_start_is_estimated_by_what_starts_now(database: Database) -> None:
    who = tenant(database)
    started = add_job(database, who, status=JobState.RUNNING, due_at=None)
    job_ids = add_jobs(database, who, 20)
    with database.transaction() as session:
        # Ten starts in each of the last minutes, and two in one of them.
        seconds = [60 * minute + n for minute in range(9) for n in range(2 if minute == 4 else 10)]
        for n, ago in enumerate(seconds):
            session.execute(
                insert(Attempt).values(
                    id=f"att_{n}",
                    job_id=started,
                    n=n,
                    provider="kling",
                    operation="kling.text_to_video",
                    sent_at=after(-ago - 5.0),
                    client_ref=str(n),
                )
            )
        moment = session.execute(select(now())).scalar_one()
    found = stands(database, job_ids[-1])
    assert found.starts_by_p50 is not None and found.starts_by_p90 is not None
    assert abs(found.starts_by_p50 - moment - timedelta(minutes=2)) < timedelta(seconds=5)
    assert abs(found.starts_by_p90 - moment - timedelta(minutes=10)) < timedelta(seconds=5)


def test_nothing_is_estimated_where_nothing_starts(database: Database) -> None:
    found = stands(database, add_job(database, tenant(database)))
    assert (found.position, found.starts_by_p50, found.starts_by_p90) == (1, None, None)


def test_what_it_waits_for_is_said(database: Database) -> None:
    who = tenant(database)
    job_id = add_job(database, who)
    assert stands(database, job_id).waiting_for.reason == "turn"
    with database.transaction() as session:
        limits.put(session, provider="kling", concurrency=1)
        assert len(release.release(session, HOUSE).tickets) == 1
    assert stands(database, job_id).waiting_for.reason == "worker"
    second = add_job(database, who)
    assert stands(database, second).waiting_for == ("limit", "the limit provider=kling is used up")
    with database.transaction() as session:
        pauses.put(session, "operation", "kling.text_to_video", reason="broken", actor="x")
    assert stands(database, second).waiting_for == ("paused", "operation kling.text_to_video is paused: broken")
    later = add_job(database, who, due_at=after(3600))
    assert stands(database, later).waiting_for.reason == "time"
    song = add_job(database, who, modality="music", operation="suno.music", provider="suno")
    with database.transaction() as session:
        session.add(
            Gate(
                provider="suno",
                key_name="default",
                cause="suno asked for patience",
                closed_until=session.execute(select(after(60))).scalar_one(),
                allow=1.0,
                ceiling=1.0,
                budget=1.0,
            )
        )
    found = stands(database, song).waiting_for
    assert found.reason == "provider"
    assert found.why.startswith("suno asked for patience; nothing is sent to suno before")


@pytest.mark.parametrize("status", [JobState.RUNNING, JobState.SUCCEEDED])
def test_a_job_that_does_not_wait_stands_nowhere(database: Database, status: JobState) -> None:
    finished = {"finished_at": after(0), "due_at": None} if status == JobState.SUCCEEDED else {}
    job_id = add_job(database, tenant(database), status=status, **finished)
    with database.read() as session:
        assert standing.of(session, the_job(database, job_id), HOUSE) is None

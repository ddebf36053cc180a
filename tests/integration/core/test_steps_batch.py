"""Batches: canceled in bulk by whoever is there, told complete once. On both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import servers
from house import add_batch, add_job, events_of, history_of, let_time_pass, rows_of, the_job, together
from mill import Mill, open_mill
from sqlalchemy import update
from sqlmodel import col

from jobs.models import Batch, Event, Job
from jobs.queries import batches
from workers import cancel, dispatch


@pytest.fixture
def mill(tmp_path: Path, database_url: str, upstream: servers.Simulator, receiver: servers.Receiver) -> Iterator[Mill]:
    with open_mill(tmp_path / "mill", database_url, upstream, receiver.secret) as opened:
        yield opened


def _canceled(mill: Mill, jobs: int) -> tuple[str, list[str]]:
    """A batch that was just canceled; none of its jobs has been told yet."""
    batch_id, job_ids = add_batch(mill.database, mill.tenant_id, jobs)
    with mill.database.transaction() as session:
        assert batches.mark_canceled(session, mill.tenant_id, batch_id)
        batches.hold_back(session, mill.tenant_id, batch_id)
    return batch_id, job_ids


def _told(mill: Mill, batch_id: str) -> list[str]:
    return [event.type for event in rows_of(mill.database, Event, col(Event.batch_id) == batch_id)]


def test_a_batch_that_many_cancel_at_once_is_canceled_once(mill: Mill) -> None:
    batch_id, job_ids = _canceled(mill, 150)
    # Some of it is under way.
    with mill.database.transaction() as session:
        session.execute(update(Job).where(col(Job.id).in_(job_ids[:20])).values(status="running"))
        session.execute(update(Job).where(col(Job.id).in_(job_ids[20:30])).values(status="collecting"))

    def cancel_all() -> None:
        while cancel.cancel_some(mill.context, batch_id, actor="test", reason="because", running=True):
            pass

    together(*[cancel_all] * 4)

    assert {the_job(mill.database, job_id).status for job_id in job_ids} == {"canceled"}
    assert all(len(history_of(mill.database, job_id)) == 1 for job_id in job_ids)
    assert all(events_of(mill.database, job_id) == ["job.canceled"] for job_id in job_ids)
    assert _told(mill, batch_id) == ["batch.completed"]
    assert rows_of(mill.database, Batch)[0].finished_at is not None


def test_what_a_dead_api_left_of_a_batch_is_ended_by_the_tick(mill: Mill) -> None:
    batch_id, job_ids = _canceled(mill, 3)
    other = add_job(mill.database, mill.tenant_id)
    for _ in range(5):
        mill.tick()
    assert {the_job(mill.database, job_id).status for job_id in job_ids} == {"canceled"}
    assert _told(mill, batch_id) == ["batch.completed"]
    assert the_job(mill.database, other).status == "queued"


def test_nothing_of_a_canceled_batch_is_released_any_more(mill: Mill) -> None:
    _canceled(mill, 3)
    assert dispatch.release(mill.context).tickets == []


def test_a_batch_is_told_complete_by_the_step_that_ended_its_last_job(mill: Mill) -> None:
    batch_id, (job_id,) = add_batch(mill.database, mill.tenant_id, 1)
    mill.upstream.control(faults=[{"fault": "invalid"}])
    assert mill.run(job_id).status == "failed"
    assert rows_of(mill.database, Batch)[0].finished_at is not None
    assert _told(mill, batch_id) == ["batch.completed"]


def test_two_last_jobs_of_a_batch_that_end_at_once_complete_it_once(mill: Mill) -> None:
    batch_id, job_ids = add_batch(mill.database, mill.tenant_id, 2)
    mill.upstream.control(faults=[{"fault": "invalid", "times": 2}])
    together(*(lambda job_id=job_id: mill.submit(job_id) for job_id in job_ids))
    assert [the_job(mill.database, job_id).status for job_id in job_ids] == ["failed", "failed"]
    assert _told(mill, batch_id) == ["batch.completed"]


def test_a_lost_message_of_a_batch_job_comes_back_with_the_tick(mill: Mill) -> None:
    _, (job_id,) = add_batch(mill.database, mill.tenant_id, 1)
    mill.tick()
    released = the_job(mill.database, job_id)
    assert released.released_at is not None
    let_time_pass(mill.database, job_id)
    mill.tick()
    again = the_job(mill.database, job_id)
    assert again.released_at is not None
    assert again.released_at > released.released_at

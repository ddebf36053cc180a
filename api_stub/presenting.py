"""Rows of the database as the API answers them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session

from api_stub.params import plausible_id
from api_stub.problems import not_found
from jobs import view
from jobs.models import Batch, Job
from jobs.queries import batches, jobs, schedule, standing
from jobs.states import FINAL
from workers import dispatch
from workers.context import Context


def shown_job(context: Context, session: Session, job: Job) -> dict[str, Any]:
    return shown_jobs(context, session, [job])[0]


def shown_standing(context: Context, session: Session, job: Job) -> dict[str, Any] | None:
    """Where a waiting job stands; None for one that does not wait."""
    found = standing.of(session, job, dispatch.house_of(context.settings))
    if found is None:
        return None
    return {
        "position": found.position,
        "starts_by_p50": view.instant(found.starts_by_p50),
        "starts_by_p90": view.instant(found.starts_by_p90),
        "waiting_for": found.waiting_for._asdict(),
    }


def shown_jobs(context: Context, session: Session, found: Sequence[Job]) -> list[dict[str, Any]]:
    """Jobs with their outputs and tasks, in two queries however many they are, and in none where there can be neither."""
    ended = [job.id for job in found if job.status in FINAL]
    artifacts = jobs.artifacts_of(session, ended) if ended else {}
    attempts = schedule.attempts_of(session, found) if any(job.attempt_id for job in found) else {}
    return [
        view.job_view(
            job, artifacts.get(job.id, ()), attempts.get(job.id), link=context.link, link_ttl_s=context.settings.link_ttl_s
        )
        for job in found
    ]


def shown_batches(session: Session, found: Sequence[Batch]) -> list[dict[str, Any]]:
    counts = batches.counts(session, [batch.id for batch in found])
    return [view.batch_view(batch, counts[batch.id]) for batch in found]


def job_of(session: Session, tenant_id: str, job_id: str, *, lock: bool = False) -> Job:
    """The tenant's job, or 404."""
    job = jobs.get(session, tenant_id, plausible_id(job_id, "job"), lock=lock)
    if job is None:
        raise not_found("there is no such job")
    return job


def batch_of(session: Session, tenant_id: str, batch_id: str) -> Batch:
    """The tenant's batch, or 404."""
    batch = batches.get(session, tenant_id, plausible_id(batch_id, "batch"))
    if batch is None:
        raise not_found("there is no such batch")
    return batch

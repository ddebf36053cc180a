"""Artifacts: outputs that are in storage."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select
from sqlmodel import Session, col

from jobs.ids import new_id
from jobs.models import Artifact, Job


def add(session: Session, **facts: Any) -> None:
    """Write down one output. Raises IntegrityError if the job has one in that place already."""
    session.execute(insert(Artifact).values(id=new_id("art"), **facts))


def of_job(session: Session, tenant_id: str, job_id: str) -> list[Artifact]:
    """What a job of this tenant made, in order."""
    return list(
        session.scalars(
            select(Artifact)
            .join(Job, col(Job.id) == col(Artifact.job_id))
            .where(col(Job.id) == job_id, col(Job.tenant_id) == tenant_id)
            .order_by(col(Artifact.index))
        )
    )

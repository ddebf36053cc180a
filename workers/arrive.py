"""The provider has it: what a job is from then on, wherever the news comes from (the call, a look-up, a rescue)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from jobs import catalogue
from jobs.db import after, now
from jobs.life import Moved
from jobs.models import Job
from workers.context import Context

#: Nothing that was counted on the way here counts any more, and the place in the window is free.
_FRESH: dict[str, Any] = {"released_at": None, "reserved": False, "error": None, "crashes": 0, "polls": 0, "oddities": 0}


def expiry(job: Job) -> datetime | None:
    """When it is ended for being late, now that it may have been paid for: its deadline, and the operation's grace."""
    op = catalogue.find(job.operation)
    return job.deadline_at + timedelta(seconds=op.grace_s if op else 0) if job.deadline_at is not None else None


def accept(
    context: Context, session: Session, job: Job, *, wait_s: float, reason: str | None = None, **changes: Any
) -> Moved | None:
    """Its task runs: the first look in `wait_s` seconds."""
    return context.life.move(
        session,
        job.id,
        "accept",
        actor=context.owner,
        if_fence=job.fence,
        reason=reason,
        due_at=after(wait_s),
        accepted_at=now(),
        expire_at=expiry(job),
        **_FRESH,
        **changes,
    )


def receive(context: Context, session: Session, job: Job, *, reason: str | None = None) -> Moved | None:
    """Its synchronous answer is safe in storage: the outputs can be taken out of it now."""
    return context.life.move(
        session,
        job.id,
        "receive",
        actor=context.owner,
        if_fence=job.fence,
        reason=reason,
        due_at=now(),
        accepted_at=now(),
        expire_at=expiry(job),
        **_FRESH,
    )

"""The provider has it: what a job is from then on, wherever the news comes from (the call, a look-up, a rescue)."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from jobs.db import after, now
from jobs.life import Moved
from jobs.models import Job
from workers.context import Context

#: Nothing that was counted on the way here counts any more, and the place in the window is free.
_FRESH: dict[str, Any] = {"released_at": None, "error": None, "crashes": 0, "polls": 0, "oddities": 0}


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
        **_FRESH,
    )

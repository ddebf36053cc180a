"""Canceling a batch: first nothing more of it may start, then its jobs end one by one, because each one is told of."""

from __future__ import annotations

import time
from typing import Any

from api_stub.face import Face
from api_stub.presenting import batch_of, shown_batches
from api_stub.problems import ApiProblem
from api_stub.steering import actor
from jobs.queries import batches, jobs
from jobs.states import ACTIVE, JobState

#: Those that cost nothing yet come first.
_IN_ORDER = (JobState.QUEUED, *sorted(ACTIVE - {JobState.QUEUED}))
#: Jobs a transaction: on SQLite every other writer waits for it.
_CHUNK = 250
#: As much as the caller waits for; the rest is canceled after the answer, with a breath between chunks.
_AT_ONCE_S = 2.0
_BREATH_S = 0.01


def cancel(face: Face, tenant_id: str, batch_id: str) -> dict[str, Any]:
    """Mark the batch canceled and end its jobs. Asked again, it goes on where it stopped. 409 if the batch has ended."""
    with face.context.database.transaction() as session:
        batch = batch_of(session, tenant_id, batch_id)
        if batch.finished_at is not None:
            word = "canceled" if batch.canceled_at else "completed"
            raise ApiProblem(409, "already_final", f"the batch is {word}; a batch that has ended never changes")
        batches.mark_canceled(session, tenant_id, batch_id)
        # One statement for all of them: whatever happens to this process now, none of these costs money any more.
        batches.hold_back(session, tenant_id, batch_id)
    if not _cancel_jobs(face, tenant_id, batch_id, give_up=time.monotonic() + _AT_ONCE_S):
        face.afterwards.run(_cancel_rest, face, tenant_id, batch_id)
    with face.context.database.read() as session:
        (shown,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return shown


def _cancel_rest(face: Face, tenant_id: str, batch_id: str) -> None:
    _cancel_jobs(face, tenant_id, batch_id, give_up=None)


def _cancel_jobs(face: Face, tenant_id: str, batch_id: str, *, give_up: float | None) -> bool:
    """True when no job was left to cancel."""
    while any(_cancel_chunk(face, tenant_id, batch_id, status) for status in _IN_ORDER):
        if give_up is None:
            time.sleep(_BREATH_S)
        elif time.monotonic() > give_up:
            return False
    with face.context.database.transaction() as session:
        hints = face.context.life.complete_batch(session, batch_id)
    face.afterwards.deliver(hints)
    return True


def _cancel_chunk(face: Face, tenant_id: str, batch_id: str, status: JobState) -> bool:
    """Whether there was a job in this state. One that moved on meanwhile is met again in its next state."""
    with face.context.database.transaction() as session:
        # In one order everywhere, so that two who cancel do not wait for each other in a circle.
        ids = sorted(jobs.open_of_batch(session, tenant_id, batch_id, [status], _CHUNK))
        if not ids:
            return False
        moves = face.context.life.move_all(session, ids, "cancel", status, actor=actor(tenant_id), reason="its batch was canceled")
    face.afterwards.deliver(hint for moved in moves for hint in moved.hints)
    return True

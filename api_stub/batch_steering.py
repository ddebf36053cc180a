"""Canceling a batch: first nothing more of it may start, then its jobs end one by one, because each one is told of."""

from __future__ import annotations

import time
from typing import Any

from api_stub.face import Face
from api_stub.presenting import batch_of, shown_batches
from api_stub.problems import ApiProblem
from api_stub.steering import actor
from jobs.queries import batches
from workers.cancel import cancel_some

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
        # Should this process die first, the tick goes on.
        face.afterwards.run(_cancel_rest, face, tenant_id, batch_id)
    with face.context.database.read() as session:
        (shown,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return shown


def _cancel_rest(face: Face, tenant_id: str, batch_id: str) -> None:
    _cancel_jobs(face, tenant_id, batch_id, give_up=None)


def _cancel_jobs(face: Face, tenant_id: str, batch_id: str, *, give_up: float | None) -> bool:
    """True when no job was left to cancel."""
    while cancel_some(face.context, batch_id, actor=actor(tenant_id), reason="its batch was canceled"):
        if give_up is None:
            time.sleep(_BREATH_S)
        elif time.monotonic() > give_up:
            return False
    return True

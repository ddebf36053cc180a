"""Canceling a batch: first nothing more of it may start, then its jobs end one by one, because each one is told of.

What runs has been paid for: it is let finish, unless the caller wants it ended as well.
"""

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


def cancel(face: Face, tenant_id: str, batch_id: str, *, running: bool = False) -> dict[str, Any]:
    """Mark the batch canceled and end what of it has not started; with `running` what has, too.

    Asked again, it goes on where it stopped. 409 if the batch has ended. The answer says how many are `left_running`.
    """
    with face.context.database.transaction() as session:
        batch = batch_of(session, tenant_id, batch_id)
        if batch.finished_at is not None:
            word = "canceled" if batch.canceled_at else "completed"
            raise ApiProblem(409, "already_final", f"the batch is {word}; a batch that has ended never changes")
        batches.mark_canceled(session, tenant_id, batch_id)
        # One statement for all of them: whatever happens to this process now, none of these costs money any more.
        batches.hold_back(session, tenant_id, batch_id)
    if not _cancel_jobs(face, tenant_id, batch_id, running=running, give_up=time.monotonic() + _AT_ONCE_S):
        # Should this process die first, the tick goes on with what has not started.
        face.afterwards.run(_cancel_rest, face, tenant_id, batch_id, running)
    with face.context.database.read() as session:
        (shown,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return shown | {"left_running": 0 if running else shown["counts"]["running"]}


def _cancel_rest(face: Face, tenant_id: str, batch_id: str, running: bool) -> None:
    _cancel_jobs(face, tenant_id, batch_id, running=running, give_up=None)


def _cancel_jobs(face: Face, tenant_id: str, batch_id: str, *, running: bool, give_up: float | None) -> bool:
    """True when no job was left to cancel."""
    by, reason = actor(tenant_id), "its batch was canceled"
    while cancel_some(face.context, batch_id, actor=by, reason=reason, running=running):
        if give_up is None:
            time.sleep(_BREATH_S)
        elif time.monotonic() > give_up:
            return False
    return True

"""Canceling what is left of a batch. The API begins it and answers; the tick ends what a dead API left, of what has not started."""

from __future__ import annotations

from itertools import chain

from jobs.queries import batches
from jobs.states import ACTIVE, JobState
from workers import finish, publish
from workers.context import Context

#: Jobs of one transaction: on SQLite every other writer waits for it.
_CHUNK = 200


def cancel_some(context: Context, batch_id: str, *, actor: str, reason: str, running: bool = False) -> bool:
    """End the next jobs of this batch that have not started; with `running` then those that have. False when none was left.

    What has started has been paid for, or is being paid for at this moment: it is let finish unless somebody says otherwise.
    """
    # One state at a time: a move names the state it leaves.
    for status in sorted(ACTIVE, key=lambda state: state != JobState.QUEUED) if running else (JobState.QUEUED,):
        with context.database.transaction() as session:
            ids = batches.jobs_in(session, batch_id, status, _CHUNK)
            moves = context.life.move_all(session, ids, "cancel", status, actor=actor, reason=reason) if ids else []
        if ids:
            publish.deliveries(chain.from_iterable(moved.hints for moved in moves))
            finish.settle(context, [moved.job.id for moved in moves])
            return True
    finish.close_batch(context, batch_id)
    return False

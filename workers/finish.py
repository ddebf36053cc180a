"""What follows a move: publish its deliveries, settle who waited for the job, close its batch. And how a job ends in failure, the
same from every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import policy
from jobs.db import is_disconnect
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Job
from jobs.states import FINAL
from storage import StorageRefused, StorageUnavailable
from workers import chains, publish
from workers.context import Context

log = structlog.get_logger()


def told(context: Context, moved: Moved | None) -> None:
    """After the commit of a move: tell the receivers, settle who waited for the job, finish the batch if this was its last."""
    if moved is None:
        return
    publish.deliveries(moved.hints)
    if moved.job.status in FINAL:
        settle(context, [moved.job.id])
        if moved.job.batch_id:
            close_batch(context, moved.job.batch_id)


def settle(context: Context, ended: Iterable[str]) -> None:
    """Start what waited for these jobs, or end it and tell of it. Never raises: the tick comes anyway."""
    batch_ids: set[str] = set()
    try:
        for moves in chains.settle(context, ended):
            publish.deliveries(chain.from_iterable(moved.hints for moved in moves))
            batch_ids |= {moved.job.batch_id for moved in moves if moved.job.batch_id}
        for batch_id in batch_ids:
            close_batch(context, batch_id)
    except Exception as error:
        log.warning("not_settled", error=f"{type(error).__name__}: {error}"[:200])


def close_batch(context: Context, batch_id: str) -> None:
    with context.database.transaction() as session:
        hints = context.life.complete_batch(session, batch_id)
    publish.deliveries(hints)


def fail(context: Context, job: Job, error: JobError) -> None:
    """End the job with this error, if it is still ours to end."""
    with context.database.transaction() as session:
        moved = context.life.move(
            session, job.id, "fail", actor=context.owner, if_fence=job.fence, reason=error.message[:500], error=error.as_json()
        )
    if moved is not None:
        log.info("failed", job_id=job.id, operation=job.operation, code=error.code)
    told(context, moved)


def crash_loop(job: Job) -> JobError:
    return JobError(
        code="worker_crash_loop",
        message=f"{policy.MOST_CRASHES} workers in a row died with this job in hand; it is set aside.",
        may_have_been_charged=job.accepted_at is not None,
    )


def patiently(work: Callable[[], None], *, for_s: float) -> None:
    """Do `work`, again and again while storage does not take it, for at most `for_s` seconds; then its error passes through."""
    give_up = time.monotonic() + for_s
    tries = 0
    while True:
        try:
            return work()
        except (StorageUnavailable, StorageRefused):
            # Refused is for an operator to mend, who may be at it.
            wait_s = policy.backoff_s(tries, cap_s=30)
            if time.monotonic() + wait_s > give_up:
                raise
            tries += 1
            time.sleep(wait_s)


def surely(work: Callable[[], None], *, for_s: float = 600.0) -> None:
    """Write down what must not be forgotten: again and again while the database is away, for at most `for_s` seconds.

    `work` must bear being done twice: a commit may have worked and only its answer been lost.
    """
    give_up = time.monotonic() + for_s
    tries = 0
    while True:
        try:
            return work()
        except SQLAlchemyError as error:
            wait_s = policy.backoff_s(tries, cap_s=10)
            if not is_disconnect(error) or time.monotonic() + wait_s > give_up:
                raise
            log.warning("database_away", error=type(error).__name__, again_in_s=round(wait_s, 1))
            tries += 1
            time.sleep(wait_s)

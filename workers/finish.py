"""What follows a move: publish its deliveries, settle who waited for the job, close its batch. And how a job ends in failure, the
same from every step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import chain

import structlog
from sqlalchemy.exc import SQLAlchemyError

from jobs import catalogue, policy
from jobs.catalogue.spec import Operation
from jobs.db import is_disconnect, now
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Job
from jobs.queries import ledger
from jobs.states import FINAL, MOVES
from storage import StorageRefused, StorageUnavailable
from workers import chains, publish, twins
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
    todo = list(ended)
    try:
        # A twin that ends with its leader may be what others wait for.
        while todo:
            now_ended, todo = todo, []
            for moves in chain(chains.settle(context, now_ended), twins.settle(context, now_ended)):
                publish.deliveries(chain.from_iterable(moved.hints for moved in moves))
                batch_ids |= {moved.job.batch_id for moved in moves if moved.job.batch_id}
                todo += [moved.job.id for moved in moves]
        for batch_id in batch_ids:
            close_batch(context, batch_id)
    except Exception as error:
        log.warning("not_settled", error=f"{type(error).__name__}: {error}"[:200])


def close_batch(context: Context, batch_id: str) -> None:
    with context.database.transaction() as session:
        hints = context.life.complete_batch(session, batch_id)
    publish.deliveries(hints)


def fail(context: Context, job: Job, error: JobError) -> None:
    """End the job with this error, if it is still ours to end. Where it surely cost nothing, its next fallback is asked instead."""
    if not error.may_have_been_charged and _cost_something_before(context, job):
        error = error.model_copy(update={"may_have_been_charged": True})
    if not error.may_have_been_charged and (op := _next_fallback(job)) is not None:
        _fall_back(context, job, op, error)
        return
    with context.database.transaction() as session:
        moved = context.life.move(
            session, job.id, "fail", actor=context.owner, if_fence=job.fence, reason=error.message[:500], error=error.as_json()
        )
    if moved is not None:
        log.info("failed", job_id=job.id, operation=job.operation, code=error.code)
    told(context, moved)


def _cost_something_before(context: Context, job: Job) -> bool:
    """An earlier call of it was paid for, or may have been."""
    if not job.attempts:
        return False
    with context.database.read() as session:
        return ledger.cost_of_job(session, job.id) != 0


def _next_fallback(job: Job) -> Operation | None:
    """What is asked next, if this version offers it still."""
    if job.status not in MOVES["fallback"].sources:
        return None
    left = (job.fallbacks or [])[job.fallback :]
    return catalogue.find(left[0]["operation"]) if left else None


def _fall_back(context: Context, job: Job, op: Operation, error: JobError) -> None:
    given = (job.fallbacks or [])[job.fallback]["input"]
    quote = context.price(op, given)
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job.id,
            "fallback",
            actor=context.owner,
            if_fence=job.fence,
            reason=f"{job.operation}: {error.message}"[:500],
            operation=op.name,
            provider=op.provider,
            input=given,
            units=op.units_of(given),
            quoted_usd=quote.usd,
            quote_kind=quote.kind and quote.kind.value,
            asked=job.asked or {"operation": job.operation, "provider": job.provider, "input": job.input},
            fallback=job.fallback + 1,
            due_at=now(),
            error=None,
            polls=0,
            oddities=0,
            crashes=0,
        )
    if moved is not None:
        log.info("fell_back", job_id=job.id, from_operation=job.operation, to_operation=op.name, code=error.code)
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

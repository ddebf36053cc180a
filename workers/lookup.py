"""Lost answers: look the task up where the provider can be searched; then the job's own policy decides.

Found: the job goes on as if nothing had happened. Not found: that proves nothing unless the catalogue says so, and the policy
decides: `hold` (wait for a person), `retry` (one more paid call, recorded as a decision), `fail`.
"""

from __future__ import annotations

import structlog
from sqlalchemy.exc import IntegrityError

from jobs import catalogue, policy
from jobs.catalogue import outcomes
from jobs.catalogue.spec import Operation
from jobs.db import after, now
from jobs.errors import JobError
from jobs.models import Attempt, Job
from jobs.queries import attempts, schedule
from jobs.states import JobState
from workers import arrive, dispatch, finish, money, upstream
from workers.context import Context

log = structlog.get_logger()


def look_up(context: Context, job_id: str, fence: int) -> None:
    """One look for the task of a lost answer."""
    with context.database.transaction() as session:
        claimed = schedule.claim(session, [(job_id, fence)], JobState.UNKNOWN, context.owner, context.settings.lease_s)
        attempt = schedule.attempts_of(session, claimed).get(job_id)
    if not claimed or attempt is None:
        return
    job = claimed[0]
    op = catalogue.find(job.operation)
    if op is None or op.dedupe.grade != "B":
        _decide(context, job, "its provider cannot be searched")
        return
    found = upstream.look_up(context, op, attempt.client_ref, attempt.key_name)
    if isinstance(found, outcomes.Accepted):
        _adopt(context, job, op, attempt, found)
        return
    looks = job.polls + 1
    wait_s = policy.lookup_wait_s(looks)
    if wait_s is not None:
        with context.database.transaction() as session:
            schedule.touch(session, job.id, job.fence, polls=looks, due_at=after(wait_s), lease_owner=None)
    elif isinstance(found, outcomes.NotVisible) and op.dedupe.absence_proves:
        with context.database.transaction() as session:
            attempts.over(session, attempt.id)
            money.refund(session, attempt.id, "the provider does not have it, which proves that it was never taken")
        _resubmit(context, job, "the provider does not have it, which proves that it was never taken")
    else:
        _decide(context, job, f"it was not found in {looks} looks, which proves nothing")


def _adopt(context: Context, job: Job, op: Operation, attempt: Attempt, found: outcomes.Accepted) -> None:
    try:
        with context.database.transaction() as session:
            attempts.accept(session, attempt.id, found.task_id, found.request_id)
    except IntegrityError:
        _decide(context, job, "the task that was found belongs to another job")
        return
    with context.database.transaction() as session:
        wait_s = policy.next_poll_s(op.poll, 0) if op.poll else 0.0
        moved = arrive.accept(context, session, job, wait_s=wait_s, reason="found upstream by our own name for the call")
    finish.told(context, moved)


def _decide(context: Context, job: Job, because: str) -> None:
    """Carry out the job's `on_unknown`."""
    if job.on_unknown == "fail":
        error = JobError.model_validate(job.error) if job.error else JobError(code="upstream_outcome_unknown", message=because)
        finish.fail(context, job, error)
        return
    if job.on_unknown == "retry":
        with context.database.read() as session:
            lost = attempts.lost_count(session, job.id)
        if lost <= 1:
            _resubmit(context, job, f"on_unknown=retry: the answer was lost, {because}")
            return
        log.info("held_after_second_loss", job_id=job.id)
    with context.database.transaction() as session:
        schedule.touch(session, job.id, job.fence, due_at=None, lease_owner=None)


def _resubmit(context: Context, job: Job, reason: str) -> None:
    with context.database.transaction() as session:
        moved = context.life.move(
            session, job.id, "resubmit", actor=context.owner, if_fence=job.fence, reason=reason, due_at=now(), error=None, polls=0
        )
    finish.told(context, moved)
    dispatch.nudge(context)

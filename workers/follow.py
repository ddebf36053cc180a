"""Calls whose job has ended before them (canceled, given up, too late): what the provider still does for them.

Until it is done it holds a place within the limits, and nobody knows what it costs. So it is looked at, slower and slower, until it
has ended or `follow_until` has passed. Nothing is fetched: nobody waits for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col

from jobs import catalogue
from jobs.catalogue import asking, outcomes
from jobs.catalogue.spec import Operation
from jobs.db import now
from jobs.models import Attempt, Job
from jobs.queries import attempts, ledger
from jobs.states import FINAL
from workers import dispatch, money, upstream
from workers.context import Context

log = structlog.get_logger()

#: Nobody waits for it: looked at after a tenth of the time that has passed, and not more often than so many seconds.
_AT_LEAST_S, _AT_MOST_S = 5.0, 300.0


def follow(context: Context, attempt_ids: Sequence[str]) -> None:
    """One look at each of these attempts."""
    with context.database.read() as session:
        moment = session.execute(select(now())).scalar_one()
        rows = session.execute(
            select(Attempt, Job).join(Job, col(Job.id) == col(Attempt.job_id)).where(col(Attempt.id).in_(attempt_ids))
        ).all()
    asked: list[tuple[Attempt, Job, Operation]] = []
    for attempt, job in rows:
        op = catalogue.find(attempt.operation or job.operation)
        given_up = attempt.follow_until is None or attempt.follow_until <= moment
        if _is_somebody_elses(attempt, job):
            _leave(context, attempt, free=given_up)
        elif not attempt.held or op is None or given_up:
            _close(context, attempt, job, op)
        elif attempt.state == "accepted" and op.poll is not None:
            asked.append((attempt, job, op))
        elif attempt.state == "unknown" and op.dedupe.grade == "B":
            _look_up(context, attempt, job, op, moment)
        else:
            # On the wire still, or lost for good: nothing can be asked.
            _wait(context, attempt, None)
    said = upstream.poll(
        context,
        [
            upstream.Task(attempt.id, op, asking.Asked(attempt.given or job.input, attempt.upstream_id or ""), attempt.key_name)
            for attempt, job, op in asked
        ],
    )
    for attempt, job, op in asked:
        _hear(context, attempt, job, op, said[attempt.id], moment)
    dispatch.freed(context)


def _is_somebody_elses(attempt: Attempt, job: Job) -> bool:
    """Its job is still open and looks at it itself."""
    return job.status not in FINAL and job.attempt_id == attempt.id


def _leave(context: Context, attempt: Attempt, *, free: bool) -> None:
    with context.database.transaction() as session:
        if free:
            attempts.over(session, attempt.id)
        else:
            attempts.look_at_the_end(session, attempt)


def _hear(context: Context, attempt: Attempt, job: Job, op: Operation, outcome: outcomes.PollOutcome, moment: datetime) -> None:
    match outcome:
        case outcomes.Done():
            _end(context, attempt, job, op, charged=True)
        case outcomes.Failed(_, _, charged):
            _end(context, attempt, job, op, charged=charged)
        case _:
            passed_s = (moment - attempt.sent_at.astimezone(UTC)).total_seconds()
            _wait(context, attempt, min(max(passed_s / 10, _AT_LEAST_S), _AT_MOST_S))


def _look_up(context: Context, attempt: Attempt, job: Job, op: Operation, moment: datetime) -> None:
    found = upstream.look_up(context, op, attempt.client_ref, attempt.key_name)
    if isinstance(found, outcomes.Accepted):
        try:
            with context.database.transaction() as session:
                attempts.accept(session, attempt.id, found.task_id, found.request_id)
                attempts.look_again(session, attempt.id, 0.0)
        except IntegrityError:
            _wait(context, attempt, None)
    elif isinstance(found, outcomes.NotVisible) and op.dedupe.absence_proves:
        with context.database.transaction() as session:
            attempts.over(session, attempt.id)
            money.refund(session, attempt.id, "the provider does not have it, which proves that it was never taken")
            _tell_cost(session, job)
    else:
        _wait(context, attempt, _AT_MOST_S)


def _end(context: Context, attempt: Attempt, job: Job, op: Operation, *, charged: bool) -> None:
    with context.database.transaction() as session:
        attempts.over(session, attempt.id)
        if charged:
            money.settle_by_quote(context, session, attempt.id, op, attempt.given or job.input)
        else:
            money.refund(session, attempt.id, money.FAILED)
        _tell_cost(session, job)
    log.info("followed_to_its_end", job_id=job.id, attempt_id=attempt.id, charged=charged)


def _close(context: Context, attempt: Attempt, job: Job, op: Operation | None) -> None:
    """Nothing more will be heard of it. What was done is paid for; what nobody knows of stays open in the ledger."""
    with context.database.transaction() as session:
        if not attempt.held:
            if attempt.state in ("accepted", "answered"):
                money.settle_by_quote(context, session, attempt.id, op, attempt.given or job.input)
            _tell_cost(session, job)
        attempts.over(session, attempt.id)
    if attempt.held:
        log.warning("lost_sight_of", job_id=job.id, attempt_id=attempt.id, state=attempt.state)


def _wait(context: Context, attempt: Attempt, wait_s: float | None) -> None:
    """Look again after so long; None: when it is given up."""
    with context.database.transaction() as session:
        if wait_s is None:
            attempts.look_at_the_end(session, attempt)
        else:
            attempts.look_again(session, attempt.id, wait_s)


def _tell_cost(session: Session, job: Job) -> None:
    """What the job has cost in all, now that it is known of one more of its calls."""
    session.execute(
        update(Job).where(col(Job.id) == job.id, col(Job.status).in_(FINAL)).values(actual_usd=ledger.COST),
        execution_options={"synchronize_session": False},
    )

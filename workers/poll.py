"""The poll step: ask for many running tasks at once, write down what they said in a few statements.

No worker waits for a task: each look ends at once, and the next is the row's `due_at`. Looking again is not failing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from jobs import catalogue, policy
from jobs.catalogue import asking, outcomes
from jobs.catalogue.spec import Operation, Poll
from jobs.db import now
from jobs.errors import JobError
from jobs.models import Attempt, Job
from jobs.queries import attempts, schedule
from jobs.queries.schedule import Snooze
from jobs.states import JobState
from workers import dispatch, finish, money, upstream
from workers.context import Context

log = structlog.get_logger()


def poll(context: Context, pairs: Sequence[tuple[str, int]]) -> None:
    """One look at each of these jobs that is still running and free."""
    with context.database.transaction() as session:
        jobs = schedule.claim(session, pairs, JobState.RUNNING, context.owner, context.settings.lease_s)
        attempt_of = schedule.attempts_of(session, jobs)
    asked: list[tuple[Job, Operation, Poll, Attempt]] = []
    for job in jobs:
        op, attempt = catalogue.find(job.operation), attempt_of.get(job.id)
        if op is None or op.poll is None or attempt is None or attempt.upstream_id is None:
            message = f"This version cannot poll {job.operation}."
            finish.fail(context, job, JobError(code="operation_removed", message=message, may_have_been_charged=True))
        else:
            asked.append((job, op, op.poll, attempt))
    tasks = [upstream.Task(job.id, op, _asked(job, attempt), attempt.key_name) for job, op, _, attempt in asked]
    said = upstream.poll(context, tasks)

    snoozed: list[Snooze] = []
    done: set[str] = set()
    freed = False
    for job, op, rules, attempt in asked:
        outcome = said[job.id]
        try:
            if isinstance(outcome, outcomes.Done):
                _collect(context, job, attempt, outcome)
                done.add(job.modality)
                freed = True
            elif isinstance(outcome, outcomes.Failed):
                _close(context, job, op, attempt, outcome)
                finish.fail(context, job, outcome.error)
                freed = True
            elif (verdict := _verdict(job, op, rules, outcome)) is not None:
                finish.fail(context, job, verdict)
            else:
                snoozed.append(_snooze(job, rules, outcome))
        except Exception as error:
            # One job's trouble is not its neighbours': its lease runs out, and it is looked at again.
            log.exception("poll_not_written", job_id=job.id, error=type(error).__name__)
    with context.database.transaction() as session:
        schedule.snooze(session, snoozed)
    dispatch.nudge_outputs(context, done)
    if freed:
        dispatch.freed(context)


def _close(context: Context, job: Job, op: Operation, attempt: Attempt, outcome: outcomes.Failed) -> None:
    """The provider is done with it, and what it took is given back, unless it calls that a success."""
    with context.database.transaction() as session:
        attempts.over(session, attempt.id)
        if outcome.charged:
            money.settle_by_quote(context, session, attempt.id, op, attempt.given or job.input)
        else:
            money.refund(session, attempt.id, money.FAILED)


def _collect(context: Context, job: Job, attempt: Attempt, outcome: outcomes.Done) -> None:
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job.id,
            "collect",
            actor=context.owner,
            if_fence=job.fence,
            due_at=now(),
            output=outcome.values,
            upstream_status=outcome.upstream_status,
            oddities=0,
            crashes=0,
        )
        if moved is not None:
            attempts.name_outputs(session, attempt.id, outcome.outputs)
    finish.told(context, moved)


def _verdict(job: Job, op: Operation, rules: Poll, outcome: outcomes.PollOutcome) -> JobError | None:
    """The error that ends the job, or None while there is hope."""
    running_s = _seconds_since(job.accepted_at)
    if op.submit is None:
        return _verdict_on_a_repetition(running_s, rules, outcome)
    if isinstance(outcome, outcomes.NotVisible) and running_s > rules.visible_after_s and job.oddities >= 2:
        return outcome.error.model_copy(
            update={
                "code": "upstream_lost_job",
                "message": "The provider accepted the task and no longer knows it. " + outcome.error.message,
                "may_have_been_charged": True,
            }
        )
    if isinstance(outcome, outcomes.Puzzling) and outcome.error.code != "rate_limited" and job.oddities >= policy.MOST_ODDITIES:
        return outcome.error.model_copy(update={"may_have_been_charged": True})
    if running_s > rules.give_up_s:
        return JobError(
            code="timeout",
            message=f"The provider did not finish within {rules.give_up_s / 60:.0f} minutes; its word is {job.upstream_status}.",
            retryable=True,
            may_have_been_charged=True,
        )
    return None


def _verdict_on_a_repetition(running_s: float, rules: Poll, outcome: outcomes.PollOutcome) -> JobError | None:
    """Such a result may be not there, not found or an error until it is made: only time tells.

    Asking again costs nothing more; whether the first question does, nobody says.
    """
    if running_s <= rules.give_up_s:
        return None
    if isinstance(outcome, outcomes.NotVisible | outcomes.Puzzling):
        return outcome.error.model_copy(update={"may_have_been_charged": True})
    minutes = f"{rules.give_up_s / 60:.0f}"
    message = f"The provider did not make it within {minutes} minutes."
    return JobError(code="timeout", message=message, retryable=True, may_have_been_charged=True)


def _snooze(job: Job, rules: Poll, outcome: outcomes.PollOutcome) -> Snooze:
    wait_s = policy.next_poll_s(rules, job.polls + 1, getattr(outcome, "retry_after_s", None))
    if isinstance(outcome, outcomes.Running):
        if outcome.strange:
            log.warning("strange_status", operation=job.operation, job_id=job.id, status=outcome.upstream_status)
        # Progress never runs backwards for the reader, whatever the provider says.
        progress = max((share for share in (job.progress, outcome.progress) if share is not None), default=None)
        return Snooze(job.id, job.fence, wait_s, progress, outcome.upstream_status, 0)
    return Snooze(job.id, job.fence, wait_s, job.progress, job.upstream_status, job.oddities + 1)


def _asked(job: Job, attempt: Attempt) -> asking.Asked:
    return asking.Asked(attempt.given or job.input, attempt.upstream_id or "")


def _seconds_since(moment: datetime | None) -> float:
    return 0.0 if moment is None else (datetime.now(UTC) - moment).total_seconds()

"""The safety net, twice a second: whatever a crash, a flush or a clock left behind is found in SQL and handed out again.

Idempotent and safe to run twice at once: rows are locked with SKIP LOCKED, and what one tick takes the other does not see.
"""

from __future__ import annotations

import random
import threading
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any

import structlog
from sqlalchemy import select
from sqlmodel import Session

from jobs import catalogue
from jobs.db import now
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Attempt, Job
from jobs.queries import attempts, batches, chains, events, idempotency, ledger, release, schedule, twins
from jobs.states import JobState
from storage import spool
from workers import arrive, balance, cancel, dispatch, finish, submit
from workers.context import Context

log = structlog.get_logger()

_MOST_RESCUES = 200
#: One tick in so many does the housekeeping that can wait.
_HOUSEKEEPING_EVERY = 600
#: And one in so many looks for what waits for a job that has ended: whoever ended it has seen to that, unless he died.
_CHAINS_EVERY = 20
#: Ticks may overlap: what will never start is ended by one of them.
_ending = threading.Lock()
_ticks = count(random.randrange(_HOUSEKEEPING_EVERY))  # noqa: S311 - spreads the work of several control workers


def tick(context: Context) -> None:
    """One round. A part that fails leaves the others alone, and the next round tries it again."""
    with context.database.read() as session:
        found = schedule.waiting(session)
    turn = next(_ticks)
    parts: list[tuple[bool, partial[Any]]] = [
        (found.lost_hints, partial(_lost_hints, context)),
        (found.silent_submits, partial(_silent_submits, context)),
        (found.overdue, partial(_overdue, context)),
        (found.polls, partial(dispatch.hand_out_polls, context)),
        *((True, partial(dispatch.release_outputs, context, modality)) for modality in found.collecting),
        # After the lost hints were taken back: they are backlog again.
        (found.backlog or found.lost_hints, partial(_release, context)),
        (found.lookups, partial(dispatch.hand_out_lookups, context)),
        (found.followed, partial(dispatch.hand_out_followed, context)),
        (found.deliveries, partial(dispatch.hand_out_deliveries, context)),
        (found.events, partial(_feed, context)),
        (found.canceled_batches, partial(_canceled_batches, context)),
        (found.batches, partial(_batches, context)),
        (turn % _CHAINS_EVERY == 0, partial(_chains, context)),
        (turn % _CHAINS_EVERY == 0, partial(balance.look, context)),
        (turn % _HOUSEKEEPING_EVERY == 0, partial(_housekeeping, context)),
    ]
    for wanted, part in parts:
        if wanted:
            _guarded(part)


def _guarded(part: partial[Any]) -> None:
    try:
        part()
    except Exception as error:
        log.warning("tick_part_failed", part=part.func.__name__.lstrip("_"), error=f"{type(error).__name__}: {error}"[:300])


def _lost_hints(context: Context) -> None:
    with context.database.transaction() as session:
        found = release.take_back_lost_hints(session)
    if found:
        log.info("hints_lost", jobs=found)


def _release(context: Context) -> None:
    doomed = dispatch.release(context).never
    if not doomed or not _ending.acquire(blocking=False):
        return
    try:
        for job_id, never in doomed.items():
            with context.database.read() as session:
                job = session.get(Job, job_id)
            if job is not None and job.status == JobState.QUEUED:
                finish.fail(context, job, JobError(code=never.code, message=never.message))
    finally:
        _ending.release()


def _silent_submits(context: Context) -> None:
    """Workers that died around the paid call. Before the intent: start over. After it: nobody can know."""
    moves: list[Moved] = []
    with context.database.transaction() as session:
        for job in schedule.silent_submits(session, _MOST_RESCUES):
            # With its place still set aside it has not begun a call: the attempt it names is of an earlier claim.
            attempt = session.get(Attempt, job.attempt_id) if job.attempt_id and not job.reserved else None
            moved = _rescue(context, session, job, attempt)
            if moved is not None:
                moves.append(moved)
    for moved in moves:
        log.info("rescued", job_id=moved.job.id, status=moved.job.status)
        finish.told(context, moved)


def _rescue(context: Context, session: Session, job: Job, attempt: Attempt | None) -> Moved | None:
    match attempt.state if attempt else None:
        # "unknown": the loss was written down, the move that follows from it was not.
        case "sending" | "unknown":
            error = JobError(
                code="upstream_outcome_unknown",
                message="The worker died around the paid call: nobody can tell whether the provider took it.",
                may_have_been_charged=True,
            )
            attempts.end(session, job.attempt_id or "", "unknown", error, over=False)
            op = catalogue.find(job.operation)
            if op is not None and op.dedupe.grade == "A":
                return _start_over(context, session, job, "the worker died around a call that may be repeated")
            return submit.move_to_unknown(context, session, job, op, error)
        case "accepted":
            reason = "the worker died after the provider had taken the task"
            return arrive.accept(context, session, job, wait_s=0.0, reason=reason)
        case "answered":
            return arrive.receive(context, session, job, reason="the worker died after the answer was safe in storage")
        case "rejected" if not ledger.refunded(session, job.attempt_id or ""):
            # It would be paid for again.
            error = JobError(
                code="upstream_failed",
                message=f"The worker died after a refusal that may have been charged: {attempt.note if attempt else ''}"[:500],
                may_have_been_charged=True,
            )
            return context.life.move(
                session, job.id, "fail", actor=context.owner, if_fence=job.fence, reason=error.message, error=error.as_json()
            )
        case _:
            return _start_over(context, session, job, "the worker died before the paid call")


def _start_over(context: Context, session: Session, job: Job, reason: str) -> Moved | None:
    return context.life.move(
        session,
        job.id,
        "requeue",
        actor=context.owner,
        if_fence=job.fence,
        reason=reason,
        due_at=now(),
        # It may be asleep, not dead: under the old fence it would still commit its intent, and pay a second time.
        fence=Job.fence + 1,
    )


def _overdue(context: Context) -> None:
    moves: list[Moved] = []
    with context.database.transaction() as session:
        moment = session.execute(select(now())).scalar_one()
        for job in schedule.overdue(session, _MOST_RESCUES):
            attempt = session.get(Attempt, job.attempt_id) if job.attempt_id else None
            charged = bool(job.attempts) and ledger.cost_of_job(session, job.id) != 0
            error = _too_late(job, attempt, moment, charged)
            moved = context.life.move(session, job.id, "expire", actor=context.owner, reason=error.message, error=error.as_json())
            if moved is not None:
                moves.append(moved)
    for moved in moves:
        finish.told(context, moved)


def _too_late(job: Job, attempt: Attempt | None, moment: datetime, charged: bool) -> JobError:
    """Why the job is ended, and what is known of what it cost. charged: an earlier call of it cost something, or may have."""
    if job.status == JobState.QUEUED:
        cost = "an earlier call of it may have been charged" if charged else "it cost nothing"
        if job.start_by is not None and job.start_by <= moment and (job.deadline_at is None or job.start_by < job.deadline_at):
            message = f"It was not started by the time that it named (start_by); {cost}."
            return JobError(code="not_started_in_time", message=message, may_have_been_charged=charged)
        message = f"Its own deadline passed before it was started; {cost}."
        return JobError(code="deadline_exceeded", message=message, may_have_been_charged=charged)
    match JobState(job.status):
        case JobState.UNKNOWN:
            known = "the answer to its paid call was lost"
        case JobState.COLLECTING:
            known = "the provider was done, and its outputs were on their way into storage"
        case _:
            known = f"the provider was at work: its last word was {job.upstream_status or 'that it took the task'}"
            known += f", {job.progress:.0%} done" if job.progress is not None else ""
    task = f" (task {attempt.upstream_id})" if attempt and attempt.upstream_id else ""
    message = f"Its own deadline passed, and so did the time that is waited beyond it; {known}{task}. It may be on the bill."
    return JobError(code="deadline_exceeded", message=message, may_have_been_charged=True)


def _feed(context: Context) -> None:
    with context.database.transaction() as session:
        events.number(session)


def _canceled_batches(context: Context) -> None:
    with context.database.read() as session:
        found = batches.canceled_unfinished(session, _MOST_RESCUES)
    for batch_id in found:
        cancel.cancel_some(context, batch_id, actor=context.owner, reason="its batch was canceled")


def _batches(context: Context) -> None:
    with context.database.read() as session:
        found = schedule.unfinished_batches(session, _MOST_RESCUES)
    for batch_id in found:
        finish.close_batch(context, batch_id)


def _chains(context: Context) -> None:
    with context.database.read() as session:
        found = {*chains.unsettled(session, _MOST_RESCUES), *twins.unsettled(session, _MOST_RESCUES)}
    finish.settle(context, found)


def _housekeeping(context: Context) -> None:
    with context.database.transaction() as session:
        idempotency.forget_old(session, context.settings.idempotency_ttl_s)
    spool.sweep(context.spool_folder)

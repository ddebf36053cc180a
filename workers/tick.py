"""The safety net, twice a second: whatever a crash, a flush or a clock left behind is found in SQL and handed out again.

Idempotent and safe to run twice at once: rows are locked with SKIP LOCKED, and what one tick takes the other does not see.
"""

from __future__ import annotations

import random
from functools import partial
from itertools import count
from typing import Any

import structlog
from sqlmodel import Session

from jobs import catalogue
from jobs.db import now
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Attempt, Job
from jobs.queries import attempts, batches, chains, events, idempotency, schedule
from jobs.states import MODALITIES, JobState
from storage import spool
from workers import arrive, cancel, dispatch, finish, submit
from workers.context import Context

log = structlog.get_logger()

_MOST_RESCUES = 200
#: One tick in so many does the housekeeping that can wait.
_HOUSEKEEPING_EVERY = 600
#: And one in so many looks for what waits for a job that has ended: whoever ended it has seen to that, unless he died.
_CHAINS_EVERY = 20
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
        *((True, partial(dispatch.release, context, modality)) for modality in (MODALITIES if found.lost_hints else found.backlog)),
        (found.lookups, partial(dispatch.hand_out_lookups, context)),
        (found.deliveries, partial(dispatch.hand_out_deliveries, context)),
        (found.events, partial(_feed, context)),
        (found.canceled_batches, partial(_canceled_batches, context)),
        (found.batches, partial(_batches, context)),
        (turn % _CHAINS_EVERY == 0, partial(_chains, context)),
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
        found = schedule.take_back_lost_hints(session)
    if found:
        log.info("hints_lost", jobs=found)


def _silent_submits(context: Context) -> None:
    """Workers that died around the paid call. Before the intent: start over. After it: nobody can know."""
    moves: list[Moved] = []
    with context.database.transaction() as session:
        for job in schedule.silent_submits(session, _MOST_RESCUES):
            attempt = session.get(Attempt, job.attempt_id) if job.attempt_id else None
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
            attempts.end(session, job.attempt_id or "", "unknown", error)
            op = catalogue.find(job.operation)
            if op is not None and op.dedupe.grade == "A":
                return _start_over(context, session, job, "the worker died around a call that may be repeated")
            return submit.move_to_unknown(context, session, job, op, error)
        case "accepted":
            reason = "the worker died after the provider had taken the task"
            return arrive.accept(context, session, job, wait_s=0.0, reason=reason)
        case "answered":
            return arrive.receive(context, session, job, reason="the worker died after the answer was safe in storage")
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
        released_at=None,
        # It may be asleep, not dead: under the old fence it would still commit its intent, and pay a second time.
        fence=Job.fence + 1,
    )


def _overdue(context: Context) -> None:
    moves: list[Moved] = []
    with context.database.transaction() as session:
        for job in schedule.overdue(session, _MOST_RESCUES):
            error = _deadline(at_work=job.status != JobState.QUEUED)
            moved = context.life.move(session, job.id, "expire", actor=context.owner, reason=error.message, error=error.as_json())
            if moved is not None:
                moves.append(moved)
    for moved in moves:
        finish.told(context, moved)


def _deadline(*, at_work: bool) -> JobError:
    then = "while the provider was at work; it may still be on the bill" if at_work else "before it was started; it cost nothing"
    return JobError(code="deadline_exceeded", message=f"The job's own deadline passed {then}.", may_have_been_charged=at_work)


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
        found = chains.unsettled(session, _MOST_RESCUES)
    finish.settle(context, found)


def _housekeeping(context: Context) -> None:
    with context.database.transaction() as session:
        idempotency.forget_old(session, context.settings.idempotency_ttl_s)
    spool.sweep(context.spool_folder)

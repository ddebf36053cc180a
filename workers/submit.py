"""The submit step: one paid call, its intent committed first, its answer written down whatever it was.

    claim → render → commit the intent → POST once → commit what came of it

A crash before the intent leaves the job as it was; a crash after it leaves `sending`, which the tick turns into `unknown`.
Nothing here ever sends the same attempt twice.
"""

from __future__ import annotations

import shutil
from typing import Any

import structlog
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from jobs import catalogue, policy
from jobs.catalogue import asking, outcomes
from jobs.catalogue.spec import Operation
from jobs.db import after, now
from jobs.errors import JobError
from jobs.ids import new_client_ref, new_id
from jobs.life import Moved
from jobs.models import Job
from jobs.queries import attempts, schedule
from storage import StorageError, StorageUnavailable
from storage.spool import Spool
from workers import arrive, dispatch, finish, inbound, references, upstream
from workers.context import Context
from workers.inputs import InputUnavailable, with_media

log = structlog.get_logger()

#: Seconds a finished synchronous answer is offered to a storage that is away, before its job is given up.
_SPOOL_PATIENCE_S = 600.0


def submit(context: Context, job_id: str, fence: int) -> None:
    """Carry out the submit step of this job, if the hint is still true."""
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job_id,
            "claim",
            actor=context.owner,
            if_fence=fence,
            lease_owner=context.owner,
            due_at=after(context.settings.lease_s),
            started_at=func.coalesce(Job.started_at, now()),
            fence=Job.fence + 1,
            crashes=Job.crashes + 1,
        )
    if moved is None:
        return
    job = moved.job
    op = catalogue.find(job.operation)
    if op is None:
        finish.fail(context, job, JobError(code="operation_removed", message=f"This version does not offer {job.operation}."))
    elif job.crashes > policy.MOST_CRASHES:
        finish.fail(context, job, finish.crash_loop(job))
    else:
        with context.leases.held(job.id, job.fence):
            _call(context, job, op)
    # The place in the window is free again.
    dispatch.nudge(context, [job.modality])


def _call(context: Context, job: Job, op: Operation) -> None:
    client_ref = new_client_ref()
    try:
        asked = references.resolved(context, job, op)
        given = with_media(context, job, op, asked)
        request = asking.submit_request(op, given, client_ref, inbound.address(context, job, op)) if op.submit else None
    except InputUnavailable as error:
        if error.temporary:
            _requeue(context, job, error.as_job_error(), None)
        else:
            finish.fail(context, job, error.as_job_error())
        return
    except references.Unresolved as error:
        finish.fail(context, job, error.error)
        return
    except references.TooEarly:
        _wait_on(context, job)
        return
    attempt_id = new_id("att")
    with context.database.transaction() as session:
        held = schedule.touch(session, job.id, job.fence, attempt_id=attempt_id, attempts=Job.attempts + 1)
        if not held:
            return
        attempts.begin(session, attempt_id, job, client_ref, asked)
    if request is None:
        # Nothing is bought: the first look asks for the result, under our own name for the task.
        _accepted(context, job, op, attempt_id, outcomes.Accepted(client_ref, None, None))
        return
    with Spool(context.spool_folder, max_bytes=context.settings.max_inline_bytes) as spool:
        outcome = upstream.submit(context, op, request, spool, asking.Asked(asked))
        log.info("submitted", job_id=job.id, operation=op.name, outcome=type(outcome).__name__)
        # The provider's word is only in this process's memory until it is written down.
        finish.surely(lambda: _record(context, job, op, attempt_id, outcome, spool))


def _record(context: Context, job: Job, op: Operation, attempt_id: str, outcome: outcomes.SubmitOutcome, spool: Spool) -> None:
    match outcome:
        case outcomes.Accepted():
            _accepted(context, job, op, attempt_id, outcome)
        case outcomes.Answered():
            _answered(context, job, attempt_id, outcome, spool)
        case outcomes.Rejected(error):
            with context.database.transaction() as session:
                attempts.end(session, attempt_id, "rejected", error)
            finish.fail(context, job, error)
        case outcomes.NotAccepted(error, retry_after_s):
            with context.database.transaction() as session:
                attempts.end(session, attempt_id, "not_sent" if error.code == "upstream_unreachable" else "not_accepted", error)
            _requeue(context, job, error, retry_after_s)
        case outcomes.Lost(error):
            with context.database.transaction() as session:
                attempts.end(session, attempt_id, "unknown", error)
            if op.dedupe.grade == "A":
                _requeue(context, job, error, None)
            else:
                lose(context, job, op, error)


def _accepted(context: Context, job: Job, op: Operation, attempt_id: str, outcome: outcomes.Accepted) -> None:
    try:
        # On its own, and under no fence: whoever holds the job by now, that the provider has this task is a fact.
        with context.database.transaction() as session:
            attempts.accept(session, attempt_id, outcome.task_id, outcome.request_id, shared=outcome.shared)
    except IntegrityError:
        error = JobError(
            code="upstream_bad_response",
            message="The provider named a task that already belongs to another job.",
            may_have_been_charged=True,
        )
        finish.fail(context, job, error)
        return
    wait_s = policy.next_poll_s(op.poll, 0) if op.poll else 0.0
    with context.database.transaction() as session:
        moved = arrive.accept(context, session, job, wait_s=wait_s, upstream_status=outcome.upstream_status)
    finish.told(context, moved)


def _answered(context: Context, job: Job, attempt_id: str, outcome: outcomes.Answered, spool: Spool) -> None:
    key = f"spool/{job.id}/{attempt_id}"
    try:
        finish.patiently(
            lambda: context.store.put(
                key, spool.rewound(), size_bytes=spool.size_bytes, media_type="application/octet-stream", sha256=spool.sha256
            ),
            for_s=_SPOOL_PATIENCE_S,
        )
    except StorageError as error:
        rescued = _rescued(context, attempt_id, spool)
        problem = JobError(
            code="storage_unavailable",
            message=f"The provider's answer was paid for and received, but storage would not take it: {error}. {rescued}",
            retryable=isinstance(error, StorageUnavailable),
            may_have_been_charged=True,
        )
        with context.database.transaction() as session:
            attempts.end(session, attempt_id, "unknown", problem)
        finish.fail(context, job, problem)
        return
    with context.database.transaction() as session:
        attempts.answer(session, attempt_id, key, outcome.request_id)
    with context.database.transaction() as session:
        moved = arrive.receive(context, session, job)
    finish.told(context, moved)
    if moved is not None:
        dispatch.nudge_outputs(context, [job.modality])


def _rescued(context: Context, attempt_id: str, spool: Spool) -> str:
    """Keep the only copy of what was paid for on this machine; says where."""
    path = context.settings.data / "rescued" / attempt_id
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(spool.path, path)
    except OSError as error:
        return f"It could not be kept on the worker's disk either: {error.strerror}."
    return f"It is kept on the worker {context.owner} as {path}."


def _requeue(context: Context, job: Job, error: JobError, retry_after_s: float | None) -> None:
    """Back to the backlog: the provider surely has nothing of it. Rate limits pass; other refusals count."""
    counts = error.code != "rate_limited"
    if counts and job.oddities + 1 >= policy.MOST_BUSY:
        finish.fail(context, job, error)
        return
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job.id,
            "requeue",
            actor=context.owner,
            if_fence=job.fence,
            reason=error.message[:500],
            due_at=after(policy.backoff_s(max(job.attempts, job.oddities), retry_after_s)),
            released_at=None,
            oddities=Job.oddities + (1 if counts else 0),
            crashes=0,
        )
    finish.told(context, moved)


def _wait_on(context: Context, job: Job) -> None:
    """Back to where it waits for other jobs: the message that brought it here was not ours."""
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job.id,
            "requeue",
            actor=context.owner,
            if_fence=job.fence,
            reason="a job that it needs has not ended",
            due_at=None,
            released_at=None,
            crashes=0,
        )
    finish.told(context, moved)


def lose(context: Context, job: Job, op: Operation | None, error: JobError) -> None:
    """The answer is lost: look it up where the provider can be searched, else let the job's policy decide."""
    with context.database.transaction() as session:
        moved = move_to_unknown(context, session, job, op, error)
    finish.told(context, moved)


def move_to_unknown(context: Context, session: Any, job: Job, op: Operation | None, error: JobError) -> Moved | None:
    """The move of `lose`, inside the caller's transaction."""
    searchable = op is not None and op.dedupe.grade == "B"
    if searchable:
        due_at: Any = after(policy.LOOKUP_AFTER_S[0])
    else:
        # `hold` waits for a person; the other policies are carried out by the next look.
        due_at = None if job.on_unknown == "hold" else now()
    return context.life.move(
        session,
        job.id,
        "lose",
        actor=context.owner,
        if_fence=job.fence,
        reason=error.message[:500],
        due_at=due_at,
        released_at=None,
        error=error.as_json(),
        polls=0,
        crashes=0,
    )

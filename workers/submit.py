"""The submit step: one paid call, its intent committed first, its answer written down whatever it was.

    claim → render → commit the intent → POST once → commit what came of it

A crash before the intent leaves the job as it was; a crash after it leaves `sending`, which the tick turns into `unknown`.
Nothing here ever sends the same attempt twice.
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from jobs import catalogue, policy
from jobs.catalogue import asking, outcomes
from jobs.catalogue.spec import Fault, Operation
from jobs.db import after, now
from jobs.errors import JobError
from jobs.ids import new_client_ref, new_id
from jobs.life import Moved
from jobs.models import Job
from jobs.queries import attempts, batches, gates, ledger, schedule
from jobs.view import amount
from storage import StorageError, StorageUnavailable
from storage.spool import Spool
from workers import arrive, dispatch, finish, inbound, manners, money, references, upstream
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
            # A message that comes after its time finds a job that has no place within the limits any more; a job that comes
            # after its own is not begun: the tick ends it.
            only=and_(col(Job.reserved).is_(True), or_(col(Job.expire_at).is_(None), col(Job.expire_at) > now())),
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
    dispatch.nudge(context)


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
    if request is None:
        # There is no call to make: the first look asks for the result, under our own name for the task.
        if _begin(context, job, op, attempt_id, client_ref, asked):
            _accepted(context, job, op, attempt_id, outcomes.Accepted(client_ref, None, None))
        return
    with ExitStack() as stack:
        try:
            # Before the intent: a disk that has no room for the answer is found out while nothing is sent.
            spool = stack.enter_context(Spool(context.spool_folder, max_bytes=context.settings.max_inline_bytes))
        except StorageError as error:
            problem = JobError(code="storage_unavailable", message=f"There is no room for an answer: {error}", retryable=True)
            _requeue(context, job, problem, None)
            return
        if _begin(context, job, op, attempt_id, client_ref, asked):
            outcome = upstream.submit(context, op, request, spool, asking.Asked(asked), job.key_name)
            log.info("submitted", job_id=job.id, operation=op.name, outcome=type(outcome).__name__)
            manners.learn(context, job, outcome)
            # The provider's word is only in this process's memory until it is written down.
            finish.surely(lambda: _record(context, job, op, attempt_id, outcome, spool, asked))


def _begin(context: Context, job: Job, op: Operation, attempt_id: str, client_ref: str, asked: dict[str, Any]) -> bool:
    """Commit the intent. False when the job is no longer ours, or is not to be called now."""
    usd = money.quoted(context, job, op, asked)
    if (problem := _too_dear(context, job, usd)) is not None:
        finish.fail(context, job, problem)
        return False
    with context.database.transaction() as session:
        canceled = job.batch_id is not None and batches.is_canceled(session, job.batch_id)
        objection = "its batch was canceled" if canceled else gates.objection(session, job)
        if objection is None:
            held = schedule.touch(session, job.id, job.fence, attempt_id=attempt_id, attempts=Job.attempts + 1, reserved=False)
            if held:
                at = session.execute(select(now())).scalar_one()
                attempts.begin(session, attempt_id, job, client_ref, asked, at=at, follow_s=_follow_s(context, op))
                ledger.reserve(session, job, attempt_id, key_name=job.key_name, usd=usd, at=at)
            return held
    # One of a canceled batch is out of the dispatcher's sight until the tick ends it.
    _put_back(context, job, objection, **({"due_at": None} if canceled else {}))
    return False


def _too_dear(context: Context, job: Job, usd: Decimal | None) -> JobError | None:
    """Why the call would take the job beyond its maximum, its earlier calls included."""
    most = job.max_cost_usd
    if most is None:
        return None
    with context.database.read() as session:
        before = ledger.committed(session, job_id=job.id) if job.attempts else Decimal(0)
    if usd is not None and before + usd <= most:
        return None
    said = "the price of this call is not known" if usd is None else f"this call is quoted {amount(usd)} USD"
    said = f"{amount(before)} USD may be owed for earlier calls, and {said}" if before else said
    return JobError(code="budget_exceeded", message=f"The job may cost {amount(most)} USD, and {said}.")


def _follow_s(context: Context, op: Operation) -> float:
    """How long the call counts against the limits at most, if nobody ever hears of it again."""
    if op.poll is not None:
        return max(2 * op.poll.give_up_s, 600.0)
    return ((op.submit.total_s if op.submit else None) or context.settings.submit_total_s) + 60.0


def _record(
    context: Context,
    job: Job,
    op: Operation,
    attempt_id: str,
    outcome: outcomes.SubmitOutcome,
    spool: Spool,
    asked: dict[str, Any],
) -> None:
    match outcome:
        case outcomes.Accepted():
            _accepted(context, job, op, attempt_id, outcome)
        case outcomes.Answered():
            _answered(context, job, attempt_id, outcome, spool)
        case outcomes.Rejected(error, charged):
            with context.database.transaction() as session:
                attempts.end(session, attempt_id, "rejected", error)
                if charged:
                    money.settle_by_quote(context, session, attempt_id, op, asked)
                elif not error.may_have_been_charged:
                    money.refund(session, attempt_id)
            # A key that is refused whatever it asks for is no fault of this job, however often it happens.
            forbidden = error.code == Fault.FORBIDDEN.value and job.oddities >= policy.MOST_REFUSED_KEYS
            if manners.is_about_the_key(error) and not forbidden:
                _wait_for_a_key(context, job, error)
            else:
                finish.fail(context, job, error)
        case outcomes.NotAccepted(error, retry_after_s):
            with context.database.transaction() as session:
                attempts.end(session, attempt_id, "not_sent" if error.code == "upstream_unreachable" else "not_accepted", error)
                money.refund(session, attempt_id)
            _requeue(context, job, error, retry_after_s)
        case outcomes.Lost(error):
            with context.database.transaction() as session:
                # A call that may be repeated may have been paid for all the same.
                attempts.end(session, attempt_id, "unknown", error, over=False)
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
            money.settle_by_quote(context, session, attempt_id, catalogue.find(job.operation), job.input)
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
    if error.code == "rate_limited":
        _put_back(context, job, error.message)
        return
    if job.oddities + 1 >= policy.MOST_BUSY:
        finish.fail(context, job, error)
        return
    wait = after(policy.backoff_s(max(job.attempts, job.oddities), retry_after_s))
    _put_back(context, job, error.message, due_at=wait, oddities=Job.oddities + 1)


def _wait_for_a_key(context: Context, job: Job, error: JobError) -> None:
    """Back to the backlog until a key is there that is not refused; behind the others, so that one of those is tried next.

    Where only this job is refused, and others are not, it is not tried for ever.
    """
    of_the_request = error.code == Fault.FORBIDDEN.value
    _put_back(context, job, error.message, rank_at=now(), oddities=Job.oddities + (1 if of_the_request else 0))


def _put_back(context: Context, job: Job, reason: str, **changes: Any) -> None:
    """To where it waited, with its place within the limits free again."""
    with context.database.transaction() as session:
        moved = context.life.move(
            session,
            job.id,
            "requeue",
            actor=context.owner,
            if_fence=job.fence,
            reason=reason[:500],
            crashes=0,
            **({"due_at": now()} | changes),
        )
    finish.told(context, moved)


def _wait_on(context: Context, job: Job) -> None:
    """Back to where it waits for other jobs: the message that brought it here was not ours."""
    _put_back(context, job, "a job that it needs has not ended", due_at=None)


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
        reserved=False,
        error=error.as_json(),
        polls=0,
        crashes=0,
        expire_at=arrive.expiry(job),
    )

"""Equal jobs of which one runs for all. When the leader has succeeded its twins get its outputs; when it failed they fail; when it
was canceled or too late the first of them takes its place.

Decided in transactions of their own after the one that ended the leader, and again by whoever comes across it: a twin is decided
on once, because it is locked, queued and a twin when it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from sqlmodel import Session

from jobs import catalogue
from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Job
from jobs.queries import twins
from jobs.states import JobState
from jobs.validation import shown
from workers import dispatch
from workers.context import Context

#: Jobs decided in one transaction: on SQLite every other writer waits for it.
_CHUNK = 200
#: Characters kept of the leader's error.
_SHOWN_CHARS = 300


def settle(context: Context, ended: Iterable[str]) -> Iterator[list[Moved]]:
    """Decide on the twins of these jobs, of those of them that have ended. What may start is on its way.

    Yields what ended because of it, a transaction's worth at a time, for the caller to tell of and to settle in turn.
    """
    with context.database.read() as session:
        leaders = twins.led_by(session, ended)
    for leader_id in leaders:
        yield from _settle(context, leader_id)


def _settle(context: Context, leader_id: str) -> Iterator[list[Moved]]:
    while True:
        promoted: Job | None = None
        moves: list[Moved] = []
        with context.database.transaction() as session:
            leader = session.get_one(Job, leader_id)
            if leader.status in (JobState.SUCCEEDED, JobState.FAILED):
                waiting = twins.waiting(session, leader_id, _CHUNK)
                moves = _end_likewise(context, session, leader, waiting)
            else:
                promoted = _promote(context, session, twins.waiting(session, leader_id))
        if promoted is not None:
            dispatch.nudge(context)
        if moves:
            yield moves
        if len(moves) < _CHUNK:
            return


def _end_likewise(context: Context, session: Session, leader: Job, waiting: Sequence[str]) -> list[Moved]:
    if not waiting:
        return []
    name = leader.id + (f" (custom_id {shown(leader.custom_id)})" if leader.custom_id else "")
    if leader.status == JobState.SUCCEEDED:
        twins.share_outputs(session, leader.id, waiting)
        return context.life.move_all(
            session,
            waiting,
            "share",
            JobState.QUEUED,
            actor=context.owner,
            reason=f"the same as {name}, which has run for both",
            output=leader.output,
            actual_usd=Decimal(0),
        )
    error = _failed_with(leader, name)
    return context.life.move_all(
        session,
        waiting,
        "fail",
        JobState.QUEUED,
        actor=context.owner,
        reason=error.message[:500],
        error=error.as_json(),
        actual_usd=Decimal(0),
    )


def _failed_with(leader: Job, name: str) -> JobError:
    cause = leader.error or {}
    said = str(cause.get("message") or cause.get("code") or "no cause is known")
    return JobError(
        code="coalesced_failed",
        message=f"It is the same as {name}, which was to run for both and failed: {said[:_SHOWN_CHARS]}",
        retryable=bool(cause.get("retryable")),
    )


def _promote(context: Context, session: Session, waiting: Sequence[str]) -> Job | None:
    """The twin that runs itself from now on; None where there is none that may."""
    first = twins.next_leader(session, waiting)
    if first is None:
        return None
    operation = catalogue.find(first.operation)
    quote = context.price(operation, first.input) if operation else None
    twins.promote(
        session,
        first.id,
        [job_id for job_id in waiting if job_id != first.id],
        usd=quote.usd if quote else None,
        kind=quote.kind.value if quote and quote.kind else None,
    )
    return first

"""Jobs that wait for others: started when all of those have succeeded, ended when one of them has ended otherwise.

Decided in a transaction of its own after the one that ended a job: two jobs that end at the same moment do not see each other's
change, but whoever comes here second sees both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlmodel import Session

from jobs.errors import JobError
from jobs.life import Moved
from jobs.models import Job
from jobs.queries import chains
from jobs.states import JobState
from jobs.validation import shown
from workers import dispatch
from workers.context import Context

#: Jobs decided in one transaction: on SQLite every other writer waits for it.
_CHUNK = 200
#: Characters kept of both ends of an error that is passed on: the nearest cause stands at its beginning, the first at its end.
_HEAD, _TAIL = 120, 200

_ENDED_AS = {JobState.FAILED: "failed", JobState.CANCELED: "was canceled", JobState.EXPIRED: "expired"}


def settle(context: Context, ended: Iterable[str]) -> Iterator[list[Moved]]:
    """Decide on what waits for these jobs, and on what waits for that in turn. What may start is on its way.

    Yields what ended because of it, a transaction's worth at a time, for the caller to tell of.
    """
    with context.database.read() as session:
        todo = chains.concerned(session, ended)
    while todo:
        moves: list[Moved] = []
        may_start = False
        with context.database.transaction() as session:
            decided = 0
            # A long chain ends link by link: many of them share a transaction.
            while todo and decided < _CHUNK:
                some = todo[-_CHUNK:]
                waiting = chains.decidable(session, some, _CHUNK)
                failed, work = _decide(context, session, waiting)
                if len(waiting) < _CHUNK:
                    chains.forget_ended(session, some)
                    del todo[-len(some) :]
                todo += [moved.job.id for moved in failed]
                moves += failed
                may_start = may_start or work
                decided += max(1, len(waiting))
        if may_start:
            dispatch.nudge(context)
        yield moves


def lost_to(needed: Job) -> JobError:
    """Why a job that needs this one, which ended without success, will never start."""
    name = needed.id + (f" (custom_id {shown(needed.custom_id)})" if needed.custom_id else "")
    cause = f": {_shortened(needed.error['message'])}" if needed.error else "."
    return JobError(code="dependency_failed", message=f"It needs {name}, which {_ENDED_AS[JobState(needed.status)]}{cause}")


def _decide(context: Context, session: Session, waiting: Sequence[str]) -> tuple[list[Moved], bool]:
    """The moves of those that will never start, and whether there are any that may."""
    ready: list[str] = []
    met: list[tuple[str, str]] = []
    doomed: defaultdict[str, list[str]] = defaultdict(list)
    for job_id, needs in chains.needs_of(session, waiting).items():
        lost = next((needed for needed, state in needs.items() if state in _ENDED_AS), None)
        # What was just seen, and no more: one that succeeds at this moment has a settling of its own to come.
        succeeded = [(job_id, needed) for needed, state in needs.items() if state == JobState.SUCCEEDED]
        if lost is not None:
            doomed[lost].append(job_id)
        elif len(succeeded) == len(needs):
            ready.append(job_id)
        met += succeeded
    chains.forget_met(session, met)
    if ready:
        chains.start(session, ready)
    return [moved for needed, job_ids in doomed.items() for moved in _fail(context, session, needed, job_ids)], bool(ready)


def _fail(context: Context, session: Session, needed: str, job_ids: Collection[str]) -> list[Moved]:
    error = lost_to(session.get_one(Job, needed))
    chains.forget(session, job_ids)
    return context.life.move_all(
        session,
        list(job_ids),
        "fail",
        JobState.QUEUED,
        actor=context.owner,
        reason=error.message[:500],
        error=error.as_json(),
    )


def _shortened(message: str) -> str:
    return message if len(message) <= _HEAD + _TAIL else f"{message[:_HEAD]} … {message[-_TAIL:]}"

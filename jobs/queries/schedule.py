"""What is due, and who takes it: the tick's and the workers' side of the job table.

A message on its way is a hint; `due_at` says when it counts as lost and is given again. What is started when is the business of
`jobs.queries.release`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, literal_column, or_, select, tuple_, update
from sqlmodel import Session, col

from jobs.db import after, now
from jobs.models import Attempt, Batch, Delivery, Event, Job
from jobs.states import ACTIVE, FINAL, MODALITIES, JobState

#: The first half of our advisory locks' names; any number will do, as long as it is always this one.
_LOCKS = 7_215_532

#: What the dispatcher's rounds are called there.
RELEASE = "release"

_RETURN_ROWS = {"populate_existing": True, "synchronize_session": False}


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a queue message carries: which job, under which fence, and the operation for the people who read Flower."""

    job_id: str
    fence: int
    operation: str
    modality: str


def _ticket_columns() -> tuple[Any, ...]:
    return col(Job.id), col(Job.fence), col(Job.operation), col(Job.modality)


def _tickets(rows: Iterable[Any]) -> list[Ticket]:
    return [Ticket(*row) for row in rows]


# What there is ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a tick would find something to do for. An idle system pays one small query for it."""

    backlog: bool
    collecting: frozenset[str]
    lost_hints: bool
    silent_submits: bool
    polls: bool
    lookups: bool
    overdue: bool
    followed: bool
    deliveries: bool
    events: bool
    canceled_batches: bool
    batches: bool


def waiting(session: Session) -> Waiting:
    """One statement of nothing but EXISTS, each answered by the first row of an index."""

    def due(status: JobState) -> Any:
        return and_(col(Job.status) == status, col(Job.due_at) <= now())

    open_job = select(1).where(col(Job.batch_id) == col(Batch.id), col(Job.status).in_(ACTIVE)).exists()
    questions: dict[str, Any] = {
        **{f"collecting {name}": and_(due(JobState.COLLECTING), col(Job.modality) == name) for name in MODALITIES},
        "backlog": waits(),
        "lost_hints": and_(col(Job.released_at).is_not(None), due(JobState.QUEUED)),
        "silent_submits": due(JobState.SUBMITTING),
        "polls": due(JobState.RUNNING),
        "lookups": due(JobState.UNKNOWN),
        "overdue": _overdue(),
        "followed": col(Attempt.due_at) <= now(),
        "deliveries": col(Delivery.due_at) <= now(),
        "events": col(Event.sequence).is_(None),
        "canceled_batches": and_(col(Batch.canceled_at).is_not(None), col(Batch.finished_at).is_(None)),
        "batches": and_(col(Batch.finished_at).is_(None), ~open_job),
    }
    tables: dict[str, Any] = {
        "followed": Attempt.id,
        "deliveries": Delivery.id,
        "events": Event.id,
        "batches": Batch.id,
        "canceled_batches": Batch.id,
    }
    answers: list[Any] = [select(tables.get(name, Job.id)).where(condition).exists() for name, condition in questions.items()]
    row = session.execute(select(*answers)).one()
    yes = {name for name, answer in zip(questions, row, strict=True) if answer}
    return Waiting(
        collecting=frozenset(name for name in MODALITIES if f"collecting {name}" in yes),
        **{name: name in yes for name in questions if " " not in name},
    )


def waits(table: Any = Job) -> Any:
    """A job that is due and was not handed out. In literals, so that the databases recognize the condition of the index."""
    return and_(col(table.status) == literal_column("'queued'"), col(table.due_at) <= now(), col(table.released_at).is_(None))


# Outputs ----------------------------------------------------------------------------------------------------------------


def release_collecting(session: Session, modality: str, window: int, hint_s: float) -> list[Ticket]:
    """Hand over jobs whose outputs wait to be fetched, oldest first, as many as the window has room for.

    One whose fetcher fell silent is due again and handed over again; until then it keeps its place in the window.
    """
    one_at_a_time(session, f"collect {modality}")
    busy = session.scalar(select(func.count()).where(_in_window(modality, JobState.COLLECTING), col(Job.due_at) > now())) or 0
    if window <= busy:
        return []
    due = (
        select(col(Job.id))
        .where(col(Job.status) == JobState.COLLECTING, col(Job.modality) == modality, col(Job.due_at) <= now())
        .order_by(col(Job.due_at))
        .limit(window - busy)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Job)
        .where(col(Job.id).in_(due))
        .values(released_at=now(), due_at=after(hint_s), lease_owner=None)
        .returning(*_ticket_columns()),
        execution_options={"synchronize_session": False},
    )
    return _tickets(rows)


def one_at_a_time(session: Session, what: str) -> None:
    """Wait for whoever does the same until its commit: two who count the window at once would both fill what is free.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_LOCKS, func.hashtext(what))))


def _in_window(modality: str, *statuses: JobState) -> Any:
    return and_(col(Job.released_at).is_not(None), col(Job.modality) == modality, col(Job.status).in_(statuses))


# Due steps of started jobs ------------------------------------------------------------------------------------------------


def hand_out_due(session: Session, status: JobState, hint_s: float, limit: int) -> list[Ticket]:
    """Jobs in `status` whose moment has come (or whose worker fell silent), each handed out once per `hint_s`."""
    due = (
        select(col(Job.id))
        .where(col(Job.status) == status, col(Job.due_at) <= now())
        .order_by(col(Job.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Job).where(col(Job.id).in_(due)).values(due_at=after(hint_s), lease_owner=None).returning(*_ticket_columns()),
        execution_options={"synchronize_session": False},
    )
    return _tickets(rows)


def silent_submits(session: Session, limit: int) -> list[Job]:
    """Jobs whose worker died or fell silent around the paid call, locked for the caller to decide on."""
    return list(
        session.scalars(
            select(Job)
            .where(col(Job.status) == JobState.SUBMITTING, col(Job.due_at) <= now())
            .order_by(col(Job.due_at))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def overdue(session: Session, limit: int) -> list[Job]:
    """Open jobs whose time is over. One whose paid call is on the wire is not ended before that has an answer."""
    return list(
        session.scalars(select(Job).where(_overdue()).order_by(col(Job.expire_at)).limit(limit).with_for_update(skip_locked=True))
    )


def _overdue() -> Any:
    return and_(col(Job.expire_at) <= now(), col(Job.finished_at).is_(None), col(Job.status) != JobState.SUBMITTING)


def look_now(session: Session, job_id: str) -> None:
    """Bring forward the next look at a task that runs, or that is looked for; a job in somebody's hands is looked at already."""
    session.execute(
        update(Job)
        .where(
            col(Job.id) == job_id,
            col(Job.status).in_((JobState.RUNNING, JobState.UNKNOWN)),
            col(Job.lease_owner).is_(None),
            col(Job.due_at) > now(),
        )
        .values(due_at=now()),
        execution_options={"synchronize_session": False},
    )


# Claims -------------------------------------------------------------------------------------------------------------------


def claim(session: Session, pairs: Sequence[tuple[str, int]], status: JobState, owner: str, lease_s: float) -> list[Job]:
    """Take the lease of those (job, fence) pairs that are still free and still where the message said.

    A message that came twice, late, or for a job that moved on finds nothing here and has no effect.
    """
    rows = session.scalars(
        update(Job)
        .where(
            tuple_(col(Job.id), col(Job.fence)).in_(list(pairs)),
            col(Job.status) == status,
            or_(col(Job.lease_owner).is_(None), col(Job.due_at) <= now()),
        )
        .values(fence=Job.fence + 1, lease_owner=owner, due_at=after(lease_s))
        .returning(Job),
        execution_options=_RETURN_ROWS,
    )
    return list(rows)


def renew(session: Session, held: Iterable[tuple[str, int]], lease_s: float) -> set[str]:
    """Prolong the leases of these (job, fence) pairs; returns the jobs that are still the caller's."""
    rows = session.scalars(
        update(Job)
        .where(tuple_(col(Job.id), col(Job.fence)).in_(list(held)), col(Job.lease_owner).is_not(None))
        .values(due_at=after(lease_s))
        .returning(col(Job.id)),
        execution_options={"synchronize_session": False},
    )
    return set(rows)


def touch(session: Session, job_id: str, fence: int, **changes: Any) -> bool:
    """Change a held job without moving it. False when the lease is somebody else's by now."""
    result = session.execute(
        update(Job)
        .where(col(Job.id) == job_id, col(Job.fence) == fence, col(Job.status).not_in(FINAL))
        .values(changes)
        .returning(col(Job.id)),
        execution_options={"synchronize_session": False},
    )
    return result.first() is not None


@dataclass(frozen=True, slots=True)
class Snooze:
    """A look that found the task still running."""

    job_id: str
    fence: int
    wait_s: float
    progress: float | None
    upstream_status: str | None
    oddities: int


_SNOOZE = (
    update(Job)
    .where(col(Job.id) == bindparam("b_id"), col(Job.fence) == bindparam("b_fence"), col(Job.status) == JobState.RUNNING)
    .values(
        due_at=after(bindparam("b_wait")),
        lease_owner=None,
        polls=Job.polls + 1,
        progress=bindparam("b_progress"),
        upstream_status=bindparam("b_upstream"),
        oddities=bindparam("b_odd"),
    )
)


def snooze(session: Session, rows: Sequence[Snooze]) -> None:
    """Write many looks in one round trip; rows whose lease is gone are left alone."""
    if rows:
        session.connection().execute(
            _SNOOZE,
            [
                {
                    "b_id": row.job_id,
                    "b_fence": row.fence,
                    "b_wait": row.wait_s,
                    "b_progress": row.progress,
                    "b_upstream": row.upstream_status,
                    "b_odd": row.oddities,
                }
                for row in rows
            ],
        )


def attempts_of(session: Session, jobs: Iterable[Job]) -> dict[str, Attempt]:
    """The present attempt of each job, by job id. A `retry-download` job points at the attempt of the job it repeats."""
    wanted = {job.id: job.attempt_id for job in jobs if job.attempt_id is not None}
    rows = session.scalars(select(Attempt).where(col(Attempt.id).in_(list(wanted.values()))))
    found = {attempt.id: attempt for attempt in rows}
    return {job_id: found[attempt_id] for job_id, attempt_id in wanted.items() if attempt_id in found}


# Deliveries ---------------------------------------------------------------------------------------------------------------


def hand_out_deliveries(session: Session, hint_s: float, limit: int) -> list[tuple[str, int]]:
    """Deliveries whose moment has come: (id, fence)."""
    due = (
        select(col(Delivery.id))
        .where(col(Delivery.due_at) <= now())
        .order_by(col(Delivery.due_at))
        .limit(limit)
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    rows = session.execute(
        update(Delivery)
        .where(col(Delivery.id).in_(due))
        .values(due_at=after(hint_s), lease_owner=None)
        .returning(col(Delivery.id), col(Delivery.fence)),
        execution_options={"synchronize_session": False},
    )
    return [(delivery_id, fence) for delivery_id, fence in rows]


def claim_delivery(session: Session, delivery_id: str, fence: int, owner: str, lease_s: float) -> Delivery | None:
    return session.scalars(
        update(Delivery)
        .where(
            col(Delivery.id) == delivery_id,
            col(Delivery.fence) == fence,
            col(Delivery.status) == "pending",
            or_(col(Delivery.lease_owner).is_(None), col(Delivery.due_at) <= now()),
        )
        .values(fence=Delivery.fence + 1, lease_owner=owner, due_at=after(lease_s))
        .returning(Delivery),
        execution_options=_RETURN_ROWS,
    ).one_or_none()


def unfinished_batches(session: Session, limit: int) -> list[str]:
    """Batches that nobody marked finished although none of their jobs is open: their last worker died in between."""
    open_job = select(1).where(col(Job.batch_id) == col(Batch.id), col(Job.status).in_(ACTIVE)).exists()
    return list(session.scalars(select(col(Batch.id)).where(col(Batch.finished_at).is_(None), ~open_job).limit(limit)))

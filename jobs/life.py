"""The one guarded move.

A job changes state only here: one UPDATE that names the states it may leave (and, for a worker, the fence it holds). Zero rows
changed: somebody else won, and the caller stops quietly. The move, its history row, the event it causes and the deliveries of
that event are one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import case, func, insert, select, update
from sqlalchemy.sql.elements import ColumnElement
from sqlmodel import Session, col

from jobs import view
from jobs.db import after, now
from jobs.ids import new_id
from jobs.models import Artifact, Attempt, Batch, Delivery, Event, Job, Transition, WebhookEndpoint
from jobs.queries import ledger
from jobs.states import ACTIVE, DEFAULT_EVENTS, FINAL, MOVES, JobState

#: What a job is that no queue has: it waits in SQL, and takes no place within any limit.
NOT_HANDED_OUT: dict[str, Any] = {"released_at": None, "reserved": False, "key_name": None, "probe": False}


@dataclass(frozen=True, slots=True)
class Hint:
    """A delivery that became due; the caller publishes it after the commit."""

    delivery_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The job as it now is, and the deliveries its event caused."""

    job: Job
    hints: list[Hint] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Life:
    """Moves jobs and tells of it. One of these per process.

    `link` makes the artifact links that webhook bodies carry (good for `link_ttl_s`); `hint_s` is how long a published message
    may stay unanswered before the tick repeats it.
    """

    link: view.Linker
    link_ttl_s: int
    hint_s: float

    def move(
        self,
        session: Session,
        job_id: str,
        name: str,
        *,
        actor: str,
        if_fence: int | None = None,
        only: ColumnElement[bool] | None = None,
        reason: str | None = None,
        **changes: Any,
    ) -> Moved | None:
        """Make the move `name` of MOVES, setting `changes` with it. None if the job was no longer where it starts from.

        Every move but `claim` gives up the lease. A final state puts the job to rest, and `queued` back into the backlog.
        `if_fence`: only if that is still the newest claim; `only`: only if this is true of it.
        """
        source = self._source(session, job_id, MOVES[name].sources)
        if source is None:
            return None
        return next(
            iter(
                self.move_all(session, [job_id], name, source, actor=actor, if_fence=if_fence, only=only, reason=reason, **changes)
            ),
            None,
        )

    def move_all(
        self,
        session: Session,
        job_ids: Sequence[str],
        name: str,
        source: JobState,
        *,
        actor: str,
        if_fence: int | None = None,
        only: ColumnElement[bool] | None = None,
        reason: str | None = None,
        **changes: Any,
    ) -> list[Moved]:
        """The same move for all of these jobs that are in `source`, in as many statements as for one. Returns those it moved."""
        step = MOVES[name]
        if source not in step.sources:
            raise ValueError(f"{name} does not leave {source}")
        values: dict[str, Any] = {"lease_owner": None} | changes | {"status": step.target, "version": Job.version + 1}
        if step.target == JobState.QUEUED:
            values |= NOT_HANDED_OUT | {"expire_at": _expires_unstarted()}
        if step.target in FINAL:
            values |= {"finished_at": now(), "due_at": None, "lease_owner": None} | NOT_HANDED_OUT
            values.setdefault("actual_usd", ledger.COST)
        statement = update(Job).where(col(Job.id).in_(job_ids), col(Job.status) == source)
        if if_fence is not None:
            statement = statement.where(col(Job.fence) == if_fence)
        if only is not None:
            statement = statement.where(only)
        jobs = list(
            session.scalars(
                statement.values(values).returning(Job),
                execution_options={"populate_existing": True, "synchronize_session": False},
            )
        )
        if not jobs:
            return []
        if step.target in FINAL - {JobState.SUCCEEDED} and any(job.attempts for job in jobs):
            self._let_follow(session, [job.id for job in jobs])
        history = {"name": name, "source": source, "target": step.target, "actor": actor, "reason": reason}
        session.execute(
            insert(Transition), [{**history, "job_id": job.id, "version": job.version, "fence": job.fence} for job in jobs]
        )
        hints = self._tell(session, jobs, step.event) if step.event else {}
        return [Moved(job, hints.get(job.id, [])) for job in jobs]

    def complete_batch(self, session: Session, batch_id: str) -> list[Hint]:
        """Mark the batch finished and tell of it, once, if no job of it is open any more.

        Called in a transaction of its own after the one that ended a job: two last jobs that end at the same moment do not see
        each other's change, but whichever comes here second sees both.
        """
        open_job = select(1).where(col(Job.batch_id) == batch_id, col(Job.status).in_(ACTIVE)).exists()
        batch = session.scalars(
            update(Batch)
            .where(col(Batch.id) == batch_id, col(Batch.finished_at).is_(None), ~open_job)
            .values(finished_at=now())
            .returning(Batch),
            execution_options={"populate_existing": True, "synchronize_session": False},
        ).one_or_none()
        if batch is None:
            return []
        data = view.batch_view(batch, count_by_status(session, batch_id))
        told = _Told(batch.tenant_id, batch.callback_url, None, {"batch_id": batch.id, "version": 0}, data)
        return self._record(session, "batch.completed", [told])[0]

    @staticmethod
    def _let_follow(session: Session, job_ids: Sequence[str]) -> None:
        """What the provider may still be at work for, or may have charged, is looked after when its job has ended."""
        session.execute(
            update(Attempt)
            .where(col(Attempt.job_id).in_(job_ids), col(Attempt.state).not_in(("rejected", "not_accepted", "not_sent")))
            .values(due_at=now()),
            execution_options={"synchronize_session": False},
        )

    @staticmethod
    def _source(session: Session, job_id: str, sources: frozenset[JobState]) -> JobState | None:
        if len(sources) == 1:
            return next(iter(sources))
        status = session.scalar(select(col(Job.status)).where(col(Job.id) == job_id).with_for_update())
        return JobState(status) if status is not None and status in sources else None

    def _tell(self, session: Session, jobs: Sequence[Job], type_: str) -> dict[str, list[Hint]]:
        """Events and deliveries of jobs that just moved; the hints by job."""
        artifacts: dict[str, list[Artifact]] = {job.id: [] for job in jobs}
        finished = [job.id for job in jobs if job.status in FINAL]
        rows = select(Artifact).where(col(Artifact.job_id).in_(finished)).order_by(col(Artifact.index))
        for artifact in session.scalars(rows) if finished else ():
            artifacts[artifact.job_id].append(artifact)
        named = [job.attempt_id for job in jobs if job.attempt_id]
        attempts = {row.id: row for row in session.scalars(select(Attempt).where(col(Attempt.id).in_(named)))} if named else {}
        told = [
            _Told(
                job.tenant_id,
                job.callback_url,
                job.events,
                {"job_id": job.id, "version": job.version},
                view.job_view(
                    job, artifacts[job.id], attempts.get(job.attempt_id or ""), link=self.link, link_ttl_s=self.link_ttl_s
                ),
            )
            for job in jobs
        ]
        return dict(zip((job.id for job in jobs), self._record(session, type_, told), strict=True))

    def _record(self, session: Session, type_: str, told: Sequence[_Told]) -> list[list[Hint]]:
        """Write the events, and one delivery for each callback and each standing endpoint that wants them; hints in order."""
        tenants = {one.tenant_id for one in told}
        standing = select(WebhookEndpoint).where(
            col(WebhookEndpoint.tenant_id).in_(tenants), col(WebhookEndpoint.disabled_at).is_(None)
        )
        endpoints = [one for one in session.scalars(standing) if _wants(one.events, type_)]
        at = datetime.now(UTC)
        events: list[dict[str, Any]] = []
        deliveries: list[dict[str, Any]] = []
        hints: list[list[Hint]] = []
        for one in told:
            # The body is frozen here: every try of every receiver sends these very bytes, so a signature can be checked in a log.
            envelope = view.event_envelope(type_, at, one.data)
            body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
            event = {"id": new_id("evt"), "tenant_id": one.tenant_id, "type": type_, "body": body, **one.about}
            events.append(event)
            targets: list[tuple[str, str | None]] = []
            if one.callback_url and _wants(one.wanted, type_):
                targets.append((one.callback_url, None))
            targets += [(endpoint.url, endpoint.id) for endpoint in endpoints if endpoint.tenant_id == one.tenant_id]
            rows = [
                {
                    "id": new_id("dlv"),
                    "event_id": event["id"],
                    "tenant_id": one.tenant_id,
                    "job_id": one.about.get("job_id"),
                    "endpoint_id": endpoint_id,
                    "url": url,
                }
                for url, endpoint_id in targets
            ]
            deliveries += rows
            hints.append([Hint(row["id"], 0) for row in rows])
        session.execute(insert(Event), events)
        if deliveries:
            # executemany takes values, not SQL expressions: the database's clock is asked once for all of them.
            due_at = session.execute(select(after(self.hint_s))).scalar_one()
            session.execute(insert(Delivery), [{**row, "due_at": due_at} for row in deliveries])
        return hints


def _expires_unstarted() -> Any:
    """When a job that has not started is ended for being late."""
    start_by, deadline_at = col(Job.start_by), col(Job.deadline_at)
    return case((start_by < deadline_at, start_by), else_=func.coalesce(deadline_at, start_by))


@dataclass(frozen=True, slots=True)
class _Told:
    """Something to tell: of whom, to whom, and what."""

    tenant_id: str
    callback_url: str | None
    wanted: list[str] | None
    about: dict[str, Any]
    data: dict[str, Any]


def _wants(events: list[str] | None, type_: str) -> bool:
    return type_ in (DEFAULT_EVENTS if events is None else events)


def count_by_status(session: Session, batch_id: str) -> dict[str, int]:
    rows = session.execute(select(col(Job.status), func.count()).where(col(Job.batch_id) == batch_id).group_by(col(Job.status)))
    return dict(rows.all())

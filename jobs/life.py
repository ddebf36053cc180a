"""The one guarded move.

A job changes state only here: one UPDATE that names the states it may leave (and, for a worker, the fence it holds). Zero rows
changed: somebody else won, and the caller stops quietly. The move, its history row, the event it causes and the deliveries of
that event are one transaction.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlmodel import Session, col

from jobs import view
from jobs.db import after, now
from jobs.ids import new_id
from jobs.models import Artifact, Attempt, Batch, Delivery, Event, Job, Transition, WebhookEndpoint
from jobs.states import ACTIVE, DEFAULT_EVENTS, FINAL, MOVES, JobState


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
        reason: str | None = None,
        **changes: Any,
    ) -> Moved | None:
        """Make the move `name` of MOVES, setting `changes` with it. None if the job was no longer where it starts from.

        Every move but `claim` gives up the lease. A final state puts the job to rest. `if_fence`: only if that
        is still the newest claim.
        """
        step = MOVES[name]
        source = self._source(session, job_id, step.sources)
        if source is None:
            return None
        values: dict[str, Any] = {"lease_owner": None} | changes | {"status": step.target, "version": Job.version + 1}
        if step.target in FINAL:
            values |= {"finished_at": now(), "due_at": None, "lease_owner": None, "released_at": None}
        statement = update(Job).where(col(Job.id) == job_id, col(Job.status) == source)
        if if_fence is not None:
            statement = statement.where(col(Job.fence) == if_fence)
        job = session.scalars(
            statement.values(values).returning(Job),
            execution_options={"populate_existing": True, "synchronize_session": False},
        ).one_or_none()
        if job is None:
            return None
        session.execute(
            insert(Transition).values(
                job_id=job.id,
                version=job.version,
                name=name,
                source=source,
                target=step.target,
                fence=job.fence,
                actor=actor,
                reason=reason,
            )
        )
        return Moved(job, self._tell(session, job, step.event) if step.event else [])

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
        event = self._record(session, "batch.completed", data, tenant_id=batch.tenant_id, batch_id=batch.id, version=0)
        return self._address(session, event, batch.callback_url, None)

    @staticmethod
    def _source(session: Session, job_id: str, sources: frozenset[JobState]) -> JobState | None:
        if len(sources) == 1:
            return next(iter(sources))
        status = session.scalar(select(col(Job.status)).where(col(Job.id) == job_id).with_for_update())
        return JobState(status) if status is not None and status in sources else None

    def _tell(self, session: Session, job: Job, type_: str) -> list[Hint]:
        artifacts = (
            session.scalars(select(Artifact).where(col(Artifact.job_id) == job.id).order_by(col(Artifact.index))).all()
            if job.status in FINAL
            else ()
        )
        attempt = session.get(Attempt, job.attempt_id) if job.attempt_id else None
        data = view.job_view(job, artifacts, attempt, link=self.link, link_ttl_s=self.link_ttl_s)
        event = self._record(session, type_, data, tenant_id=job.tenant_id, job_id=job.id, version=job.version)
        return self._address(session, event, job.callback_url, job.events)

    @staticmethod
    def _record(session: Session, type_: str, data: dict[str, Any], **about: Any) -> Event:
        # The body is frozen here: every try of every receiver sends these very bytes, so a signature can be checked against a log.
        envelope = view.event_envelope(type_, datetime.now(UTC), data)
        body = json.dumps(envelope, ensure_ascii=False, separators=(",", ":"))
        return session.scalars(insert(Event).values(id=new_id("evt"), type=type_, body=body, **about).returning(Event)).one()

    def _address(self, session: Session, event: Event, callback_url: str | None, wanted: list[str] | None) -> list[Hint]:
        """One delivery for the callback and one for each standing endpoint that wants this event."""
        targets: list[tuple[str, str | None]] = []
        if callback_url and event.type in (DEFAULT_EVENTS if wanted is None else wanted):
            targets.append((callback_url, None))
        endpoints = session.scalars(
            select(WebhookEndpoint).where(
                col(WebhookEndpoint.tenant_id) == event.tenant_id, col(WebhookEndpoint.disabled_at).is_(None)
            )
        )
        targets += [(one.url, one.id) for one in endpoints if event.type in (DEFAULT_EVENTS if one.events is None else one.events)]
        hints = []
        for url, endpoint_id in targets:
            delivery_id = new_id("dlv")
            session.execute(
                insert(Delivery).values(
                    id=delivery_id,
                    event_id=event.id,
                    tenant_id=event.tenant_id,
                    job_id=event.job_id,
                    endpoint_id=endpoint_id,
                    url=url,
                    due_at=after(self.hint_s),
                )
            )
            hints.append(Hint(delivery_id, 0))
        return hints


def count_by_status(session: Session, batch_id: str) -> dict[str, int]:
    rows = session.execute(select(col(Job.status), func.count()).where(col(Job.batch_id) == batch_id).group_by(col(Job.status)))
    return {status: count for status, count in rows}

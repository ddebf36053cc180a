"""Where a waiting job stands: what is before it, when it may start by what starts now, and what it waits for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, tuple_
from sqlmodel import Session, col

from jobs import catalogue
from jobs.db import after, now
from jobs.desk import Start, Wait
from jobs.models import Attempt, Job, Tenant
from jobs.queries import release
from jobs.queries.release import House, Queued
from jobs.queries.schedule import waits
from jobs.states import JobState

#: Rows counted for one answer; a place behind more of them is not told.
_MOST_COUNTED = 20_000
#: What has started in so many minutes says how fast it goes; starts read for it.
_MINUTES = 10
_MOST_STARTS = 5_000


@dataclass(frozen=True, slots=True)
class Standing:
    """`position`: 1 is next; null: behind more than are counted, or not in the line yet.

    `starts_by_p50`, `starts_by_p90`: when it will have started if it goes on as in half, or in all but the slowest tenth, of the
    last minutes; null: nothing has started lately.
    """

    position: int | None
    starts_by_p50: datetime | None
    starts_by_p90: datetime | None
    waiting_for: Wait


def of(session: Session, job: Job, house: House) -> Standing | None:
    """None for a job that does not wait."""
    if job.status != JobState.QUEUED:
        return None
    moment = session.execute(select(now())).scalar_one()
    if job.due_at is None:
        why = "an equal job that runs for both" if job.twin_of else "the jobs that it points at"
        return Standing(None, None, None, Wait("job", why))
    if job.released_at is not None:
        return Standing(None, None, None, Wait("worker", "a worker; it was handed to the queue"))
    if job.due_at > moment:
        return Standing(None, None, None, Wait("time", f"its time, {job.due_at:%Y-%m-%d %H:%M:%S} UTC"))
    position = _position(session, job)
    waiting_for = _waiting_for(session, job, house, moment)
    # Of a pause nobody knows when it ends.
    p50, p90 = (None, None) if waiting_for.reason == "paused" else _starts_by(session, job, position, moment)
    return Standing(position, p50, p90, waiting_for)


def _position(session: Session, job: Job) -> int | None:
    """Its place if all tenants of its modality are served in turn from now on."""
    some = (
        select(col(Job.tenant_id), (tuple_(col(Job.rank_at), col(Job.id)) < tuple_(job.rank_at, job.id)).label("earlier"))
        .where(waits(), col(Job.modality) == job.modality)
        .limit(_MOST_COUNTED + 1)
        .subquery()
    )
    rows = session.execute(select(some.c.tenant_id, some.c.earlier, func.count()).group_by(some.c.tenant_id, some.c.earlier)).all()
    if sum(jobs for _, _, jobs in rows) > _MOST_COUNTED:
        return None
    waiting: Counter[str] = Counter()
    for tenant_id, earlier, jobs in rows:
        waiting[tenant_id] += jobs if tenant_id != job.tenant_id or earlier else 0
    own = waiting.pop(job.tenant_id, 0) + 1
    weights = dict(
        session.execute(select(col(Tenant.id), col(Tenant.weight)).where(col(Tenant.id).in_([*waiting, job.tenant_id]))).all()
    )
    # By the time that it is served each of the others was served in proportion, if it has so much.
    others = (min(jobs, math.ceil((own - 1) * weights[name] / weights[job.tenant_id])) for name, jobs in waiting.items())
    return int(own + sum(others))


def _starts_by(session: Session, job: Job, position: int | None, moment: datetime) -> tuple[datetime, datetime] | tuple[None, None]:
    alike = [op.name for op in catalogue.all_operations().values() if op.modality == job.modality]
    sent = session.scalars(
        select(col(Attempt.sent_at))
        .where(col(Attempt.operation).in_(alike), col(Attempt.sent_at) >= after(-60.0 * _MINUTES))
        .order_by(col(Attempt.sent_at).desc())
        .limit(_MOST_STARTS)
    ).all()
    pace = _pace(sent, moment)
    if position is None or not pace:
        return None, None
    p50, p90 = pace[len(pace) // 2], pace[len(pace) // 10]
    return moment + timedelta(minutes=position / p50), moment + timedelta(minutes=position / p90)


def _pace(sent: Sequence[datetime], moment: datetime) -> list[int]:
    """Starts in each of the last minutes in which there were any, the slowest first."""
    minutes = Counter(int((moment - at).total_seconds() // 60) for at in sent)
    return sorted(minutes.values())


def _waiting_for(session: Session, job: Job, house: House, moment: datetime) -> Wait:
    tenant = session.get_one(Tenant, job.tenant_id)
    windows = release.free_windows(session, house)[1]
    desk = release.open_desk(session, house, moment, windows, {tenant.id: tenant})
    row = Queued(*(getattr(job, name) for name in Queued._fields))
    match desk.verdict(row):
        case Wait() as wait:
            return wait
        case Start():
            return Wait("turn", "its turn")
        case never:
            return Wait("turn", never.message)

"""The dispatcher's side of the job table: which waiting jobs are handed to the queues now.

The backlog stays in SQL; what is handed out is the hot window, small, so that a cancel or a pause acts on all that waits. One
round at a time, whoever begins it: two who count what is free at once would both fill it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, literal_column, select, text, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col
from sqlmodel.sql.sqltypes import UTCDateTime

from jobs.db import after, now
from jobs.desk import Desk, KeysOf, Never, Start
from jobs.fairness import Lane, Ring, Verdict, serve
from jobs.life import NOT_HANDED_OUT
from jobs.limits import Room
from jobs.models import Batch, Gate, Job, Pause, Tenant
from jobs.models import Ring as RingRow
from jobs.queries import ledger, limits
from jobs.queries.schedule import RELEASE, Ticket, one_at_a_time, waits
from jobs.states import JobState

#: Jobs of a lane read ahead.
_AHEAD = 64
#: One ring for all modalities: what a tenant has of its turn does not depend on what it asks for.
_RING = "all"
#: Jobs of one round that are passed over because they will never start. Where there are more, their lanes wait for the next.
_MOST_DROPPED = 200
#: How long a pause that came by itself is left alone before a job tries again.
PROBE_EVERY_S = 600.0


class Queued(NamedTuple):
    """A waiting job as the dispatcher sees it."""

    id: str
    fence: int
    tenant_id: str
    modality: str
    provider: str
    operation: str
    units: int
    priority: int
    rank_at: datetime
    batch_id: str | None
    quoted_usd: Decimal | None
    expire_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class House:
    """How this installation hands out its jobs."""

    #: Places in the hot window, by modality.
    windows: Mapping[str, int]
    keys_of: KeysOf
    ageing_s: float
    #: Seconds after which a message counts as lost.
    hint_s: float


@dataclass(slots=True)
class Round:
    """What came of it. The tickets are to be published, and the jobs that will never start to be ended, both after the commit."""

    tickets: list[Ticket] = field(default_factory=list)
    never: dict[str, Never] = field(default_factory=dict)
    #: Something but the window was in the way: whatever ends may let something start.
    held_back: bool = False


def release(session: Session, house: House) -> Round:
    """Hand over what may start: by priority, then in turn among tenants, then by age, within all limits.

    Should the caller die before it has published, the tickets come back when `hint_s` has passed.
    """
    one_at_a_time(session, RELEASE)
    made = Round()
    moment, windows = free_windows(session, house)
    if all(free <= 0 for free in windows.values()) or not (heads := _heads(session)):
        return made
    tenants = _tenants(session, {head.tenant_id for head in heads})
    desk = open_desk(session, house, moment, windows, tenants)
    starts: dict[str, Start] = {}

    dropped = 0

    def drop() -> Verdict:
        nonlocal dropped
        dropped += 1
        return Verdict.DROPPED if dropped <= _MOST_DROPPED else Verdict.NO_ROOM

    def try_to_start(job: Queued) -> Verdict:
        if job.expire_at is not None and job.expire_at <= moment:
            # The tick ends it; here it would only take the place of one that may start.
            return drop()
        match desk.start(job):
            case Start() as start:
                starts[job.id] = start
                return Verdict.STARTED
            case Never() as never:
                made.never[job.id] = never
                return drop()
            case wait:
                made.held_back |= wait.reason != "window"
                return Verdict.NO_ROOM

    ring = _ring(session)
    started, after_it = serve(
        [Lane(head, lambda last: _following(session, last)) for head in heads],
        ring,
        {one.id: float(one.weight) for one in tenants.values()},
        moment=moment,
        ageing_s=house.ageing_s,
        try_to_start=try_to_start,
        full=desk.full,
    )
    if started:
        made.tickets = _hand_out(session, started, starts, house.hint_s)
        limits.spend(session, desk.room.spent, moment)
        _try_again_later(session, desk.tried)
    if after_it != ring:
        _keep_ring(session, after_it)
    return made


def open_desk(session: Session, house: House, moment: datetime, windows: dict[str, int], tenants: Mapping[str, Tenant]) -> Desk:
    """What is free now."""
    rules = limits.rules(session, tenants.values())
    gates = list(session.scalars(select(Gate)))
    return Desk(
        moment=moment,
        windows=windows,
        room=Room(rules, limits.under_way(session), limits.levels(session, moment) if any(rule.rates for rule in rules) else {}),
        pauses=list(session.scalars(select(Pause))),
        gates=gates,
        probes=_probes(session) if gates else {},
        keys_of=house.keys_of,
        money=_Money(session, tenants, moment),
    )


# What waits ---------------------------------------------------------------------------------------------------------------


def _columns() -> list[Any]:
    return [col(getattr(Job, name)) for name in Queued._fields]


def _heads(session: Session) -> list[Queued]:
    """The first job of each lane (modality, tenant, operation)."""
    sqlite = session.get_bind().dialect.name == "sqlite"
    ids = list(session.scalars(_HOPS_IN_SQLITE if sqlite else _HOPS))
    return [Queued(*row) for row in session.execute(select(*_columns()).where(col(Job.id).in_(ids)))] if ids else []


#: Hops from lane to lane in the index of the lanes, and reads no more of each. As text: SQLite would rather sort all that is due,
#: and has to be told the index, for which SQLAlchemy has no word.
_LANES_BY_HOPS = """
WITH RECURSIVE hops (id) AS (
    SELECT (
        SELECT first.id FROM job AS first {index}
        WHERE first.status = 'queued' AND first.due_at IS NOT NULL AND first.due_at <= {now} AND first.released_at IS NULL
        ORDER BY first.modality, first.tenant_id, first.operation, first.rank_at, first.id LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT next.id FROM job AS next {index}
        WHERE next.status = 'queued' AND next.due_at IS NOT NULL AND next.due_at <= {now} AND next.released_at IS NULL
            AND (next.modality, next.tenant_id, next.operation) > (this.modality, this.tenant_id, this.operation)
        ORDER BY next.modality, next.tenant_id, next.operation, next.rank_at, next.id LIMIT 1
    )
    FROM hops JOIN job AS this ON this.id = hops.id
)
SELECT id FROM hops WHERE id IS NOT NULL
"""
_HOPS = text(_LANES_BY_HOPS.format(index="", now="clock_timestamp()"))
_HOPS_IN_SQLITE = text(_LANES_BY_HOPS.format(index="INDEXED BY ix_job_backlog", now="mediamill_after(0.0)"))


def _following(session: Session, last: Queued) -> list[Queued]:
    """The next jobs of the same lane."""
    return [Queued(*row) for row in session.connection().execute(_following_statement(), last._asdict())]


@cache
def _following_statement() -> Any:
    lane = (col(getattr(Job, name)) == bindparam(name) for name in ("modality", "tenant_id", "operation"))
    beyond = tuple_(col(Job.rank_at), col(Job.id)) > tuple_(bindparam("rank_at", type_=UTCDateTime()), bindparam("id"))
    return select(*_columns()).where(waits(), *lane, beyond).order_by(col(Job.rank_at), col(Job.id)).limit(_AHEAD)


def free_windows(session: Session, house: House) -> tuple[datetime, dict[str, int]]:
    """The time, and what is free of the hot windows."""
    rows = session.connection().execute(_windows_statement()).all()
    taken = {modality: jobs for _, modality, jobs in rows if modality is not None}
    return rows[0].moment, {modality: size - taken.get(modality, 0) for modality, size in house.windows.items()}


@cache
def _windows_statement() -> Any:
    counts = (
        select(col(Job.modality), func.count().label("jobs"))
        .where(text("job.released_at IS NOT NULL"), col(Job.status).in_((JobState.QUEUED, JobState.SUBMITTING)))
        .group_by(col(Job.modality))
        .subquery()
    )
    clock = select(now().label("moment")).subquery()
    return select(clock.c.moment, counts.c.modality, counts.c.jobs).join(counts, literal_column("1=1"), isouter=True)


def _tenants(session: Session, ids: Collection[str]) -> dict[str, Tenant]:
    return {one.id: one for one in session.scalars(select(Tenant).where(col(Tenant.id).in_(ids)))}


def _probes(session: Session) -> dict[tuple[str, str], int]:
    """Jobs on their way that were handed out in doubt."""
    where = (col(Job.provider), func.coalesce(col(Job.key_name), ""))
    rows = session.execute(
        select(*where, func.count())
        .where(text("job.released_at IS NOT NULL"), col(Job.probe), col(Job.status).in_((JobState.QUEUED, JobState.SUBMITTING)))
        .group_by(*where)
    )
    return {(provider, key_name): jobs for provider, key_name, jobs in rows}


# What is handed out -------------------------------------------------------------------------------------------------------


def _hand_out(session: Session, started: Sequence[Queued], starts: Mapping[str, Start], hint_s: float) -> list[Ticket]:
    alike: defaultdict[Start, list[str]] = defaultdict(list)
    for job in started:
        alike[starts[job.id]].append(job.id)
    found: dict[str, Ticket] = {}
    for start, ids in alike.items():
        rows = session.execute(
            update(Job)
            .where(col(Job.id).in_(ids), waits())
            .values(released_at=now(), due_at=after(hint_s), reserved=True, key_name=start.key_name, probe=start.probe)
            .returning(col(Job.id), col(Job.fence), col(Job.operation), col(Job.modality)),
            execution_options={"synchronize_session": False},
        )
        found |= {row[0]: Ticket(*row) for row in rows}
    # One that is missing was canceled, or paused, at this very moment.
    return [found[job.id] for job in started if job.id in found]


def take_back_lost_hints(session: Session) -> int:
    """Released jobs that nobody claimed in time go back to the backlog: their message is gone."""
    result = session.execute(
        update(Job)
        .where(col(Job.released_at).is_not(None), col(Job.status) == JobState.QUEUED, col(Job.due_at) <= now())
        .values(NOT_HANDED_OUT)
        .returning(col(Job.id)),
        execution_options={"synchronize_session": False},
    )
    return len(result.all())


def _try_again_later(session: Session, tried: Iterable[Pause]) -> None:
    scopes = [pause.scope for pause in tried]
    if scopes:
        session.execute(update(Pause).where(col(Pause.scope).in_(scopes)).values(probe_at=after(PROBE_EVERY_S)))


# Whose turn it is ---------------------------------------------------------------------------------------------------------


def _ring(session: Session) -> Ring:
    row = session.get(RingRow, _RING)
    return Ring(row.turn.split(",") if row.turn else [], dict(row.deficits)) if row else Ring()


def _keep_ring(session: Session, ring: Ring) -> None:
    values = {"turn": ",".join(ring.order), "deficits": ring.left}
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(RingRow).values(modality=_RING, **values)
    session.execute(statement.on_conflict_do_update(index_elements=["modality"], set_=values))


# What may be spent --------------------------------------------------------------------------------------------------------


class _Money:
    """The caps of tenants and batches, each looked up when it is first asked for."""

    def __init__(self, session: Session, tenants: Mapping[str, Tenant], moment: datetime) -> None:
        self._session = session
        self._tenants = tenants
        self._day = ledger.day_of(moment)
        self._of_tenants: dict[str, Decimal | None] = {}
        self._of_batches: dict[str, Decimal | None] = {}

    def most_today(self, tenant_id: str) -> Decimal | None:
        tenant = self._tenants.get(tenant_id)
        caps = [] if tenant is None else [cap for cap in (tenant.cap_usd, tenant.cap_day_usd) if cap is not None]
        return min(caps, default=None)

    def left_today(self, tenant_id: str) -> Decimal | None:
        if tenant_id not in self._of_tenants:
            self._of_tenants[tenant_id] = self._left_of_tenant(self._tenants.get(tenant_id))
        return self._of_tenants[tenant_id]

    def left_of_batch(self, batch_id: str) -> Decimal | None:
        if batch_id not in self._of_batches:
            most = self._session.scalar(select(col(Batch.max_cost_usd)).where(col(Batch.id) == batch_id))
            self._of_batches[batch_id] = None if most is None else most - ledger.spoken_for(self._session, batch_id=batch_id)
        return self._of_batches[batch_id]

    def take(self, tenant_id: str, batch_id: str | None, usd: Decimal) -> None:
        for caps, name in ((self._of_tenants, tenant_id), (self._of_batches, batch_id)):
            if name is not None and (left := caps.get(name)) is not None:
                caps[name] = left - usd

    def _left_of_tenant(self, tenant: Tenant | None) -> Decimal | None:
        if tenant is None or (tenant.cap_usd is None and tenant.cap_day_usd is None):
            return None
        left = []
        if tenant.cap_usd is not None:
            left.append(tenant.cap_usd - ledger.spoken_for(self._session, tenant_id=tenant.id))
        if tenant.cap_day_usd is not None:
            left.append(tenant.cap_day_usd - ledger.spoken_for(self._session, tenant_id=tenant.id, day=self._day))
        return min(left)

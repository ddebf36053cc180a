"""What was used and what it cost, in groups: jobs from their table, money from the ledger.

A job counts on the day it was handed in, money on the day of its call, both UTC. What nobody knows is counted apart and adds
nothing to a sum; a sum of which nothing is known is None, never zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import case, func, select
from sqlmodel import Session, col

from jobs import catalogue
from jobs.models import Attempt, Job, LedgerEntry, Tenant
from jobs.settings import DEFAULT_KEY

#: What may be told apart.
DIMENSIONS = ("tenant", "operation", "provider", "day", "key_name", "status")
#: Rows of one answer of the database: each group has one for each of its job's states, or each kind of ledger entry.
MOST_ROWS = 50_000

#: The values of the dimensions that were asked for, in their order. None: it has none, or not yet.
Key = tuple[str | None, ...]


class TooMany(Exception):
    """More groups than one answer should hold; a shorter time or fewer dimensions would do."""


class Span(NamedTuple):
    """From `start` until before `end`, in UTC; None: open. Money belongs to whole days: those that the span touches."""

    start: datetime | None = None
    end: datetime | None = None

    @property
    def first_day(self) -> str | None:
        return None if self.start is None else self.start.date().isoformat()

    @property
    def last_day(self) -> str | None:
        return None if self.end is None else (self.end - timedelta(microseconds=1)).date().isoformat()


ALL_TIME = Span()


@dataclass(slots=True)
class Sum:
    """Amounts of money, of which some are known."""

    usd: Decimal = Decimal(0)
    known: int = 0
    unknown: int = 0

    def add(self, usd: Decimal | None, entries: int, known: int) -> None:
        self.usd += usd or 0
        self.known += known
        self.unknown += entries - known

    @property
    def said(self) -> Decimal | None:
        """What is known of it; None where nothing is, although there was something."""
        return None if self.unknown and not self.known else self.usd


@dataclass(slots=True)
class Used:
    """One group. `quoted`, `settled`, `freed` and `reserved` hold an amount for each call that has one of these entries."""

    by_status: Counter[str] = field(default_factory=Counter)
    quoted: Sum = field(default_factory=Sum)
    reserved: Sum = field(default_factory=Sum)
    settled: Sum = field(default_factory=Sum)
    #: Set aside for calls that cost nothing after all.
    refunded: Sum = field(default_factory=Sum)
    #: Set aside for calls that are over, whatever they cost.
    freed: Sum = field(default_factory=Sum)

    @property
    def jobs(self) -> int:
        return self.by_status.total()

    @property
    def calls(self) -> int:
        return self.reserved.known + self.reserved.unknown

    @property
    def open(self) -> Sum:
        """Set aside for calls that are not over: the provider may or may not charge them."""
        return Sum(
            self.reserved.usd - self.freed.usd,
            self.reserved.known - self.freed.known,
            self.reserved.unknown - self.freed.unknown,
        )

    @property
    def open_calls(self) -> int:
        left = self.open
        return left.known + left.unknown

    @property
    def unknown_calls(self) -> int:
        """Calls that cost something, or will, and nobody knows how much."""
        return self.settled.unknown + self.open.unknown

    @property
    def cost(self) -> Decimal | None:
        """What all of it cost; None where a call is not over, one's cost is not known, or no call was written down."""
        return self.settled.usd if self.calls and not self.open_calls and not self.settled.unknown else None

    def take_in(self, other: Used) -> None:
        self.by_status += other.by_status
        for mine, theirs in (
            (self.quoted, other.quoted),
            (self.reserved, other.reserved),
            (self.settled, other.settled),
            (self.refunded, other.refunded),
            (self.freed, other.freed),
        ):
            mine.add(theirs.usd, theirs.known + theirs.unknown, theirs.known)


def used(session: Session, by: Collection[str], *, tenant_id: str | None, span: Span = ALL_TIME) -> dict[Key, Used]:
    """What was used of each group, in the order of their keys. `by`: any of DIMENSIONS. `tenant_id`: None is all tenants.

    Raises TooMany.
    """
    groups = spent(session, by, tenant_id=tenant_id, span=span)
    for values, status, count in _jobs(session, by, tenant_id, span):
        _group(groups, by, values).by_status[status] += count
    return dict(sorted(groups.items(), key=lambda one: ordered(one[0])))


def spent(session: Session, by: Collection[str], *, tenant_id: str | None, span: Span = ALL_TIME) -> dict[Key, Used]:
    """The same without the jobs: money alone, of groups in any order. Raises TooMany."""
    groups: dict[Key, Used] = {}
    for values, kind, entries, usd, usd_known, freed, freed_known in _money(session, by, tenant_id, span):
        group = _group(groups, by, values)
        match kind:
            case "quote":
                group.quoted.add(usd, entries, usd_known)
            case "reserve":
                group.reserved.add(usd, entries, usd_known)
            case "settle":
                group.settled.add(usd, entries, usd_known)
                group.freed.add(freed, entries, freed_known)
            case "refund":
                group.refunded.add(freed, entries, freed_known)
                group.freed.add(freed, entries, freed_known)
    return groups


def ordered(key: Key) -> tuple[tuple[bool, str], ...]:
    """By which groups are sorted; what has no value comes first."""
    return tuple((value is not None, value or "") for value in key)


def total(groups: Iterable[Used]) -> Used:
    together = Used()
    for one in groups:
        together.take_in(one)
    return together


# The two questions --------------------------------------------------------------------------------------------------------

Rows = list[tuple[dict[str, str | None], *tuple[Any, ...]]]


def _jobs(session: Session, by: Collection[str], tenant_id: str | None, span: Span) -> Rows:
    columns = {
        "tenant": col(Job.tenant_id),
        "operation": col(Job.operation),
        "day": _created_on(session),
        # A job itself only knows a key while it is handed out; what it was called with last is told by that call.
        "key_name": case(
            (col(Attempt.id).is_not(None), func.coalesce(col(Attempt.key_name), DEFAULT_KEY)), else_=col(Job.key_name)
        ),
    }
    wanted: list[Any] = [] if tenant_id is None else [col(Job.tenant_id) == tenant_id]
    if span.start is not None:
        # The id tells its millisecond, by a clock that may be another: it leads to the right end of the index.
        wanted += [col(Job.id) >= _lowest_id(span.start - timedelta(days=1)), col(Job.created_at) >= span.start]
    if span.end is not None:
        wanted += [col(Job.id) < _lowest_id(span.end + timedelta(days=1)), col(Job.created_at) < span.end]
    chosen = _chosen(by, columns)
    statement = select(*chosen.values(), col(Job.status), func.count()).where(*wanted)
    if "key_name" in chosen:
        statement = statement.select_from(Job).join(Attempt, col(Attempt.id) == col(Job.attempt_id), isouter=True)
    statement = statement.group_by(*chosen.values(), col(Job.status))
    return _rows(session, statement, chosen, extra=("status",) if "status" in by else ())


def _money(session: Session, by: Collection[str], tenant_id: str | None, span: Span) -> Rows:
    columns = {
        "tenant": col(LedgerEntry.tenant_id),
        "operation": col(LedgerEntry.operation),
        "day": col(LedgerEntry.day),
        "key_name": func.coalesce(col(LedgerEntry.key_name), DEFAULT_KEY),
        "status": col(Job.status),
    }
    # All tenants one by one: so their days are found in the same index as the days of one.
    whose = col(LedgerEntry.tenant_id) == tenant_id if tenant_id else col(LedgerEntry.tenant_id).in_(select(col(Tenant.id)))
    wanted: list[Any] = [whose]
    if span.first_day is not None:
        wanted.append(col(LedgerEntry.day) >= span.first_day)
    if span.last_day is not None:
        wanted.append(col(LedgerEntry.day) <= span.last_day)
    chosen = _chosen(by, columns)
    usd, freed = col(LedgerEntry.usd), col(LedgerEntry.freed_usd)
    statement = select(
        *chosen.values(),
        col(LedgerEntry.kind),
        func.count(),
        func.sum(usd),
        func.count(usd),
        func.sum(freed),
        func.count(freed),
    ).where(*wanted)
    if "status" in chosen:
        statement = statement.join(Job, col(Job.id) == col(LedgerEntry.job_id))
    return _rows(session, statement.group_by(*chosen.values(), col(LedgerEntry.kind)), chosen)


def _chosen(by: Collection[str], columns: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that tell what is to be told apart: a provider is told by its operations."""
    names = {"operation" if name == "provider" else name for name in by}
    return {name: column for name, column in columns.items() if name in names}


def _rows(session: Session, statement: Any, chosen: Mapping[str, Any], extra: tuple[str, ...] = ()) -> Rows:
    found = session.execute(statement.limit(MOST_ROWS + 1)).all()
    if len(found) > MOST_ROWS:
        raise TooMany("that is more than one answer holds")
    width = len(chosen)
    return [(dict(zip((*chosen, *extra), row, strict=False)), *row[width:]) for row in found]


def _group(groups: dict[Key, Used], by: Collection[str], values: Mapping[str, str | None]) -> Used:
    key = tuple(_provider(values["operation"]) if name == "provider" else values[name] for name in by)
    return groups.setdefault(key, Used())


def _provider(operation: str | None) -> str:
    """Also of an operation that is no longer in the catalogue: names begin with it."""
    found = catalogue.find(operation or "")
    return found.provider if found is not None else (operation or "").partition(".")[0]


def _created_on(session: Session) -> Any:
    if session.get_bind().dialect.name == "sqlite":
        return func.strftime("%Y-%m-%d", col(Job.created_at))
    return func.to_char(func.timezone("UTC", col(Job.created_at)), "YYYY-MM-DD")


def _lowest_id(moment: datetime) -> str:
    """Lower than the ids of all jobs that are made from this moment on (see jobs.ids)."""
    return f"job_{max(0, int(moment.timestamp() * 1000)):012x}"

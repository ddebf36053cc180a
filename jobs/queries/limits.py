"""Limits: rules about how much may be under way at once or started in a time, and how much of them is used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, func, select, text, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from jobs.db import now
from jobs.limits import PER_SECOND, Rule, Use, bucket_name, is_bucket_of, refilled
from jobs.models import Attempt, Bucket, Job, Limit, Tenant
from jobs.settings import DEFAULT_KEY

#: The scope of a rule without selectors.
EVERYTHING = "all"
_EACH = "*"


class Selectors(NamedTuple):
    """What a rule is about; None fits all. `each_key`: it holds for each upstream key by itself."""

    tenant_id: str | None = None
    provider: str | None = None
    operation: str | None = None
    key_name: str | None = None
    each_key: bool = False

    @property
    def scope(self) -> str:
        """Themselves in words, always in the same order: `tenant=ten_1 provider=kling operation=kling.text_to_video key=*`."""
        key = _EACH if self.each_key else self.key_name
        words = (("tenant", self.tenant_id), ("provider", self.provider), ("operation", self.operation), ("key", key))
        return " ".join(f"{name}={value}" for name, value in words if value is not None) or EVERYTHING


def selectors_of(scope: str) -> Selectors:
    """The selectors in such words, in any order. Raises ValueError that says what is wrong with them."""
    found: dict[str, str] = {}
    for word in [] if scope.strip() == EVERYTHING else scope.split():
        name, _, value = word.partition("=")
        if name not in ("tenant", "provider", "operation", "key") or not re.fullmatch(r"[\w.*-]+", value, re.ASCII):
            raise ValueError(f"{word[:64]} is no selector; there are tenant=, provider=, operation= and key=, or `{EVERYTHING}`")
        if name in found:
            raise ValueError(f"{name}= is given twice")
        found[name] = value
    if not found and scope.strip() != EVERYTHING:
        raise ValueError(f"there is no selector; there are tenant=, provider=, operation= and key=, or `{EVERYTHING}`")
    key = found.get("key")
    return Selectors(
        found.get("tenant"), found.get("provider"), found.get("operation"), None if key == _EACH else key, key == _EACH
    )


def put(
    session: Session,
    *,
    provider: str | None = None,
    operation: str | None = None,
    key_name: str | None = None,
    tenant_id: str | None = None,
    each_key: bool = False,
    concurrency: int | None = None,
    per_second: float | None = None,
    per_minute: float | None = None,
) -> Limit:
    """Set a rule. One with the same selectors is replaced as a whole."""
    values: dict[str, Any] = {
        "provider": provider,
        "operation": operation,
        "key_name": key_name,
        "tenant_id": tenant_id,
        "each_key": each_key,
        "concurrency": concurrency,
        "per_second": per_second,
        "per_minute": per_minute,
        "created_at": now(),
    }
    scope = Selectors(tenant_id, provider, operation, key_name, each_key).scope
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Limit).values(scope=scope, **values).on_conflict_do_update(index_elements=["scope"], set_=values)
    rule: Limit = session.scalars(statement.returning(Limit), execution_options={"populate_existing": True}).one()
    return rule


def remove(session: Session, scope: str) -> bool:
    """Take a rule away; `scope` as it is listed."""
    names = session.scalars(select(col(Bucket.name)).where(col(Bucket.name).startswith(f"{scope} ", autoescape=True)))
    session.execute(
        delete(Bucket).where(col(Bucket.name).in_([name for name in names if is_bucket_of(scope, name)])),
        execution_options={"synchronize_session": False},
    )
    result = session.execute(
        delete(Limit).where(col(Limit.scope) == scope).returning(col(Limit.scope)),
        execution_options={"synchronize_session": False},
    )
    return result.first() is not None


def get(session: Session, scope: str) -> Limit | None:
    return session.scalars(select(Limit).where(col(Limit.scope) == scope)).one_or_none()


def listed(session: Session) -> list[Limit]:
    return list(session.scalars(select(Limit).order_by(col(Limit.scope))))


# How much of them is used -------------------------------------------------------------------------------------------------


def under_way(session: Session) -> list[Use]:
    """What counts against the limits now: attempts that are held, and jobs that have their place and no attempt yet.

    One statement: between two, a job that begins its attempt would be in neither.
    """

    def counted(table: type[Attempt] | type[Job], condition: str) -> Select[*tuple[Any, ...]]:
        key = (col(table.tenant_id), col(table.provider), col(table.operation), func.coalesce(col(table.key_name), DEFAULT_KEY))
        # In words: SQLAlchemy asks SQLite for `held = 1`, which it does not recognize as the condition of the index.
        return select(*key, func.sum(col(table.units))).where(text(condition)).group_by(*key)

    found: Counter[tuple[str, str, str, str]] = Counter()
    for *names, units in session.execute(union_all(counted(Attempt, "attempt.held"), counted(Job, "job.reserved"))):
        tenant_id, provider, operation, key_name = names
        found[tenant_id, provider, operation, key_name] += int(units)
    return [Use(*key, units) for key, units in sorted(found.items())]


def used(rule: Limit, uses: Iterable[Use]) -> dict[str, int]:
    """Units under way that fit the rule's selectors, by upstream key."""
    found: Counter[str] = Counter()
    for use in uses:
        pairs = (
            (rule.tenant_id, use.tenant_id),
            (rule.provider, use.provider),
            (rule.operation, use.operation),
            (rule.key_name, use.key_name),
        )
        if all(wanted in (None, given) for wanted, given in pairs):
            found[use.key_name] += use.units
    return dict(found)


# As the dispatcher needs them ---------------------------------------------------------------------------------------------


def rules(session: Session, tenants: Iterable[Tenant] = ()) -> tuple[Rule, ...]:
    """All rules, and what these tenants may have running at once as a rule for each."""
    own = [Rule(f"max-running {one.id}", tenant_id=one.id, concurrency=one.max_running) for one in tenants if one.max_running]
    return (*(_rule(one) for one in session.scalars(select(Limit))), *own)


def levels(session: Session, moment: datetime) -> dict[str, float]:
    """What is left of each rate now. One that is not here was never used, or long ago."""
    # Among them are the buckets of what tenants may submit, whose names are others (`jobs.queries.intake`).
    buckets = session.scalars(select(Bucket).where(col(Bucket.name).endswith(PER_SECOND)))
    return {one.name: refilled(one.tokens, _rate_in(one.name), (moment - one.at).total_seconds()) for one in buckets}


def spend(session: Session, spent: Mapping[str, float], moment: datetime) -> None:
    """What is left of these rates from now on."""
    if not spent:
        return
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(Bucket).values([{"name": name, "tokens": left, "at": moment} for name, left in spent.items()])
    changed = {"tokens": statement.excluded.tokens, "at": statement.excluded.at}
    session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=changed))


def _rule(limit: Limit) -> Rule:
    rates = [rate for rate in (limit.per_second, limit.per_minute and limit.per_minute / 60) if rate]
    if len({bucket_name(limit.scope, "", rate) for rate in rates}) == 1:
        # The same in other words: it is taken from once.
        del rates[1:]
    return Rule(
        limit.scope,
        provider=limit.provider,
        operation=limit.operation,
        key_name=limit.key_name,
        tenant_id=limit.tenant_id,
        each_key=limit.each_key,
        concurrency=limit.concurrency,
        rates=tuple(rates),
    )


def _rate_in(name: str) -> float:
    """Starts a second: a bucket's name ends in it (`jobs.limits.bucket_name`)."""
    return float(name.rpartition(" ")[2].removesuffix(PER_SECOND))

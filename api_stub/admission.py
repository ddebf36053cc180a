"""Whether a tenant may hand in what it asks for: its limits, held against what it has handed in before.

Asked in the transaction that stores the work, before anything of it is stored, with the tenant locked: of fifty submits that race
for the last ten places ten are taken. Who has no limits pays one look, which tells the time as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlmodel import Session

from api_stub.problems import ApiProblem
from jobs.db import Database
from jobs.queries import intake, ledger
from jobs.queries.intake import Limits
from jobs.view import amount

#: Lines whose price is not known that are named.
_MOST_NAMED = 100


class Unpriced(NamedTuple):
    """A job whose price nobody knows, and why; and its line in a batch."""

    operation: str
    why: str
    line: int | None = None


class Demand(NamedTuple):
    """What is handed in: so many jobs, what those of known price are quoted together and the dearest alone, and the others."""

    jobs: int
    usd: Decimal
    dearest: Decimal
    unpriced: Sequence[Unpriced] = ()


def admit(session: Session, tenant_id: str, demand: Demand) -> datetime:
    """Count the call and what it asks for; the moment it was let in.

    Raises ApiProblem: 429 `too_many_submits` and `too_many_queued`, 402 `budget_exhausted`, 422 `price_unknown`.
    """
    moment, limits = intake.look(session, tenant_id)
    if limits.unlimited:
        return moment
    limits = intake.lock(session, tenant_id)
    if limits.submits_per_minute is not None:
        _in_time(intake.take_submit(session, tenant_id, limits.submits_per_minute), limits.submits_per_minute)
    if limits.capped and demand.unpriced:
        raise price_unknown(demand.unpriced, _cap_in_words(limits))
    if limits.max_queued is not None:
        _room(session, tenant_id, demand.jobs, limits.max_queued)
    if limits.cap_day_usd is not None and demand.dearest > limits.cap_day_usd:
        raise _never_affordable(demand.dearest, limits.cap_day_usd)
    if limits.cap_usd is not None and demand.usd:
        _affordable(session, tenant_id, demand.usd, limits.cap_usd)
    return moment


def may_submit(database: Database, tenant_id: str) -> None:
    """429 `too_many_submits` for a call that will not be let in, before much work is put into it. Counts nothing."""
    with database.read() as session:
        _, limits = intake.look(session, tenant_id)
        if limits.submits_per_minute is not None:
            _in_time(intake.wait_for_submit_s(session, tenant_id, limits.submits_per_minute), limits.submits_per_minute)


def price_unknown(unpriced: Sequence[Unpriced], cap: str) -> ApiProblem:
    """422: what such a job costs cannot be held against `cap`."""
    first = unpriced[0]
    where = "" if first.line is None else f"line {first.line}: "
    more = f" (and {len(unpriced) - 1:,} more)" if len(unpriced) > 1 else ""
    detail = (
        f"{where}what {first.operation} costs is not known ({first.why}), so {cap} could not be kept{more}; "
        "leave such jobs out, or have the operator name the price (MEDIAMILL_PRICES)"
    )
    return ApiProblem(422, "price_unknown", detail, errors=[_unpriced_error(one) for one in unpriced[:_MOST_NAMED]])


def _unpriced_error(one: Unpriced) -> dict[str, Any]:
    line = {} if one.line is None else {"line": one.line}
    return {**line, "loc": "operation", "code": "price_unknown", "msg": f"the price of {one.operation} is not known: {one.why}"}


def _cap_in_words(limits: Limits) -> str:
    if limits.cap_usd is not None:
        return f"your cap of {amount(limits.cap_usd)} USD"
    return f"your cap of {amount(limits.cap_day_usd or Decimal(0))} USD a day"


def _in_time(wait_s: float, per_minute: int) -> None:
    if wait_s > 0:
        wait = max(1, math.ceil(wait_s))
        detail = f"you may submit {per_minute:,} times a minute; wait {wait} s, or submit many jobs at once (POST /v1/batches)"
        raise ApiProblem(429, "too_many_submits", detail, headers={"Retry-After": str(wait)})


def _room(session: Session, tenant_id: str, jobs: int, most: int) -> None:
    # Not further than tells that there is no room; the count of a long backlog is worth nothing more.
    waiting = intake.queued(session, tenant_id, enough=most + 1)
    if waiting + jobs > most:
        asked = "1 job" if jobs == 1 else f"{jobs:,} jobs"
        detail = f"at most {most:,} jobs may wait at once, and {waiting:,} do: submit {asked} more when fewer do"
        raise ApiProblem(429, "too_many_queued", detail)


def _never_affordable(asked: Decimal, cap: Decimal) -> ApiProblem:
    amounts = {"cap_day_usd": amount(cap), "asked_usd": amount(asked)}
    detail = (
        f"a job that is quoted {amounts['asked_usd']} USD could never start: your cap is {amounts['cap_day_usd']} USD a day; "
        "ask for less at once, or ask the operator for a higher cap"
    )
    return ApiProblem(
        402, "budget_exhausted", detail, errors=[{"loc": "cost", "code": "budget_exhausted", "msg": detail, **amounts}]
    )


def _affordable(session: Session, tenant_id: str, asked: Decimal, cap: Decimal) -> None:
    claimed = ledger.claimed(session, tenant_id)
    if claimed + asked <= cap:
        return
    spent = intake.spent(session, tenant_id)
    amounts = {
        "cap_usd": amount(cap),
        "spent_usd": amount(spent),
        "set_aside_usd": amount(claimed - spent),
        "asked_usd": amount(asked),
    }
    detail = (
        f"this would cost {amounts['asked_usd']} USD; of your cap of {amounts['cap_usd']} USD {amounts['spent_usd']} are spent and "
        f"{amounts['set_aside_usd']} set aside for jobs that run or wait; cancel some of them, or ask the operator for a higher cap"
    )
    raise ApiProblem(
        402, "budget_exhausted", detail, errors=[{"loc": "cost", "code": "budget_exhausted", "msg": detail, **amounts}]
    )

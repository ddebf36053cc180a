"""What was used, and what it cost."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime
from sqlmodel import Session
from starlette.responses import Response

from api_stub import params
from api_stub.answers import answer
from api_stub.auth import AnyCaller, Caller
from api_stub.face import At
from api_stub.problems import ApiProblem, invalid
from api_stub.routes.router import for_tenants
from jobs.models import Tenant
from jobs.queries import tenants
from jobs.queries import usage as queries
from jobs.queries.usage import DIMENSIONS, Key, Span, Used
from jobs.submission import YEARS
from jobs.view import amount, instant

router = for_tenants("usage")

_BY = f"what to tell apart, with commas between: {', '.join(DIMENSIONS)}"


@router.get("/v1/usage")
def usage(
    face: At,
    caller: AnyCaller,
    since: Annotated[date | None, Query(description="the first day, YYYY-MM-DD, UTC")] = None,
    until: Annotated[date | None, Query(description="the last day, YYYY-MM-DD, UTC")] = None,
    start: Annotated[AwareDatetime | None, Query(alias="from", description="in place of `since`: from this moment on")] = None,
    end: Annotated[AwareDatetime | None, Query(alias="to", description="in place of `until`: before this moment")] = None,
    group_by: Annotated[str, Query(max_length=100, description=_BY)] = "operation",
    tenant: Annotated[str | None, Query(max_length=200, description="only this tenant's, by id or name; for admins")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="how many groups to answer at most")] = 1000,
    cursor: Annotated[str | None, Query(max_length=1000, description="`next_cursor` of the page before")] = None,
) -> Response:
    """Jobs and money by operation, tenant, provider, day, upstream key or status; admins see those of all tenants.

    A job counts on the day it was handed in, money on the day of its call; where a moment is given, money of that whole day.
    `quoted_usd`: by the price list. `settled_usd`: what calls have cost, as far as it is known. `refunded_usd`: set aside for calls
    that cost nothing. `open_usd`: set aside for calls that are not over. `unknown_calls` cost something that nobody knows and that
    is in no sum; a sum of which nothing is known is null, never zero. `total` is of all pages.
    """
    by = _dimensions(group_by)
    span = _span(since, until, start, end)
    after = _after(cursor, len(by))
    with face.context.database.read() as session:
        whose = _whose(session, caller, tenant)
        try:
            found = queries.used(session, by, tenant_id=whose, span=span)
        except queries.TooMany as error:
            msg = f"{error}: ask for fewer days, or tell less apart"
            raise invalid([{"loc": "query.group_by", "code": "too_many_groups", "msg": msg}]) from None
        names = {one.id: one.name for one in tenants.listed(session)} if "tenant" in by else {}
    rest = [key for key in found if after is None or queries.ordered(key) > queries.ordered(after)]
    page = rest[:limit]
    return answer(
        {
            "object": "usage",
            "from": instant(span.start),
            "to": instant(span.end),
            "group_by": ",".join(by),
            "data": [_named(by, key, names) | _shown(found[key]) for key in page],
            "total": _shown(queries.total(found.values())),
            "next_cursor": params.cursor(json.dumps(page[-1], separators=(",", ":"))) if len(rest) > limit else None,
        }
    )


def _named(by: list[str], key: Key, names: dict[str, str]) -> dict[str, Any]:
    said: dict[str, Any] = dict(zip(by, key, strict=True))
    if "tenant" in said:
        said["tenant_id"] = said["tenant"]
        said["tenant"] = names.get(said["tenant"])
    return said


def _shown(used: Used) -> dict[str, Any]:
    return {
        "jobs": used.jobs,
        "by_status": dict(sorted(used.by_status.items())),
        "calls": used.calls,
        "quoted_usd": amount(used.quoted.said),
        "unquoted_calls": used.quoted.unknown,
        "settled_usd": amount(used.settled.said),
        "refunded_usd": amount(used.refunded.said),
        "open_usd": amount(used.open.said),
        "open_calls": used.open_calls,
        "unknown_calls": used.unknown_calls,
        "cost_usd": amount(used.cost),
    }


def _whose(session: Session, caller: Caller, tenant: str | None) -> str | None:
    """The tenant whose usage is asked for; None: all of them."""
    if tenant is None:
        return None if caller.admin else caller.tenant_id
    if not caller.admin:
        raise ApiProblem(403, "admin_only", "only an admin's key may name a tenant; yours shows its own tenant's usage")
    found: Tenant | None = tenants.find(session, tenant)
    if found is None:
        raise invalid([{"loc": "query.tenant", "code": "unknown_tenant", "msg": "is no tenant's id or name"}])
    return found.id


def _dimensions(given: str) -> list[str]:
    by = [word.strip() for word in given.split(",")]
    if any(word not in DIMENSIONS for word in by):
        msg = f"takes {', '.join(DIMENSIONS)}, with commas between them"
        raise invalid([{"loc": "query.group_by", "code": "not_one_of", "msg": msg}])
    if len(set(by)) < len(by):
        raise invalid([{"loc": "query.group_by", "code": "repeated_value", "msg": "names one twice"}])
    return by


def _span(since: date | None, until: date | None, start: datetime | None, end: datetime | None) -> Span:
    for day, moment, names in ((since, start, ("since", "from")), (until, end, ("until", "to"))):
        if day is not None and moment is not None:
            raise invalid([{"loc": f"query.{names[0]}", "code": "twofold", "msg": f"is given as `{names[1]}` too"}])
    try:
        if since is not None:
            start = datetime.combine(since, time(), UTC)
        if until is not None:
            end = datetime.combine(until, time(), UTC) + timedelta(days=1)
        span = Span(start and start.astimezone(UTC), end and end.astimezone(UTC))
    except OverflowError:
        raise invalid([{"loc": "query", "code": "out_of_range", "msg": "time is not known so far from now"}]) from None
    for edge, name in ((span.start, "since" if since else "from"), (span.end, "until" if until else "to")):
        if edge is not None and edge.year not in YEARS:
            raise invalid(
                [{"loc": f"query.{name}", "code": "out_of_range", "msg": f"must lie between the years {YEARS[0]} and {YEARS[-1]}"}]
            )
    if span.start is not None and span.end is not None and span.end <= span.start:
        name = "until" if until else "to"
        raise invalid([{"loc": f"query.{name}", "code": "out_of_range", "msg": "lies before the beginning"}])
    return span


def _after(given: str | None, width: int) -> Key | None:
    """The group a cursor stands for."""
    if given is None:
        return None
    try:
        key = json.loads(params.behind(given))
    except (ValueError, RecursionError):
        key = None
    if not isinstance(key, list) or len(key) != width or not all(isinstance(value, str | None) for value in key):
        raise params.invalid_cursor()
    return tuple(key)

"""What was used."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import AwareDatetime
from starlette.responses import Response

from api_stub.answers import answer
from api_stub.auth import TenantId
from api_stub.face import At
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.queries import jobs

router = for_tenants("usage")


@router.get("/v1/usage")
def usage(
    face: At,
    tenant_id: TenantId,
    since: Annotated[AwareDatetime | None, Query(alias="from", description="jobs created at or after this moment")] = None,
    until: Annotated[AwareDatetime | None, Query(alias="to", description="jobs created before this moment")] = None,
    group_by: Annotated[Literal["operation", "day", "status"], Query()] = "operation",
) -> Response:
    """Jobs counted by operation, day (UTC) or status. A cost that is not known is null, never zero."""
    with face.context.database.read() as session:
        found = jobs.usage(session, tenant_id, group_by, since=since, until=until)
    groups: dict[str, dict[str, Any]] = {}
    for name, status, count in sorted(found):
        group = groups.setdefault(name, {group_by: name, "jobs": 0, "by_status": {}, "cost_usd": None})
        group["jobs"] += count
        group["by_status"][status] = count
    return answer(
        {
            "object": "usage",
            "from": view.instant(since),
            "to": view.instant(until),
            "group_by": group_by,
            "data": list(groups.values()),
            "total": {"jobs": sum(count for _, _, count in found), "cost_usd": None},
        }
    )

"""The pull feed: every event in order, for receivers that were away longer than any retry schedule."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api_stub.answers import answer
from api_stub.auth import TenantId
from api_stub.event_types import event_types
from api_stub.face import At, Face
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.queries import events
from jobs.states import EVENT_TYPES

router = for_tenants("events")

#: Events numbered before one answer: what is beyond that comes with the next.
_NUMBERED_ROUNDS = 10


@router.get("/v1/events")
def feed(
    face: At,
    tenant_id: TenantId,
    after: Annotated[int, Query(ge=0, le=2**53, description="the last `sequence` you have; `next_after` of the answer before")] = 0,
    types: Annotated[str | None, Query(max_length=500, description=f"comma-separated: {', '.join(EVENT_TYPES)}")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Events after a sequence number, oldest first. A number once seen is never followed by a smaller one."""
    wanted = event_types("query.types", types.split(",")) if types else None
    _number(face)
    with face.context.database.read() as session:
        found = events.after(session, tenant_id, after, types=wanted, limit=limit)
    data = [view.event_view(row, json.loads(row.body)) for row in found]
    return answer({"data": data, "next_after": found[-1].sequence if found else after})


def _number(face: Face) -> None:
    for _ in range(_NUMBERED_ROUNDS):
        with face.context.database.read() as session:
            if not events.waiting(session):
                return
        with face.context.database.transaction() as session:
            events.number(session)

"""The delivery log: every webhook, every try, and sending one again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from sqlmodel import Session
from starlette.responses import Response

from api_stub import params
from api_stub.answers import answer
from api_stub.auth import TenantId
from api_stub.face import At
from api_stub.params import plausible_id
from api_stub.problems import ApiProblem, not_found
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.life import Hint
from jobs.models import Delivery
from jobs.queries import deliveries

router = for_tenants("webhooks")


@router.get("/v1/deliveries")
def index(
    face: At,
    tenant_id: TenantId,
    job_id: Annotated[str | None, Query(max_length=80)] = None,
    status: Annotated[Literal["pending", "delivered", "failed"] | None, Query()] = None,
    limit: params.Limit = 50,
    cursor: params.Cursor = None,
) -> Response:
    """Deliveries, newest first, each with all its tries."""
    with face.context.database.read() as session:
        found = deliveries.page(session, tenant_id, job_id=job_id, status=status, limit=limit, before=params.before(cursor))
        return answer(params.page(_shown(session, found), limit))


@router.post("/v1/deliveries/{delivery_id}/resend", status_code=202)
def resend(face: At, tenant_id: TenantId, delivery_id: str) -> Response:
    """Start a delivery's schedule again: same event id, same bytes. 409 if its endpoint was removed."""
    with face.context.database.transaction() as session:
        found = deliveries.get(session, tenant_id, plausible_id(delivery_id, "delivery"))
        if found is None:
            raise not_found("there is no such delivery")
        if deliveries.endpoint_removed(session, found):
            detail = "the webhook endpoint of this delivery was removed, and with it the secret that would sign it"
            raise ApiProblem(409, "endpoint_removed", detail)
        row = deliveries.resend(session, tenant_id, delivery_id, face.context.settings.hint_s)
        if row is None:
            raise ApiProblem(409, "being_delivered", "this delivery is being sent at this moment")
        (shown,) = _shown(session, [row])
    face.afterwards.deliver([Hint(row.id, row.fence)])
    return answer(shown, 202)


def _shown(session: Session, found: list[Delivery]) -> list[dict[str, Any]]:
    about = deliveries.events_of(session, found)
    tries = deliveries.tries_of(session, [row.id for row in found])
    return [view.delivery_view(row, about[row.event_id], tries[row.id]) for row in found]

"""Standing endpoints: receivers of every event of a tenant, each with a secret of its own."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub import documents
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.body import json_document
from api_stub.event_types import event_types
from api_stub.face import At, Face
from api_stub.intake import callback_check
from api_stub.params import plausible_id
from api_stub.problems import invalid, misshapen, not_found
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.db import after, now
from jobs.ids import new_id
from jobs.models import WebhookEndpoint
from jobs.queries import deliveries, keys

router = for_tenants("webhooks")

#: Both secrets sign for this long after a rotation, so that a receiver can change over without a gap.
_BOTH_SIGN_S = 86_400

_Url = Annotated[str, StringConstraints(min_length=1, max_length=2048)]
_Text = Annotated[str, StringConstraints(max_length=500)]


Shape = TypeVar("Shape", bound=BaseModel)


class NewEndpoint(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: _Url
    #: Event types; null: the final states and job.unknown.
    events: list[str] | None = None
    description: _Text = ""


class EndpointChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    url: _Url | None = None
    events: list[str] | None = None
    description: _Text | None = None
    enabled: bool | None = None


@router.post("/v1/webhooks", status_code=201, openapi_extra=documents.NEW_ENDPOINT)
async def create(request: Request, face: At, tenant_id: TenantId) -> Response:
    """Make a standing endpoint. Its `secret` is in this answer and in no other."""
    asked = _read(NewEndpoint, await json_document(request))
    _check(face, asked.url, asked.events)
    secret = keys.new_webhook_secret()
    row = await run_in_threadpool(_add, face, tenant_id, asked, secret)
    return made(view.endpoint_view(row) | {"secret": secret}, 201, "/v1/webhooks")


@router.get("/v1/webhooks")
def index(face: At, tenant_id: TenantId) -> Response:
    """Your standing endpoints, oldest first."""
    with face.context.database.read() as session:
        found = [view.endpoint_view(row) for row in deliveries.endpoints(session, tenant_id)]
    return answer({"data": found, "next_cursor": None})


@router.get("/v1/webhooks/{endpoint_id}")
def show(face: At, tenant_id: TenantId, endpoint_id: str) -> Response:
    """One endpoint."""
    with face.context.database.read() as session:
        row = deliveries.endpoint(session, tenant_id, plausible_id(endpoint_id, "webhook endpoint"))
    return answer(view.endpoint_view(_there(row)))


@router.patch("/v1/webhooks/{endpoint_id}", openapi_extra=documents.CHANGE_ENDPOINT)
async def change(request: Request, face: At, tenant_id: TenantId, endpoint_id: str) -> Response:
    """Change what is named; `"events": null` goes back to the default, `"enabled": false` silences the endpoint.

    A silenced endpoint is not called: what was still on its way to it is given up when its next try is due, and can be sent
    again once the endpoint is enabled.
    """
    asked = _read(EndpointChange, await json_document(request))
    given = {name: getattr(asked, name) for name in asked.model_fields_set}
    empty = [name for name in ("url", "description", "enabled") if name in given and given[name] is None]
    if empty:
        raise invalid([{"loc": name, "code": "wrong_type", "msg": "may be left out, but not null"} for name in empty])
    _check(face, asked.url, asked.events)
    if "enabled" in given:
        given["disabled_at"] = None if given.pop("enabled") else now()
    row = await run_in_threadpool(_change, face, tenant_id, endpoint_id, given)
    return answer(view.endpoint_view(row))


@router.delete("/v1/webhooks/{endpoint_id}", status_code=204)
def remove(face: At, tenant_id: TenantId, endpoint_id: str) -> Response:
    """Remove an endpoint. What was still on its way to it is given up."""
    with face.context.database.transaction() as session:
        if not deliveries.remove_endpoint(session, tenant_id, plausible_id(endpoint_id, "webhook endpoint")):
            raise not_found("there is no such webhook endpoint")
    return Response(status_code=204)


@router.post("/v1/webhooks/{endpoint_id}/rotate")
def rotate(face: At, tenant_id: TenantId, endpoint_id: str) -> Response:
    """Give the endpoint a new `secret`, shown in this answer only. The old one signs beside it for 24 hours."""
    secret = keys.new_webhook_secret()
    old = {"old_secret": WebhookEndpoint.secret, "old_secret_until": after(_BOTH_SIGN_S)}
    row = _change(face, tenant_id, endpoint_id, old | {"secret": secret})
    return answer(view.endpoint_view(row) | {"secret": secret, "old_secret_until": view.instant(row.old_secret_until)})


def _read(shape: type[Shape], document: dict[str, Any]) -> Shape:
    try:
        return shape.model_validate(document)
    except ValidationError as error:
        raise misshapen(error) from None


def _check(face: Face, url: str | None, events: list[str] | None) -> None:
    if url is not None and (problem := callback_check(face.rules)(url)):
        raise invalid([problem._replace(loc="url").as_json()])
    if events is not None:
        if not events:
            raise invalid([{"loc": "events", "code": "too_few", "msg": "must name at least one event, or be null"}])
        event_types("events", events)


def _add(face: Face, tenant_id: str, asked: NewEndpoint, secret: str) -> WebhookEndpoint:
    with face.context.database.transaction() as session:
        return deliveries.add_endpoint(
            session,
            tenant_id,
            new_id("ep"),
            url=asked.url,
            events=asked.events,
            description=asked.description,
            secret=secret,
        )


def _change(face: Face, tenant_id: str, endpoint_id: str, changes: dict[str, Any]) -> WebhookEndpoint:
    endpoint_id = plausible_id(endpoint_id, "webhook endpoint")
    with face.context.database.transaction() as session:
        if not changes:
            return _there(deliveries.endpoint(session, tenant_id, endpoint_id))
        return _there(deliveries.change_endpoint(session, tenant_id, endpoint_id, **changes))


def _there(row: WebhookEndpoint | None) -> WebhookEndpoint:
    if row is None:
        raise not_found("there is no such webhook endpoint")
    return row

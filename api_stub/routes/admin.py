"""What concerns all tenants: pauses, limits, shares and caps. For admins' keys only."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub import documents, sharing
from api_stub.answers import answer
from api_stub.auth import Admin, Caller
from api_stub.body import json_document
from api_stub.face import At, Face
from api_stub.problems import ApiProblem, invalid, misshapen, not_found
from api_stub.routes.router import for_admins
from api_stub.sharing import Misnamed, Names
from jobs.models import Tenant
from jobs.queries import limits, pauses, tenants
from jobs.submission import UsdAmount

router: APIRouter = for_admins("admin")

_Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_Reason = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_Count = Annotated[int, Field(ge=1, le=sharing.MOST_UNITS)]
_Rate = Annotated[float, Field(gt=0, le=sharing.MOST_UNITS, allow_inf_nan=False)]


class NewPause(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    kind: Literal["provider", "operation", "tenant", "key"]
    name: _Name
    reason: _Reason
    #: kind key: only this operation.
    operation: _Name | None = None


class Rates(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    concurrency: _Count | None = None
    per_second: _Rate | None = None
    per_minute: _Rate | None = None


class TenantChange(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    max_running: _Count | None = None
    submits_per_minute: _Count | None = None
    max_queued: Annotated[int, Field(ge=1, le=sharing.MOST_QUEUED)] | None = None
    cap_usd: UsdAmount | None = None
    cap_day_usd: UsdAmount | None = None


# Pauses -------------------------------------------------------------------------------------------------------------------


@router.get("/v1/admin/pauses")
def list_pauses(face: At) -> Response:
    """Everything that is paused, with how many jobs wait because of it."""
    with face.context.database.read() as session:
        return _listed(sharing.pause_views(session, face.context.settings))


@router.post("/v1/admin/pauses", status_code=201, openapi_extra=documents.NEW_PAUSE)
async def pause(request: Request, face: At, admin: Admin) -> Response:
    """Start nothing new of a provider, an operation, a tenant or an upstream key; what is under way goes on.

    200 with the pause as it stands where a person paused the same before.
    """
    try:
        asked = NewPause.model_validate(await json_document(request))
    except ValidationError as error:
        raise misshapen(error) from None
    made, shown = await run_in_threadpool(_pause, face, admin, asked)
    return answer(shown, 201 if made else 200)


@router.delete("/v1/admin/pauses/{scope}", status_code=204)
def resume(face: At, scope: str) -> Response:
    """Lift a pause, named by its `scope` (URL-encoded)."""
    with face.context.database.transaction() as session:
        if pauses.lift(session, _plausible(scope)) is None:
            raise not_found("there is no such pause")
    return Response(status_code=204)


def _pause(face: Face, admin: Caller, asked: NewPause) -> tuple[bool, dict[str, Any]]:
    settings = face.context.settings
    with face.context.database.transaction() as session:
        try:
            name, operation = Names(session, settings).pausable(asked.kind, asked.name, asked.operation)
        except Misnamed as error:
            raise _misnamed("operation" if error.what == "operation" and asked.kind == "key" else "name", error) from None
        made = pauses.put(session, asked.kind, name, operation=operation, reason=asked.reason, actor=admin.actor)
        return made, sharing.shown_pause(session, pauses.scope_of(asked.kind, name, operation), settings)


# Limits -------------------------------------------------------------------------------------------------------------------


@router.get("/v1/admin/limits")
def list_limits(face: At) -> Response:
    """Every limit, with how much of it is used now."""
    with face.context.database.read() as session:
        return _listed(sharing.limit_views(session))


@router.get("/v1/admin/limits/{scope}")
def show_limit(face: At, scope: str) -> Response:
    """One limit, named by its `scope` (URL-encoded)."""
    with face.context.database.read() as session:
        rule = limits.get(session, _scope(session, scope))
        if rule is None:
            raise not_found("there is no such limit")
        return answer(sharing.limit_view(rule, limits.under_way(session)))


@router.put("/v1/admin/limits/{scope}", openapi_extra=documents.SET_LIMIT)
async def set_limit(request: Request, face: At, scope: str) -> Response:
    """Set a limit for what its scope selects, such as `provider=kling key=*` (each upstream key by itself) or `all`.

    One of the same scope is replaced as a whole.
    """
    try:
        asked = Rates.model_validate(await json_document(request))
    except ValidationError as error:
        raise misshapen(error) from None
    if not asked.model_dump(exclude_none=True):
        raise invalid([{"loc": "body", "code": "missing_field", "msg": "names none of concurrency, per_second and per_minute"}])
    return answer(await run_in_threadpool(_set_limit, face, scope, asked))


@router.delete("/v1/admin/limits/{scope}", status_code=204)
def remove_limit(face: At, scope: str) -> Response:
    """Take a limit away."""
    with face.context.database.transaction() as session:
        if not limits.remove(session, _scope(session, scope)):
            raise not_found("there is no such limit")
    return Response(status_code=204)


def _set_limit(face: Face, scope: str, asked: Rates) -> dict[str, Any]:
    with face.context.database.transaction() as session:
        try:
            given = limits.selectors_of(scope)
            selectors = Names(session, face.context.settings).selectors(
                tenant=given.tenant_id,
                provider=given.provider,
                operation=given.operation,
                key=given.key_name,
                each_key=given.each_key,
            )
        except ValueError as error:
            raise invalid([{"loc": "scope", "code": "invalid_scope", "msg": str(error)}]) from None
        except Misnamed as error:
            raise _misnamed("scope", error) from None
        rule = limits.put(session, **selectors._asdict(), **asked.model_dump())
        return sharing.limit_view(rule, limits.under_way(session))


def _scope(session: Session, words: str) -> str:
    try:
        return sharing.scope_meant(session, _plausible(words))
    except ValueError:
        raise not_found("there is no such limit") from None


# Tenants ------------------------------------------------------------------------------------------------------------------


@router.get("/v1/admin/tenants")
def list_tenants(face: At) -> Response:
    """All tenants with their shares, limits and caps, and what they have used of the day's (UTC)."""
    with face.context.database.read() as session:
        return _listed(sharing.tenant_views(session, tenants.listed(session)))


@router.get("/v1/admin/tenants/{tenant}")
def show_tenant(face: At, tenant: str) -> Response:
    """One tenant, given by its id or name."""
    with face.context.database.read() as session:
        return answer(_tenant_shown(session, tenants.find(session, _plausible(tenant))))


@router.patch("/v1/admin/tenants/{tenant}", openapi_extra=documents.CHANGE_TENANT)
async def change_tenant(request: Request, face: At, tenant: str) -> Response:
    """Change what is named of a tenant, given by its id or name; `null` takes a limit away."""
    document = await json_document(request)
    try:
        asked = TenantChange.model_validate(document)
    except ValidationError as error:
        raise misshapen(error) from None
    return answer(await run_in_threadpool(_change_tenant, face, tenant, asked.model_dump(include=asked.model_fields_set)))


def _change_tenant(face: Face, called: str, changes: dict[str, Any]) -> dict[str, Any]:
    with face.context.database.transaction() as session:
        found = tenants.find(session, _plausible(called))
        if found is not None and changes:
            found = tenants.change(session, found.id, **changes)
        return _tenant_shown(session, found)


def _tenant_shown(session: Session, tenant: Tenant | None) -> dict[str, Any]:
    if tenant is None:
        raise not_found("there is no such tenant")
    return sharing.tenant_views(session, [tenant])[0]


def _listed(found: list[dict[str, Any]]) -> Response:
    return answer({"data": found, "next_cursor": None})


def _misnamed(loc: str, error: Misnamed) -> ApiProblem:
    return invalid([{"loc": loc, "code": f"unknown_{error.what}", "msg": str(error)}])


def _plausible(text: str) -> str:
    """From a path, before any database sees it."""
    if len(text) > 500 or not text.isprintable():
        raise not_found("there is nothing of this name")
    return text

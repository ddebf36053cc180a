"""Jobs by the thousand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Query
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api_stub import batch_intake, batch_lines, batch_steering, body, documents, params
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.batch_intake import Received
from api_stub.face import At, Face
from api_stub.idempotency import REPLAYED, Key
from api_stub.presenting import batch_of, shown_batches, shown_jobs
from api_stub.problems import invalid
from api_stub.routes.router import for_tenants
from jobs.queries import batches, jobs
from storage.spool import Spool

router = for_tenants("batches")

_RESULTS_A_PAGE = 200


@router.post("/v1/batches", status_code=202, openapi_extra=documents.SUBMIT_BATCH, responses=documents.BATCH_202)
async def submit(
    request: Request,
    face: At,
    tenant_id: TenantId,
    key: Key,
    callback_url: Annotated[str | None, Query(max_length=2048, description="with NDJSON; in JSON it is a field")] = None,
) -> Response:
    """Submit up to 50,000 jobs at once, all or none: `{"jobs": […]}`, or NDJSON with one job a line.

    The batch's `callback_url` gets `batch.completed`, and the events of every job that names none of its own.
    """
    lines = body.media_type(request, body.JSON_TYPES | body.NDJSON_TYPES) in body.NDJSON_TYPES
    settings = face.context.settings
    with Spool(face.context.spool_folder, max_bytes=settings.max_batch_bytes) as spool:
        envelope = _of_url(lines, callback_url, params.metadata(request))
        if lines:
            await body.spool(request, spool, batch_lines.LineGuard(batch_intake.limits_of(settings)))
        else:
            await body.spool(request, spool)
        received = Received(spool, lines, envelope)
        taken = await asyncio.get_running_loop().run_in_executor(
            face.heavy, lambda: batch_intake.submit(face, tenant_id, received, key=key)
        )
    headers = REPLAYED if taken.replayed else {}
    then = BackgroundTask(face.afterwards.nudge, sorted(taken.modalities))
    return made(taken.view, 202, "/v1/batches", headers=headers, then=then)


@router.get("/v1/batches", responses=documents.BATCHES_200)
def index(face: At, tenant_id: TenantId, limit: params.Limit = 50, cursor: params.Cursor = None) -> Response:
    """Your batches, newest first."""
    with face.context.database.read() as session:
        found = batches.page(session, tenant_id, limit=limit, before=params.before(cursor))
        return answer(params.page(shown_batches(session, found), limit))


@router.get("/v1/batches/{batch_id}", responses=documents.BATCH_200)
def show(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """A batch, with its jobs counted by status."""
    with face.context.database.read() as session:
        (shown,) = shown_batches(session, [batch_of(session, tenant_id, batch_id)])
    return answer(shown)


@router.get("/v1/batches/{batch_id}/results", responses={200: {"content": {"application/x-ndjson": {}}}})
def results(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """All jobs of the batch as they are now, one a line, in the order of its lines."""
    with face.context.database.read() as session:
        batch = batch_of(session, tenant_id, batch_id)
    return StreamingResponse(_results(face, tenant_id, batch.id), media_type="application/x-ndjson")


@router.post("/v1/batches/{batch_id}/cancel", status_code=202, responses=documents.BATCH_202)
def cancel(face: At, tenant_id: TenantId, batch_id: str) -> Response:
    """End every job of the batch that has not ended yet. A large batch goes on being canceled after the answer."""
    return answer(batch_steering.cancel(face, tenant_id, batch_id), 202)


def _of_url(lines: bool, callback_url: str | None, metadata: dict[str, str]) -> dict[str, Any]:
    """What the URL says of a batch of lines, which have no place for it."""
    said: dict[str, Any] = {"callback_url": callback_url} if callback_url is not None else {}
    if metadata:
        said["metadata"] = metadata
    if said and not lines:
        msg = "goes with NDJSON only; in JSON it is a field of the body"
        raise invalid([{"loc": f"query.{name}", "code": "unknown_parameter", "msg": msg} for name in said])
    return said


def _results(face: Face, tenant_id: str, batch_id: str) -> Iterator[str]:
    line = 0
    while True:
        with face.context.database.read() as session:
            found = jobs.lines(session, tenant_id, batch_id, after_line=line, limit=_RESULTS_A_PAGE)
            shown = shown_jobs(face.context, session, found)
        if not found:
            return
        line = found[-1].line or line
        yield "".join(json.dumps(job, ensure_ascii=False, separators=(",", ":")) + "\n" for job in shown)

"""A job's moves: as a list, or as they happen (server-sent events)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple

from fastapi import Header
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api_stub.answers import answer
from api_stub.auth import TenantId
from api_stub.face import At, Face
from api_stub.presenting import job_of
from api_stub.problems import ApiProblem
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.queries import jobs
from jobs.states import FINAL

router = for_tenants("jobs")

#: A silent stream says something this often, or a proxy on the way takes it for dead.
_KEEPALIVE_S = 15.0


class _News(NamedTuple):
    version: int
    final: bool
    moves: list[dict[str, Any]]


@router.get(
    "/v1/jobs/{job_id}/events",
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def history(
    request: Request,
    face: At,
    tenant_id: TenantId,
    job_id: str,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """Every move of the job: a list, or with `Accept: text/event-stream` a stream that ends with the job.

    `Last-Event-ID` (the `id` of a move) continues where a broken stream ended.
    """
    streamed = "text/event-stream" in request.headers.get("accept", "")
    news = await run_in_threadpool(_news, face, tenant_id, job_id, _version(last_event_id))
    if not streamed:
        return answer({"data": news.moves})
    if news.final and not news.moves and last_event_id is not None:
        return Response(status_code=204)  # tells an EventSource that there is nothing to come back for
    return StreamingResponse(
        _stream(face, tenant_id, job_id, news, _version(last_event_id)),
        media_type="text/event-stream",
        headers={"X-Accel-Buffering": "no"},
    )


async def _stream(face: Face, tenant_id: str, job_id: str, news: _News, version: int) -> AsyncIterator[str]:
    yield ": the moves of a job, as they happen\n\n"
    while True:
        for move in news.moves:
            yield f"id: {move['id']}\ndata: {json.dumps(move, ensure_ascii=False)}\n\n"
        version = max(version, news.version)
        if news.final:
            return
        await face.watch.past(job_id, version, _KEEPALIVE_S)
        news = await run_in_threadpool(_news, face, tenant_id, job_id, version)
        if not news.moves:
            yield ": still here\n\n"


def _news(face: Face, tenant_id: str, job_id: str, version: int) -> _News:
    with face.context.database.read() as session:
        job = job_of(session, tenant_id, job_id)
        moves = [view.transition_view(row) for row in jobs.history(session, job.id, after_version=version)]
    # Where rows committed between the two questions, the later ones count.
    latest = max([job.version, *(int(move["id"]) for move in moves)])
    return _News(latest, job.status in FINAL, moves)


def _version(last_event_id: str | None) -> int:
    if last_event_id is None:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 10):
        raise ApiProblem(400, "invalid_last_event_id", "Last-Event-ID must be the id of an event of this stream")
    return int(last_event_id)

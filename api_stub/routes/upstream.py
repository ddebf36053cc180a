"""Where providers call us about their tasks. Whoever calls only makes us look; what we find is asked of the gateway."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub.answers import answer
from api_stub.body import READ_S, chunks
from api_stub.face import At, Face
from api_stub.problems import ApiProblem, not_found
from api_stub.routes.router import for_everyone
from api_stub.strict_json import JsonRefused, parse
from jobs import catalogue
from jobs.models import Job
from jobs.queries import schedule
from workers import inbound

router = for_everyone("upstream")

#: A task object with everything in it is a few kilobytes.
_MOST_BYTES = 64 << 10


@router.post("/v1/upstream/{provider}/{job_id}/{token}", include_in_schema=False)
async def called(request: Request, face: At, provider: str, job_id: str, token: str) -> Response:
    """A provider's callback: the job is looked at now. Nothing in the body is believed."""
    if not inbound.knows(face.context, job_id, token):
        raise not_found()
    body = await _body(request)
    echo = await run_in_threadpool(_look_now, face, provider, job_id)
    document = _document(body) if echo else {}
    return answer({echo: document[echo]} if echo in document else {"received": True})


async def _body(request: Request) -> bytes:
    data = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in chunks(request, _MOST_BYTES):
                data += chunk
    except TimeoutError:
        raise ApiProblem(408, "too_slow", f"the body did not arrive within {READ_S:.0f} s") from None
    return bytes(data)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = parse(body)
    except JsonRefused:
        return {}
    return document if isinstance(document, dict) else {}


def _look_now(face: Face, provider: str, job_id: str) -> str | None:
    """Makes the job due; the name of the field that its provider wants to hear back."""
    with face.context.database.transaction() as session:
        job = session.get(Job, job_id)
        if job is None or job.provider != provider:
            raise not_found()
        schedule.look_now(session, job_id)
        operation = catalogue.find(job.operation)
    callback = operation.submit.callback if operation and operation.submit else None
    return callback.echo if callback else None

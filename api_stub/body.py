"""Request bodies: their type, their size, their pace. A body past its cap is refused at the cap, however it is framed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api_stub.problems import ApiProblem
from api_stub.strict_json import parse
from storage import TooLarge
from storage.spool import Spool

#: A JSON body must be here after this long; of a longer body something must arrive this often.
READ_S = 30.0
#: Documents above this are parsed in a thread: the event loop has other callers.
_PARSE_HERE_BYTES = 32 << 10
_WRITE_BYTES = 1 << 20

JSON_TYPES = frozenset({"application/json"})
NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})

#: Looks at each chunk as it arrives, and raises to stop it.
Guard = Callable[[bytes], None]


def media_type(request: Request, allowed: Collection[str]) -> str:
    """The body's declared type, one of `allowed`. 415 for anything else, and for any encoding of the content."""
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared not in allowed:
        raise ApiProblem(415, "unsupported_media_type", f"the Content-Type must be {' or '.join(sorted(allowed))}")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiProblem(415, "content_encoding_refused", "send the body as it is, without Content-Encoding")
    return declared


async def json_document(request: Request) -> dict[str, Any]:
    """The JSON object in the body."""
    media_type(request, JSON_TYPES)
    data = bytearray()
    try:
        async with asyncio.timeout(READ_S):
            async for chunk in chunks(request, request.app.state.face.context.settings.max_body_bytes):
                data += chunk
    except TimeoutError:
        raise _too_slow() from None
    if not data:
        raise invalid_body("is empty")
    whole = bytes(data)
    document = parse(whole) if len(whole) <= _PARSE_HERE_BYTES else await run_in_threadpool(parse, whole)
    if not isinstance(document, dict):
        raise invalid_body("must be a JSON object")
    return document


async def chunks(request: Request, max_bytes: int) -> AsyncIterator[bytes]:
    """The body as it arrives, up to the cap."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > max_bytes):
        raise too_large(max_bytes)
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(READ_S):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise _too_slow() from None
        if chunk is None:
            return
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        yield chunk


async def spool(request: Request, into: Spool, guard: Guard = lambda chunk: None) -> None:
    """Write the body to disk, about a megabyte at a time, in a thread."""
    waiting = bytearray()
    try:
        async for chunk in chunks(request, into.max_bytes):
            guard(chunk)
            waiting += chunk
            if len(waiting) >= _WRITE_BYTES:
                await run_in_threadpool(into.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(into.write, bytes(waiting))
    except TooLarge:
        raise too_large(into.max_bytes) from None


def invalid_body(what: str) -> ApiProblem:
    return ApiProblem(422, "invalid_body", f"the body {what}", errors=[{"loc": "body", "code": "invalid_body", "msg": what}])


def too_large(max_bytes: int) -> ApiProblem:
    # The rest of the body is still on its way: the connection is of no more use.
    return ApiProblem(413, "body_too_large", f"the body may have {max_bytes:,} bytes", headers={"Connection": "close"})


def _too_slow() -> ApiProblem:
    return ApiProblem(408, "body_too_slow", f"the body did not arrive within {READ_S:.0f} s", headers={"Connection": "close"})

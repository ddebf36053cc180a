"""Answers that break on the way: late, cut short, dripping, or not there at all."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from simulator.world import World

#: Where `server.py` leaves the connection of a request.
TRANSPORT = "simulator.transport"


async def body_of(response: Response) -> bytes:
    if isinstance(response, FileResponse):
        return await asyncio.to_thread(Path(response.path).read_bytes)
    if isinstance(response, StreamingResponse):
        pieces = [piece async for piece in response.body_iterator]
        return b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces)
    return bytes(response.body)


def truncated_json(body: bytes) -> Response:
    """The first half, with a Content-Length that agrees: only the parser can notice."""
    return Response(body[: len(body) // 2], media_type="application/json")


def wrong_shape() -> Response:
    """Valid JSON that answers another question."""
    return Response(json.dumps({"ok": True, "result": "done"}), media_type="application/json")


class Vanish(Response):
    """Closes the connection without an answer.

    The transport comes from `server.py`. Under a server that does not hand it out (another ASGI server, an in-process
    client) the nearest thing is raised instead: an exception before the response starts.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            raise ConnectionResetError("the simulator was asked to drop this connection")
        transport.abort()
        await _client_gone(receive)


class Hang(Response):
    """Says nothing until the client leaves, the simulator stops or `seconds` have passed; then closes."""

    def __init__(self, world: World, seconds: float) -> None:
        super().__init__()
        self._world = world
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gone = asyncio.create_task(_client_gone(receive))
        stop = asyncio.create_task(self._world.pause(self._seconds))
        try:
            await asyncio.wait({gone, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            left = gone.done()
            gone.cancel()
            await asyncio.gather(gone, stop, return_exceptions=True)
        if not left:
            await Vanish()(scope, receive, send)


class Drip(Response):
    """The whole body, in pieces spread over `seconds`."""

    PIECES = 20

    def __init__(self, world: World, whole: Response, body: bytes, seconds: float) -> None:
        super().__init__(body, whole.status_code, media_type=whole.media_type)
        self._world = world
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        step = max(1, -(-len(body) // self.PIECES))
        for start in range(0, len(body), step):
            await send({"type": "http.response.body", "body": body[start : start + step], "more_body": True})
            await self._world.pause(self._seconds / self.PIECES)
        await send({"type": "http.response.body", "body": b""})


class Truncated(Response):
    """Promises the whole body in Content-Length, sends half, then closes the connection."""

    def __init__(self, whole: Response, body: bytes) -> None:
        super().__init__(body, whole.status_code, media_type=whole.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        half = bytes(self.body)[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport = scope.get("extensions", {}).get(TRANSPORT)
        if transport is None:
            raise ConnectionResetError("the simulator was asked to cut this body short")
        # close, not abort: what is already written still goes out.
        transport.close()
        await _client_gone(receive)


async def _client_gone(receive: Receive) -> None:
    """Waiting for the disconnect keeps the server from answering 500 on a connection that is being closed."""
    while (await receive())["type"] != "http.disconnect":
        pass

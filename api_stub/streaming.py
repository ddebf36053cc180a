"""Long answers, made piece by piece while they are sent: what they hold open is closed when they end, however they end."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Generator
from typing import Any

from anyio import CancelScope, CapacityLimiter, to_thread
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Streamed(StreamingResponse):
    """Sends what `pieces` yields. It runs in threads of its own number (`threads`): storage that hangs must not use up those
    that answer requests. Between two pieces it holds none, so a client that reads slowly costs a socket.
    """

    def __init__(self, pieces: Generator[bytes], threads: CapacityLimiter, **options: Any) -> None:
        self._steps = _Steps(pieces)
        self._threads = threads
        super().__init__(self._sent(), **options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            # A client that has left cancels this task: without the shield nothing more could be waited for here.
            with CancelScope(shield=True):
                await to_thread.run_sync(self._steps.close, limiter=self._threads)

    async def _sent(self) -> AsyncIterator[bytes]:
        while (piece := await to_thread.run_sync(self._steps.next, limiter=self._threads)) is not None:
            yield piece


class _Steps:
    """A generator driven from changing threads. A step that was given up goes on in its thread; closing waits for it."""

    def __init__(self, pieces: Generator[bytes]) -> None:
        self._pieces = pieces
        self._lock = threading.Lock()

    def next(self) -> bytes | None:
        with self._lock:
            return next(self._pieces, None)

    def close(self) -> None:
        with self._lock:
            self._pieces.close()

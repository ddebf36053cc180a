"""uvicorn, with two things added: handlers can reach their connection, and stopping takes no time."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

from simulator.app import app_for
from simulator.config import SimulatorConfig
from simulator.damage import TRANSPORT
from simulator.world import World


class Server(uvicorn.Server):
    """Says when it accepts connections, and lets nobody hold up the end."""

    def __init__(self, config: SimulatorConfig, on_ready: Callable[[], None] = lambda: None) -> None:
        self._world = World(config)
        self._on_ready = on_ready
        super().__init__(
            uvicorn.Config(
                app_for(self._world),
                http=_reachable(AutoHTTPProtocol),
                # Without the `websockets` package WebSockets are the one thing that is not there.
                ws=_reachable(AutoWebSocketsProtocol) if AutoWebSocketsProtocol else "none",
                lifespan="on",
                log_level="warning",
                access_log=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            )
        )

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn raises the signal that stopped it once more when it is done. With the default handler that would
        # end the process with a signal instead of exit code 0.
        if threading.current_thread() is not threading.main_thread():
            super().run(sockets)  # no signals here, in a test for example
            return
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        try:
            super().run(sockets)
        finally:
            signal.signal(signal.SIGTERM, before)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._world.stop_waiting()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket, so that port 0 is a number before anything starts. Raises OSError when the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio looks for it: only then does an answer leave at once, not 40 ms later (Nagle).
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except BaseException:
        listener.close()
        raise
    return listener


def _reachable(protocol_class: Callable[..., Any]) -> Any:
    """One of uvicorn's protocols, whose requests find their transport in the scope's extensions.

    ASGI has no way to close a connection without an answer, and that is one of the faults.
    """

    def make(**options: Any) -> asyncio.Protocol:
        protocol: Any = protocol_class(**options)
        app: ASGIApp = protocol.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[TRANSPORT] = protocol.transport
            await app(scope, receive, send)
            if getattr(protocol, "initial_response", None) is not None:
                # A refused handshake is complete; uvicorn 0.54 forgets to note it and logs an error.
                protocol.handshake_complete = True

        protocol.app = with_transport
        made: asyncio.Protocol = protocol
        return made

    return make

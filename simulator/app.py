"""The application: one world, its routes, and what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketClose

from simulator import control, downloads
from simulator.answers import NONE
from simulator.config import SimulatorConfig
from simulator.dialects import html_page
from simulator.exchange import Exchange, Refused
from simulator.providers import register_all
from simulator.site import Site
from simulator.world import World


class Application:
    """Finds the handler, and adds the headers every answer has."""

    def __init__(self, site: Site) -> None:
        self._world = site.world
        self._routes = site.routes
        self._sockets = site.sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._converse(scope, receive, send)
            return
        found = self._routes.find(scope["method"], scope["path"])
        exchange = Exchange(Request(scope, receive), found[1] if found else {})
        try:
            # A path nobody owns gets a page with 200, as at the gateway (envelope E7); so does a wrong method.
            response = await found[0](exchange) if found else html_page()
        except Refused as refused:
            response = refused.response
        response.raw_headers += _headers(exchange)
        statuses: list[int] = []

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])
                self._count(exchange, str(message["status"]))  # before it is out: who has it finds it counted
            await send(message)

        try:
            await response(scope, receive, send_and_count)
        finally:
            if not statuses:
                self._count(exchange, NONE)
            for deed in exchange.afterwards:
                deed()

    def _count(self, exchange: Exchange, status: str) -> None:
        if exchange.asks:
            self._world.answers.count(exchange.asks, exchange.key, exchange.operation, status)

    async def _converse(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._sockets.find("GET", scope["path"])
        if found is None:
            await WebSocketClose()(scope, receive, send)
            return
        # The handshake is an ordinary GET, so keys, faults and the ledger need to know nothing about sockets.
        handshake = {**scope, "type": "http", "method": "GET", "scheme": scope["scheme"].replace("ws", "http", 1)}
        exchange = Exchange(Request(handshake), found[1])

        async def send_with_headers(message: Message) -> None:
            if message["type"] in {"websocket.accept", "websocket.http.response.start"}:
                message["headers"] = [*message.get("headers", ()), *_headers(exchange)]
            await send(message)

        try:
            await found[0](exchange, WebSocket(scope, receive, send_with_headers))
        finally:
            for deed in exchange.afterwards:
                deed()


def _headers(exchange: Exchange) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-cometapi-request-id", exchange.request_id.encode())]
    if exchange.warnings:
        headers.append((b"x-simulator-warning", "; ".join(exchange.warnings).encode("latin-1", "replace")))
    return headers


def create_app(config: SimulatorConfig | None = None) -> ASGIApp:
    """A simulator as an ASGI application. Its world is opened here and closed by the lifespan.

    Without a lifespan (an in-process client) a temporary data directory stays behind: give one in `config`.
    """
    return app_for(World(config or SimulatorConfig()))


def app_for(world: World) -> ASGIApp:
    site = Site(world)
    register_all(site)
    downloads.register(site)
    control.register(site)

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await world.close()

    return Router(default=Application(site), lifespan=lifespan)

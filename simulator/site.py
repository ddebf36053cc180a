"""What a provider registers with."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from simulator.calls import Body, Operation
from simulator.exchange import Exchange, Handler, SocketHandler
from simulator.polls import Find, Show, answer_poll, by_id
from simulator.routes import Routes
from simulator.sales import Offer, Work, answer_call
from simulator.world import World


def any_model(body: Body) -> bool:
    return True


class Site:
    """Routes in front of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.routes: Routes[Handler] = Routes()
        self.sockets: Routes[SocketHandler] = Routes()
        #: Everything that can be bought, by name.
        self.operations: dict[str, Operation] = {}
        self._offers: dict[tuple[str, str], list[Offer]] = {}

    def sell(
        self,
        path: str,
        operation: Operation,
        work: Work,
        takes: Callable[[Body], bool] = any_model,
        method: str = "POST",
    ) -> None:
        """`method` on `path` buys `operation`.

        When several operations share the path, `takes` decides by the body's fields and the path's parameters.
        The body is JSON or ``multipart/form-data`` (see `uploads`); without one it is empty, except for POST.
        """
        offers = self._offers.get((method, path))
        if offers is None:
            offers = self._offers[method, path] = []
            self.routes.add(method, path, self._seller(offers))
        offers.append(Offer(operation, work, takes))
        self.operations[operation.name] = operation

    def _seller(self, offers: list[Offer]) -> Handler:
        async def sell(exchange: Exchange) -> Response:
            return await answer_call(self.world, offers, exchange)

        return sell

    def show(
        self,
        path: str,
        operation: Operation,
        show: Show,
        *,
        by_external_id: bool = False,
        find: Find = by_id,
        method: str = "GET",
    ) -> None:
        """`method` on `path` tells how a task is doing. `find` gets its id from the request (see `polls`)."""

        async def poll(exchange: Exchange) -> Response:
            return await answer_poll(self.world, operation, show, exchange, by_external_id=by_external_id, find=find)

        self.routes.add(method, path, poll)

    def socket(self, path: str, operation: Operation, handler: SocketHandler) -> None:
        """A WebSocket at `path`, where `operation` is bought. The handler gets the handshake and the socket, not yet accepted."""
        self.sockets.add("GET", path, handler)
        self.operations[operation.name] = operation

"""What a provider registers with."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import Response

from simulator.calls import Body, Operation
from simulator.exchange import Exchange, Handler
from simulator.polls import Show, answer_poll
from simulator.routes import Routes
from simulator.sales import Offer, Work, answer_call
from simulator.world import World


def any_model(body: Body) -> bool:
    return True


class Site:
    """Routes in front of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.routes = Routes()
        self._offers: dict[str, list[Offer]] = {}

    def sell(self, path: str, operation: Operation, work: Work, takes: Callable[[Body], bool] = any_model) -> None:
        """POST `path` buys `operation`. `takes` looks at the body when several operations share the path."""
        offers = self._offers.get(path)
        if offers is None:
            offers = self._offers[path] = []
            self.routes.post(path, self._seller(offers))
        offers.append(Offer(operation, work, takes))

    def _seller(self, offers: list[Offer]) -> Handler:
        async def sell(exchange: Exchange) -> Response:
            return await answer_call(self.world, offers, exchange)

        return sell

    def show(self, path: str, operation: Operation, show: Show, *, by_external_id: bool = False) -> None:
        """GET `path`, which ends in ``{id}``, tells how a task is doing."""

        async def poll(exchange: Exchange) -> Response:
            return await answer_poll(self.world, operation, show, exchange, by_external_id=by_external_id)

        self.routes.get(path, poll)

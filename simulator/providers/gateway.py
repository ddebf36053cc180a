"""The gateway itself: model lists and balance.

Source: text.md section 6, gateway-errors-billing.md section 7. The real balance query lives on another host
(query.cometapi.com); here it is the same one. Its answer to a wrong key is not documented; here it is envelope E1.
"""

from __future__ import annotations

from datetime import date

from starlette.responses import Response

from simulator.dialects import Dialect, json_response
from simulator.exchange import Exchange
from simulator.keys import name_of
from simulator.site import Site

_DIALECT = Dialect()


def register(site: Site) -> None:
    world = site.world

    async def models(exchange: Exchange) -> Response:
        if not world.keys.let_in(exchange):
            return _DIALECT.refuse("bad_key", exchange.request_id)
        return json_response({"object": "list", "data": [card.openai_row() for card in world.models]})

    async def catalog(exchange: Exchange) -> Response:
        """Public: no key. ``page: 0, page_size: 0`` says that this is all."""
        rows = [card.catalog_row() for card in world.models]
        return json_response({"success": True, "page": 0, "page_size": 0, "total": len(rows), "data": rows})

    async def quota(exchange: Exchange) -> Response:
        """The key is a query parameter, not a header."""
        query = exchange.request.query_params
        key = query.get("key", "")
        if not world.keys.admits(key):
            return _DIALECT.refuse("bad_key", exchange.request_id)
        try:
            first, last = _day(query.get("start_date")), _day(query.get("end_date"))
        except ValueError:
            return _DIALECT.refuse("invalid", exchange.request_id, "dates are YYYY-MM-DD")
        return json_response(world.till.statement(name_of(key), first, last))

    site.routes.get("/v1/models", models)
    site.routes.get("/api/models", catalog)
    site.routes.get("/user/quota", quota)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None

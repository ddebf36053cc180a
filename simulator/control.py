"""``/_simulator``: what a test asks and orders. No key: this is a tool for the loopback interface.

GET  /_simulator/health    {"status": "ok", ...}
GET  /_simulator/ledger    the ledger's lines; ?event=paid_call&operation=suno.music&charged=true keep those
GET  /_simulator/files     every published output: name, url, sha256, bytes
GET  /_simulator/control   latencies and rules in force
POST /_simulator/control   {"latency": {"video": 0.5}, "faults": [...], "clear_faults": true}; rules are added
POST /_simulator/reset     forget everything; {"keep": ["ledger", "files"]} spares those
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from simulator.config import KINDS, Kind
from simulator.dialects import json_response
from simulator.exchange import Exchange
from simulator.faults import rule_from_json
from simulator.site import Site
from simulator.world import World

_KEEPABLE = frozenset({"ledger", "files"})


def register(site: Site) -> None:
    world = site.world

    async def health(exchange: Exchange) -> Response:
        return json_response({"status": "ok", "tasks": len(world.tasks), "models": len(world.models)})

    async def ledger(exchange: Exchange) -> Response:
        return json_response(await world.ledger.entries(**dict(exchange.request.query_params)))

    async def files(exchange: Exchange) -> Response:
        return json_response(world.files.as_json())

    async def in_force(exchange: Exchange) -> Response:
        return json_response(_state(world))

    async def change(exchange: Exchange) -> Response:
        try:
            _apply(world, await _body(exchange))
        except ValueError as reason:
            return json_response({"error": str(reason)}, 400)
        return json_response(_state(world))

    async def reset(exchange: Exchange) -> Response:
        try:
            keep = frozenset((await _body(exchange)).get("keep", ()))
            if not keep <= _KEEPABLE:
                raise ValueError(f"'keep' may hold: {', '.join(sorted(_KEEPABLE))}")
        except (ValueError, TypeError) as reason:
            return json_response({"error": str(reason)}, 400)
        await world.reset(keep)
        return json_response(_state(world))

    site.routes.get("/_simulator/health", health)
    site.routes.get("/_simulator/ledger", ledger)
    site.routes.get("/_simulator/files", files)
    site.routes.get("/_simulator/control", in_force)
    site.routes.post("/_simulator/control", change)
    site.routes.post("/_simulator/reset", reset)


async def _body(exchange: Exchange) -> dict[str, Any]:
    raw = await exchange.request.body()
    body = json.loads(raw) if raw else {}
    if not isinstance(body, dict):
        raise ValueError("the body is not a JSON object")
    return body


def _apply(world: World, body: dict[str, Any]) -> None:
    """All of it or, with ValueError, none."""
    unknown = set(body) - {"latency", "faults", "clear_faults"}
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    latency = latencies(body.get("latency", {}))
    listed = body.get("faults", [])
    if not isinstance(listed, list):
        raise ValueError("'faults' is a list")
    rules = [rule_from_json(one) for one in listed]
    world.latency_s.update(latency)
    if body.get("clear_faults"):
        world.rules.clear()
    world.rules.add(rules)


def latencies(given: object) -> dict[Kind, float]:
    """A number for every kind at once, or an object with some of them. Raises ValueError."""
    if isinstance(given, int | float):
        given = dict.fromkeys(KINDS, given)
    if not isinstance(given, dict) or not set(given) <= set(KINDS):
        raise ValueError(f"'latency' is seconds, or an object with some of: {', '.join(KINDS)}")
    chosen: dict[Kind, float] = {}
    for kind in KINDS:
        seconds = given.get(kind)
        if seconds is None:
            continue
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
            raise ValueError(f"latency of {kind} is a number of seconds from 0")
        chosen[kind] = float(seconds)
    return chosen


def _state(world: World) -> dict[str, Any]:
    return {"latency": world.latency_s, "faults": world.rules.as_json()}

"""``/_simulator``: what a test asks and orders. No key: this is a tool for the loopback interface.

GET  /_simulator/health    {"status": "ok", ...}
GET  /_simulator/ledger    the ledger's lines; ?event=paid_call&operation=suno.music&charged=true keep those
GET  /_simulator/files     every published output: name, url, sha256, bytes
GET  /_simulator/prices    what each operation costs
GET  /_simulator/money     charged, refunded and net, in all, by key, and by operation
GET  /_simulator/load      units in flight now and at most, and their integral over time
POST /_simulator/load/reset  peaks, integrals and counts begin anew
GET  /_simulator/answers   how often what was answered; ?key=sk-a only to that key
POST /_simulator/answers/reset  counted anew
GET  /_simulator/control   latencies, rules, limits, and what is the matter with keys and money
POST /_simulator/control   {"latency": {"video": 0.5}, "faults": [...], "clear_faults": true, "limits": [...],
                           "keys": {"sk-a": {"mood": "refused"}}, "balance_usd": "5.00"}; rules are added
POST /_simulator/reset     forget everything; {"keep": ["ledger", "files"]} spares those
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from starlette.responses import Response

from simulator.calls import Operation
from simulator.config import KINDS, Kind
from simulator.dialects import json_response
from simulator.exchange import Exchange
from simulator.faults import rule_from_json
from simulator.keys import Mood, as_name
from simulator.limits import limit_from_json
from simulator.site import Site
from simulator.till import as_usd, read_usd
from simulator.world import World

_KEEPABLE = frozenset({"ledger", "files"})

#: What ``POST /_simulator/control`` takes.
ORDERS = ("latency", "faults", "clear_faults", "limits", "keys", "balance_usd")


def register(site: Site) -> None:
    world = site.world

    def tell(what: str, look: Callable[[], Any]) -> None:
        async def answer(exchange: Exchange) -> Response:
            return json_response(look())

        site.routes.get(f"/_simulator/{what}", answer)

    async def ledger(exchange: Exchange) -> Response:
        return json_response(await world.ledger.entries(**dict(exchange.request.query_params)))

    async def answers(exchange: Exchange) -> Response:
        key = exchange.request.query_params.get("key", "")
        return json_response(world.answers.as_json(as_name(key) if key else ""))

    async def count_anew(exchange: Exchange) -> Response:
        world.answers.reset()
        return json_response(world.answers.as_json())

    async def measure_anew(exchange: Exchange) -> Response:
        world.load.reset()
        return json_response(world.load.as_json())

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

    tell("health", lambda: {"status": "ok", "tasks": len(world.tasks), "models": len(world.models)})
    site.routes.get("/_simulator/ledger", ledger)
    tell("files", world.files.as_json)
    tell("prices", lambda: _prices(site.operations))
    tell("money", lambda: world.till.money())
    tell("load", world.load.as_json)
    site.routes.post("/_simulator/load/reset", measure_anew)
    site.routes.get("/_simulator/answers", answers)
    site.routes.post("/_simulator/answers/reset", count_anew)
    tell("control", lambda: _state(world))
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
    unknown = set(body) - set(ORDERS)
    if unknown:
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    latency = latencies(body.get("latency", {}))
    rules = [rule_from_json(one, world.now()) for one in _list(body, "faults")]
    limits = [limit_from_json(one) for one in _list(body, "limits")]
    keys = _key_orders(body.get("keys", {}))
    balance = read_usd(body["balance_usd"]) if "balance_usd" in body else None
    world.latency_s.update(latency)
    if body.get("clear_faults"):
        world.rules.clear()
    world.rules.add(rules)
    if "limits" in body:
        world.limits.set(limits)
    for name, order in keys.items():
        if "mood" in order:
            world.keys.set_mood(name, order["mood"])
        if "balance_usd" in order:
            world.till.give_key(name, order["balance_usd"])
    if balance is not None:
        world.till.fill(balance)


def _list(body: dict[str, Any], name: str) -> list[Any]:
    listed = body.get(name, [])
    if not isinstance(listed, list):
        raise ValueError(f"{name!r} is a list")
    return listed


def _key_orders(given: object) -> dict[str, dict[str, Any]]:
    """By the key's name: ``mood`` and ``balance_usd``, where they were given; None takes either away. Raises ValueError."""
    if not isinstance(given, dict) or not all(
        isinstance(one, dict) and set(one) <= {"mood", "balance_usd"} for one in given.values()
    ):
        raise ValueError("'keys' is an object: key -> an object with 'mood' or 'balance_usd' or both")
    orders = {}
    for key, one in given.items():
        order: dict[str, Any] = dict(one)
        if order.get("mood") is not None:
            if order["mood"] not in list(Mood):
                raise ValueError(f"'mood' is null or one of: {', '.join(Mood)}")
            order["mood"] = Mood(order["mood"])
        if order.get("balance_usd") is not None:
            order["balance_usd"] = read_usd(order["balance_usd"])
        orders[as_name(key)] = order
    return orders


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


def _prices(operations: Mapping[str, Operation]) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "usd": as_usd(operation.price_usd),
            "times_units": operation.units is not None,
            "link_usd": as_usd(operation.link_usd),
        }
        for name, operation in sorted(operations.items())
    }


def _state(world: World) -> dict[str, Any]:
    moods, purses = world.keys.moods, world.till.purses()
    return {
        "latency": world.latency_s,
        "faults": world.rules.as_json(),
        "limits": world.limits.as_json(),
        "keys": {
            name: {"mood": moods.get(name), "balance_usd": as_usd(purses[name]) if name in purses else None}
            for name in sorted({*moods, *purses})
        },
        "balance_usd": as_usd(world.till.balance) if world.till.is_enforced else None,
    }

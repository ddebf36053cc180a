"""A question about a task. Costs nothing, changes nothing, and comes by the thousand: kept short.

Which task is meant stands in the path, the query or the body: `in_path`, `in_query` and `in_body` find it, and any
coroutine function from `Exchange` to a task id will do. An empty id is refused as missing.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.responses import Response

from simulator import faults
from simulator.calls import Operation, base_url
from simulator.dialects import json_response
from simulator.exchange import Exchange
from simulator.faults import FAULTS, Fault, Occasion, Reach
from simulator.spoiling import refusal, spoil
from simulator.tasks import Task, View
from simulator.world import World

#: A provider's JSON for a task, or a whole response when it is not JSON or not 200.
Show = Callable[[View], Any]

#: Gets the id of the task that is asked about.
Find = Callable[[Exchange], Awaitable[str]]

#: Answers a free question.
Look = Callable[[], Response | Awaitable[Response]]

_SPOILS = frozenset({Reach.REFUSAL, Reach.ANSWER})


def in_path(name: str) -> Find:
    async def find(exchange: Exchange) -> str:
        return exchange.params[name]

    return find


by_id = in_path("id")


def in_query(name: str) -> Find:
    async def find(exchange: Exchange) -> str:
        return exchange.request.query_params.get(name, "")

    return find


def in_body(name: str) -> Find:
    """A field of a JSON object; numbers count as their digits."""

    async def find(exchange: Exchange) -> str:
        try:
            body = json.loads(await exchange.request.body())
        except ValueError:
            return ""
        found = body.get(name) if isinstance(body, dict) else None
        return str(found) if isinstance(found, str | int) else ""

    return find


async def answer_poll(
    world: World,
    operation: Operation,
    show: Show,
    exchange: Exchange,
    *,
    by_external_id: bool = False,
    find: Find = by_id,
) -> Response:
    """The state of the task `find` names."""
    task_id = await find(exchange)
    task = world.tasks.find(operation.task_family, task_id, operation.provider if by_external_id else "")

    def look() -> Response:
        if not task_id:
            return operation.dialect.refuse("invalid", exchange.request_id, "the task id is missing")
        if task is None:
            return operation.dialect.unknown_task(task_id, exchange.request_id)
        now = world.now()
        if task.is_hidden(now):
            return operation.dialect.not_yet_visible(task_id, exchange.request_id)
        shown = show(task.view(now, base_url(world, exchange)))
        return shown if isinstance(shown, Response) else json_response(shown)

    return await answer_question(world, operation, exchange, look, task)


async def answer_question(world: World, operation: Operation, exchange: Exchange, look: Look, task: Task | None = None) -> Response:
    """Any free question about tasks: checks the key, then answers with `look` unless a fault says otherwise."""
    exchange.asks = "polls"
    # Several operations may share a poll path; what is meant is the one that was bought.
    exchange.operation = task.operation if task is not None and task.operation else operation.name
    if not world.keys.let_in(exchange):
        return operation.dialect.refuse("bad_key", exchange.request_id)
    broken = _faults(world, task, exchange)
    for fault in broken:
        if FAULTS[fault.name] is Reach.REFUSAL:
            return refusal(operation.dialect, fault, exchange.request_id)
    looked = look()
    response = await looked if inspect.isawaitable(looked) else looked
    return await spoil(world, operation.dialect, broken, response, exchange) if broken else response


def _faults(world: World, task: Task | None, exchange: Exchange) -> list[Fault]:
    """Those that spoil an answer; a task's own course is already in the task."""
    found: list[Fault] = []
    header = exchange.request.headers.get("x-simulate")
    if header:
        found += faults.in_header(header)
    if task is not None and task.poll_faults:
        found += [fault for fault in task.poll_faults if world.rules.strikes(fault, task.id)]
    if world.rules:
        found += world.rules.take(Occasion("poll", exchange.operation, exchange.request.url.path, exchange.key))
    exchange.warnings += [f"{fault.name} does not apply to a poll" for fault in found if FAULTS.get(fault.name) not in _SPOILS]
    return [fault for fault in found if FAULTS.get(fault.name) in _SPOILS]

"""A question about a task. Costs nothing, changes nothing, and comes by the thousand: kept short."""

from __future__ import annotations

from collections.abc import Callable
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

#: A provider's JSON for a task.
Show = Callable[[View], Any]

_SPOILS = frozenset({Reach.REFUSAL, Reach.ANSWER})


async def answer_poll(
    world: World, operation: Operation, show: Show, exchange: Exchange, *, by_external_id: bool = False
) -> Response:
    """The state of the task named by the path parameter ``id``."""
    task_id = exchange.params["id"]
    task = world.tasks.find(operation.task_family, task_id, operation.provider if by_external_id else "")

    def look() -> Response:
        if task is None:
            return operation.dialect.unknown_task(task_id, exchange.request_id)
        now = world.now()
        if task.is_hidden(now):
            return operation.dialect.not_yet_visible(task_id, exchange.request_id)
        return json_response(show(task.view(now, base_url(world, exchange))))

    return await answer_question(world, operation, exchange, look, task)


async def answer_question(
    world: World, operation: Operation, exchange: Exchange, look: Callable[[], Response], task: Task | None = None
) -> Response:
    """Any free question about tasks: checks the key, then answers with `look` unless a fault says otherwise."""
    if not world.keys.admits_request(exchange.request):
        return operation.dialect.refuse("bad_key", exchange.request_id)
    broken = _faults(world, operation, task, exchange)
    for fault in broken:
        if FAULTS[fault.name] is Reach.REFUSAL:
            return refusal(operation.dialect, fault, exchange.request_id)
    response = look()
    return await spoil(world, operation.dialect, broken, response, exchange) if broken else response


def _faults(world: World, operation: Operation, task: Task | None, exchange: Exchange) -> list[Fault]:
    """Those that spoil an answer; a task's own course is already in the task."""
    found: list[Fault] = []
    header = exchange.request.headers.get("x-simulate")
    if header:
        found += faults.in_header(header)
    if task is not None and task.poll_faults:
        found += [fault for fault in task.poll_faults if world.rules.strikes(fault, task.id)]
    if world.rules:
        found += world.rules.take(Occasion("poll", operation.name, exchange.request.url.path))
    exchange.warnings += [f"{fault.name} does not apply to a poll" for fault in found if FAULTS.get(fault.name) not in _SPOILS]
    return [fault for fault in found if FAULTS.get(fault.name) in _SPOILS]

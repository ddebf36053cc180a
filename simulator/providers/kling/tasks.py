"""What every asynchronous Kling operation does: start a task, show it, list the tasks, call back."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable
from typing import Any

import httpx2
from starlette.responses import Response

from simulator.calls import Call, Operation, Output, base_url
from simulator.dialects import json_response
from simulator.exchange import Exchange, Handler
from simulator.polls import answer_question
from simulator.providers.kling.wire import STATUS, envelope, head, show_task, task_object
from simulator.sales import Work
from simulator.site import Site
from simulator.tasks import Phase, View
from simulator.world import World


def offer(site: Site, path: str, operation: Operation, work: Work) -> None:
    """Create, query by either id, and list: the three routes native Kling has for each operation."""
    site.sell(path, operation, work)
    site.show(path + "/{id}", operation, show_task, by_external_id=True)
    site.routes.get(path, _list_of(site.world, operation))


async def start_task(call: Call, task_id: str, outputs: list[Output], details: dict[str, Any]) -> Response:
    """Accept the task and answer with the submit envelope; a second task with one external id is refused."""
    callback_url = call.body.get("callback_url")
    task = await call.start(
        task_id,
        outputs,
        external_id=call.body.get("external_task_id"),
        moderation="content blocked by risk control",
        failure="task failed, please retry",
        details=details,
        on_change=_callback(call.world, callback_url) if callback_url else None,
    )
    if task is None:
        raise call.invalid(f"external_task_id already exists: {call.body['external_task_id']}")
    view = View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url)
    return json_response(envelope(call.request_id, head(view)))


def _list_of(world: World, operation: Operation) -> Handler:
    """GET on the create path: `pageNum` 1-1000, `pageSize` 1-500, default 30; newest first (I)."""

    async def listing(exchange: Exchange) -> Response:
        def look() -> Response:
            page = _within(exchange, "pageNum", 1, 1000)
            size = _within(exchange, "pageSize", 30, 500)
            if page is None or size is None:
                return operation.dialect.refuse("invalid", exchange.request_id, "pageNum or pageSize out of range")
            tasks = world.tasks.newest_first(operation.task_family)[(page - 1) * size : page * size]
            now, base = world.now(), base_url(world, exchange)
            views = [View(task, task.phase(now), task.progress(now), now, base) for task in tasks]
            return json_response(envelope(exchange.request_id, [task_object(view) for view in views]))

        return await answer_question(world, operation, exchange, look)

    return listing


def _within(exchange: Exchange, name: str, default: int, most: int) -> int | None:
    text = exchange.request.query_params.get(name, str(default))
    return int(text) if text.isdecimal() and 1 <= int(text) <= most else None


def _callback(world: World, url: str) -> Callable[[View], None]:
    """POST the bare task object at every change, once each: the real protocol promises no retry (section 4)."""

    async def tell(view: View) -> None:
        answered: int | None = None
        with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL):
            async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
                answered = (await client.post(url, json=task_object(view))).status_code
        await world.ledger.append("callback", task_id=view.task.id, status=STATUS[view.phase], answered=answered)

    # Beside the task: a slow receiver must not hold up the task it is told about.
    return lambda view: world.tasks.live(tell(view))


def new_task_id() -> str:
    """18 digits, as Kling's are."""
    return str(secrets.randbelow(9 * 10**17) + 10**17)

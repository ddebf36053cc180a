"""What every asynchronous Kling operation does: start a task, show it, list the tasks, call back."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from starlette.responses import Response

from simulator.callbacks import teller
from simulator.calls import Body, Call, Operation, base_url
from simulator.config import Kind
from simulator.dialects import json_response
from simulator.exchange import Exchange, Handler
from simulator.polls import answer_question
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Product
from simulator.providers.kling.wire import KlingDialect, envelope, head, show_task, task_object
from simulator.sales import Work
from simulator.site import Site
from simulator.tasks import Phase, View
from simulator.world import World

_DIALECT = KlingDialect()

#: The largest `n` of an image task.
MOST_PICTURES = 9


def prompt_of(body: Body) -> str:
    prompt = body.get("prompt")
    return prompt if isinstance(prompt, str) else ""


def pictures_of(body: Body) -> int:
    """How many pictures `n` asks for: an image task takes so many places of the account's concurrency, and costs as many."""
    n = body.get("n")
    return n if type(n) is int and 1 <= n <= MOST_PICTURES else 1


def task_operation(name: str, kind: Kind, price_usd: str, prompt: Callable[[Body], str] = prompt_of) -> Operation:
    return Operation(f"kling.{name}", kind, Decimal(price_usd), _DIALECT, prompt, is_task=True)


def sync_operation(name: str, kind: Kind, price_usd: str, prompt: Callable[[Body], str] = prompt_of) -> Operation:
    return Operation(f"kling.{name}", kind, Decimal(price_usd), _DIALECT, prompt)


def offer(site: Site, path: str, operation: Operation, work: Work) -> None:
    """Create, query by either id, and list: the three routes native Kling has for each operation."""
    site.sell(path, operation, work)
    site.show(path + "/{id}", operation, show_task, by_external_id=True)
    site.routes.get(path, _list_of(site.world, operation))


async def start_task(call: Call, product: Product) -> Response:
    """Accept the task and answer with the submit envelope; a second task with one external id is refused."""
    checks.common_tail(call)
    product = replace(product, is_watermarked=call.body.get("watermark_info", {}).get("enabled", False))
    callback_url = call.body.get("callback_url")
    task_id = new_task_id()
    task = await call.start(
        task_id,
        product.outputs(task_id),
        external_id=call.body.get("external_task_id") or None,
        moderation="content blocked by risk control",
        failure="task failed, please retry",
        details={"product": product},
        on_change=teller(call.world, callback_url, task_object, "task_status") if callback_url else None,
    )
    if task is None:
        raise call.invalid(f"external_task_id already exists: {call.body['external_task_id']}")
    earlier.keep_task(call, task)
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


def new_task_id() -> str:
    """18 digits, as Kling's are."""
    return str(secrets.randbelow(9 * 10**17) + 10**17)

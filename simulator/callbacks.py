"""Telling a callback URL about a task: POST JSON, once, and a ledger line about it."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Callable
from typing import Any

import httpx2

from simulator.tasks import View
from simulator.world import World


@functools.cache
def _tls() -> ssl.SSLContext:
    """Loading the CA bundle takes longer than the call that it is for."""
    return httpx2.create_ssl_context(trust_env=False)


async def post(url: str, body: Any, timeout_s: float = 5.0) -> httpx2.Response | None:
    """None when nobody answered."""
    with contextlib.suppress(httpx2.HTTPError, httpx2.InvalidURL):
        async with httpx2.AsyncClient(timeout=timeout_s, trust_env=False, verify=_tls()) as client:
            return await client.post(url, json=body)
    return None


def teller(world: World, url: str, show: Callable[[View], dict[str, Any]], word: str = "status") -> Callable[[View], None]:
    """To be called at a change: POSTs what `show` makes of it. The ledger keeps the body's member `word`."""

    async def tell(view: View) -> None:
        body = show(view)
        answer = await post(url, body)
        answered = None if answer is None else answer.status_code
        await world.ledger.append("callback", task_id=view.task.id, status=body[word], answered=answered)

    # Beside the task: a slow receiver must not hold up the task it is told about.
    return lambda view: world.tasks.live(tell(view))

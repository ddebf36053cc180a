"""Answers of the task layer, and the operations that answer so."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Operation
from simulator.config import Kind
from simulator.dialects import TaskLayerDialect, json_response
from simulator.providers.suno.songs import FAMILY, Song, shown_song, song_objects
from simulator.task_rows import row_answer
from simulator.tasks import Phase, Task, View


def prompt_of(body: Body) -> str:
    """Lyrics in custom mode, the description in inspiration mode, the style of an instrumental."""
    return next((str(body[key]) for key in ("prompt", "gpt_description_prompt", "tags") if body.get(key)), "")


def task_operation(what: str, kind: Kind, price_usd: str) -> Operation:
    """Polled with `GET /suno/fetch/{id}`."""
    return Operation(f"suno.{what}", kind, Decimal(price_usd), TaskLayerDialect(), prompt_of, is_task=True, family=FAMILY)


def direct_operation(what: str, price_usd: str, prompt: Callable[[Body], str] = prompt_of) -> Operation:
    """Answered at once, with text."""
    return Operation(f"suno.{what}", "text", Decimal(price_usd), TaskLayerDialect(), prompt)


def envelope(data: Any) -> dict[str, Any]:
    return {"code": "success", "message": "", "data": data}


def title_of(body: Body) -> str:
    """The given title, else the first words of the prompt."""
    return str(body.get("title") or " ".join(prompt_of(body).split()[:4]) or "Untitled")


def new_id() -> str:
    return str(uuid.uuid4())


async def begin(call: Call, action: str, songs: Sequence[Song], **details: Any) -> Response:
    """Start a task that makes these clips; answers with its id."""
    task = await start(call, action, songs, **details)
    return json_response(envelope(task.id))


async def begin_raw(call: Call, action: str, songs: Sequence[Song]) -> Response:
    """As `begin`; answers with the clips themselves, still empty."""
    task = await start(call, action, songs)
    return json_response({"id": task.id, "clips": [shown_song(call, task, song) for song in songs]})


async def start(call: Call, action: str, songs: Sequence[Song], **details: Any) -> Task:
    outputs = [output for song in songs for output in song.outputs()]
    task = await call.start(new_id(), outputs, details={"action": action, "songs": songs, **details})
    if task is None:
        raise RuntimeError("a task has no external id, so none can be taken")
    return task


def show_task(view: View) -> dict[str, Any]:
    """The row of the gateway's table; its `data` is a list of clips, or what the task's own `data` makes of it."""
    details = view.task.details
    tell: Callable[[View], Any] = details.get("data", song_objects)
    data = None if view.phase is Phase.FAILED and "data" in details else tell(view)
    return row_answer(view, details["action"], data=data)

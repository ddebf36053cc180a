"""``/v1/videos``: start a video, say how it is doing, hand out its bytes. Source: sora.md sections 1, 3 and 4."""

from __future__ import annotations

import io
import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from PIL import Image, UnidentifiedImageError
from starlette.responses import RedirectResponse, Response

from simulator.calls import Call, Operation, Output, base_url
from simulator.dialects import json_response
from simulator.downloads import answer_file
from simulator.exchange import Exchange, Handler, Refused
from simulator.faults import option
from simulator.polls import Show, answer_poll, answer_question
from simulator.providers.sora.wire import VideosDialect, vendor_error, video_object
from simulator.site import Site
from simulator.tasks import Phase, Task, View
from simulator.uploads import Upload, listed
from simulator.world import World

PATH = "/v1/videos"

#: All videos of the route, whoever makes them.
FAMILY = "videos"

#: `variant` of the content -> ending of its file.
_VARIANTS = {"video": ".mp4", "thumbnail": ".webp", "spritesheet": ".jpeg"}

_PICTURES = {"JPEG", "PNG", "WEBP"}

#: Answers for a task nobody knows, whose maker nobody knows either.
_ANYBODY = Operation("sora.create_video", "video", Decimal("0"), VideosDialect(), lambda body: "", is_task=True, family=FAMILY)


def open_route(site: Site) -> None:
    site.routes.get(f"{PATH}/{{id}}", _poll(site.world))
    site.routes.get(f"{PATH}/{{id}}/content", _content(site.world))


async def start_video(
    call: Call, outputs: Sequence[Output], show: Show, *, model: str, seconds: str, size: str, **details: Any
) -> Response:
    """Accept a video, whose id is the name of the first of `outputs`. `show` tells of it, now and in polls."""
    task = await call.start(
        outputs[0].name,
        outputs,
        moderation="request refused by safety system",
        failure="video generation failed",
        details={"operation": call.operation, "show": show, "model": model, "seconds": seconds, "size": size, **details},
    )
    if task is None:
        raise RuntimeError("a video has no external id, so none can be taken")
    video = show(View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url))
    # What is not known yet is left out here and null in polls.
    return json_response({name: value for name, value in video.items() if value is not None})


def new_id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex}"


def invalid(call: Call, field: str, what: str) -> Refused:
    return Refused(vendor_error(f"Invalid value for '{field}': {what}", field, "invalid_value", call.request_id))


def need_prompt(call: Call, most: int = 32_000) -> None:
    prompt = call.body.get("prompt")
    if not isinstance(prompt, str) or not prompt:
        message = "Missing required parameter: 'prompt'."
        raise Refused(vendor_error(message, "prompt", "missing_required_parameter", call.request_id))
    if len(prompt) > most:
        raise invalid(call, "prompt", f"must not be longer than {most} characters")


def chosen(call: Call, name: str, allowed: Sequence[str]) -> str:
    """One of `allowed`, of which the first is the default. Numbers are sent as strings on this route."""
    value = call.body.get(name, allowed[0])
    if not isinstance(value, str) or value not in allowed:
        raise invalid(call, name, f"must be one of {', '.join(repr(one) for one in allowed)}")
    return value


def references(call: Call, most: int = 1) -> list[Upload]:
    """The files of `input_reference`, each a picture. Links are let through unseen."""
    sent = listed(call.body, "input_reference")
    sent += [value for name, value in call.body.items() if name in {"input_reference[image_url]", "input_reference[file_id]"}]
    if len(sent) > most:
        raise invalid(call, "input_reference", f"must not be more than {most}")
    for one in sent:
        if isinstance(one, Upload):
            picture_size(call, one)
        elif not _is_link(one):
            raise invalid(call, "input_reference", "must be an image file, or an object with one of image_url and file_id")
    return [one for one in sent if isinstance(one, Upload)]


def _is_link(value: object) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and set(value) <= {"image_url", "file_id"} and all(isinstance(one, str) for one in value.values())
    return isinstance(value, str) and value != ""


def picture_size(call: Call, upload: Upload) -> tuple[int, int]:
    """Pixels of an uploaded reference. Raises for what is no picture."""
    try:
        with Image.open(io.BytesIO(upload.content)) as picture:
            if picture.format in _PICTURES:
                return picture.size
    except (UnidentifiedImageError, OSError):
        pass
    raise invalid(call, "input_reference", "must be an image of type image/jpeg, image/png or image/webp")


def _find(world: World, exchange: Exchange) -> tuple[Task | None, Operation]:
    """The task, and the operation in whose words to speak of it."""
    task = world.tasks.find(FAMILY, exchange.params["id"])
    return task, task.details["operation"] if task is not None else _ANYBODY


def _poll(world: World) -> Handler:
    async def poll(exchange: Exchange) -> Response:
        task, operation = _find(world, exchange)
        show: Show = task.details["show"] if task is not None else video_object
        return await answer_poll(world, operation, show, exchange)

    return poll


def _content(world: World) -> Handler:
    """GET /v1/videos/{id}/content: the bytes, or one of two pictures made from them."""

    async def content(exchange: Exchange) -> Response:
        task, operation = _find(world, exchange)

        async def look() -> Response:
            now = world.now()
            if task is None or task.is_hidden(now):
                return operation.dialect.unknown_task(exchange.params["id"], exchange.request_id)
            view = View(task, task.phase(now), task.progress(now), now, base_url(world, exchange))
            return await _bytes(world, view, exchange)

        return await answer_question(world, operation, exchange, look, task)

    return content


async def _bytes(world: World, view: View, exchange: Exchange) -> Response:
    variant = exchange.request.query_params.get("variant", "video")
    if variant not in _VARIANTS:
        return vendor_error(f"Invalid value for 'variant': '{variant}'", "variant", "invalid_value", exchange.request_id)
    if view.phase is not Phase.SUCCEEDED:
        message = "video generation failed" if view.phase is Phase.FAILED else "video is not ready yet"
        return vendor_error(message, "", "", exchange.request_id)
    file = next((file for file in view.outputs if file.name.endswith(_VARIANTS[variant])), None)
    if file is None:
        return vendor_error(f"this video has no {variant}", "variant", "not_found", exchange.request_id, 404)
    if option(view.task.fault("variant"), "content") == "redirect":
        return RedirectResponse(view.url(file), 302)
    return await answer_file(world, file, exchange)

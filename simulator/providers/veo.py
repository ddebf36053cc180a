"""Veo 3: 8 s with sound on the shared ``/v1/videos``, and the two older pairs of paths for the same thing.

Source: veo.md sections 1 to 3 (apidoc.cometapi.com/api/video/veo3).

What the facts leave open, and what is done here:

* the answers name a backend's model, ``veo_3_1-fast`` for ``veo3.1-fast``; any ``veo...`` is a model; ``-4k`` is 3840x2160
* `seconds` is accepted and changes nothing; `size` is ``16x9`` unless said otherwise
* a finished video is linked to; ``[[simulate:variant link=none]]`` leaves the link out, so that only ``/content`` has it
* both candidates for the older paths are there; a failed task says why in `error` on both
* on the older paths ``-frames`` models take two images, ``-components`` models three, any other up to five
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect, json_response
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Clip
from simulator.polls import in_query
from simulator.providers.sora import route
from simulator.providers.sora.wire import VideosDialect, video_object, with_link
from simulator.site import Site
from simulator.tasks import Phase, View

MODELS = ("veo3", "veo3-fast", "veo3-pro", "veo3.1", "veo3.1-fast", "veo3.1-pro")

_SECONDS = 8

#: Model's ending -> most images, on the older paths.
_MOST_IMAGES = {"-frames": 2, "-components": 3}


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


VIDEO = Operation("veo.video", "video", Decimal("0.4"), VideosDialect(), prompt_of, is_task=True, family=route.FAMILY)

#: The same thing bought at the older paths.
OLD_VIDEO = Operation("veo.video", "video", Decimal("0.4"), Dialect(), prompt_of, is_task=True, family="veo.old")


def register(site: Site) -> None:
    site.sell(route.PATH, VIDEO, create, takes=lambda body: str(body.get("model")).startswith("veo"))
    site.sell("/v1/video/create", OLD_VIDEO, create_unified)
    site.show("/v1/video/query", OLD_VIDEO, show_unified, find=in_query("id"))
    site.sell("/veo/v1/api/video/submit", OLD_VIDEO, submit)
    site.show("/veo/v1/api/video/status/{id}", OLD_VIDEO, show_status)
    site.world.models += [ModelCard(model, "Google", "video", "text-to-video", per_request=0.4) for model in MODELS]


async def create(call: Call) -> Response:
    route.need_prompt(call)
    size = route.chosen(call, "size", ("16x9", "9x16"))
    route.references(call, most=2)
    model = call.body["model"]
    output = Output(_clip(model, call.prompt, is_upright=size == "9x16"), route.new_id("task"))
    return await route.start_video(call, [output], show, model=_backend_model(model), seconds="", size=size)


def _backend_model(model: str) -> str:
    return model.replace("veo", "veo_", 1).replace(".", "_")


def _clip(model: str, prompt: str, is_upright: bool) -> Clip:
    # A quarter of the frames for nine times the pixels.
    width, height, fps = (3840, 2160, 2) if "4k" in model else (1280, 720, 8)
    if is_upright:
        width, height = height, width
    return Clip(prompt, _SECONDS, width, height, with_sound=True, fps=fps)


def show(view: View) -> dict[str, Any]:
    """The object of the route without its nulls; only the create call shows `seconds`, empty."""
    video = {name: value for name, value in video_object(view).items() if value is not None and name != "expires_at"}
    if view.phase is Phase.FAILED:
        video["error"]["code"] = view.failure_option("code", "generation_failed")
    if view.phase is not Phase.SUBMITTED:
        del video["seconds"]
        video["task_id"] = view.task.id
    return with_link(view, video)


async def create_unified(call: Call) -> Response:
    """Candidate 1: ``/v1/video/create``."""
    fields = _check_old(call)
    fields.flag("enable_upsample")
    ratio = fields.one_of("aspect_ratio", ("16:9", "9:16"), "16:9")
    view = await _start_old(call, is_upright=ratio == "9:16")
    return json_response(show_unified(view))


async def submit(call: Call) -> Response:
    """Candidate 2: ``/veo/v1/api/video/submit``."""
    _check_old(call)
    task_id = (await _start_old(call, is_upright=False)).task.id
    data = {
        "taskId": task_id,
        "pollingUrl": f"https://poll.example.net/{task_id}",
        "status": "processing",
        "message": "accepted",
    }
    return json_response({"success": True, "data": data})


def _check_old(call: Call) -> Fields:
    fields = fields_of(call)
    fields.need("model", "prompt")
    fields.text("prompt")
    fields.flag("enhance_prompt")
    model = fields.text("model")
    if not model.startswith("veo"):
        raise fields.wrong("model", "is unknown")
    images = call.body.get("images", [])
    most = next((most for ending, most in _MOST_IMAGES.items() if model.endswith(ending)), 5)
    if not isinstance(images, list) or not all(isinstance(one, str) for one in images) or len(images) > most:
        raise fields.wrong("images", f"must be a list of at most {most} URLs")
    return fields


async def _start_old(call: Call, *, is_upright: bool) -> View:
    model = call.body["model"]
    number = str(uuid.uuid4())
    task = await call.start(
        f"{model}:{number}",
        [Output(_clip(model, call.prompt, is_upright), number)],
        moderation="content filtered",
        failure="generation failed",
    )
    if task is None:
        raise RuntimeError("a video has no external id, so none can be taken")
    return View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url)


def show_unified(view: View) -> dict[str, Any]:
    answer = {
        "id": view.task.id,
        "status": view.strange_word or _old_status(view, "pending"),
        "status_update_time": int(view.now * 1000),
        "enhanced_prompt": prompt_of(view.task.body) if view.phase is Phase.SUCCEEDED else "",
    }
    return answer | _old_outcome(view)


def show_status(view: View) -> dict[str, Any]:
    status = view.strange_word or _old_status(view, "processing")
    data: dict[str, Any] = {"taskId": view.task.id, "status": status}
    if view.phase is not Phase.SUBMITTED:
        upstream = {
            "id": view.task.id,
            "status": status,
            "enhanced_prompt": prompt_of(view.task.body),
            "images": view.task.body.get("images", []),
        }
        data["upstreamData"] = upstream | _old_outcome(view)
    return {"success": True, "data": data}


def _old_status(view: View, waiting: str) -> str:
    match view.phase:
        case Phase.SUCCEEDED:
            return "completed"
        case Phase.FAILED:
            return "failed"
        case Phase.PROCESSING:
            return "video_generating" if view.progress < 0.9 else "video_upsampling"
        case _:
            return waiting


def _old_outcome(view: View) -> dict[str, Any]:
    if view.phase is Phase.FAILED:
        return {"error": view.task.failure}
    return {"video_url": view.url(view.outputs[0])} if view.outputs else {}

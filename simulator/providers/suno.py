"""Suno: music tasks in the gateway's task layer, ``{code: "success", message, data}``. Two clips per task.

Source: suno.md sections 0, 1, 4 and 10 (apidoc.cometapi.com/api-13851480, batch-task-fetch-api-13851484).

While a task runs, its clips already have an `audio_url`: a live stream that holds only the beginning. A client that
stores it has stored the wrong thing. As in the documented sample only the first clip has a video. `notify_hook` is
accepted and does nothing, as in the stock gateway. Field rules the facts do not state are not enforced.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

from starlette.responses import Response, StreamingResponse

from simulator.calls import Body, Call, Operation, Output, base_url
from simulator.dialects import TaskLayerDialect, json_response
from simulator.exchange import Exchange, Handler
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Picture, Sound
from simulator.polls import answer_question
from simulator.site import Site
from simulator.tasks import Phase, View
from simulator.world import World

#: `mv` -> longest prompt, longest tags, version. An unknown `mv` is accepted: the facts call it an open string.
_VERSIONS = {
    "chirp-v3-0": (3000, 200, "v3"),
    "chirp-v3-5": (3000, 200, "v3.5"),
    "chirp-v4": (3000, 200, "v4"),
    "chirp-auk": (5000, 1000, "v4.5"),
    "chirp-auk-turbo": (5000, 1000, "v4.5-all"),
    "chirp-bluejay": (5000, 1000, "v4.5+"),
    "chirp-crow": (5000, 1000, "v5"),
    "chirp-fenix": (5000, 1000, "v5.5"),
}

_DEFAULT_MV = "chirp-v3-0"

#: Lengths of the two clips, in seconds: short, so that a test downloads quickly.
_SECONDS = (24.0, 28.0)

_STREAM_PATH = "/suno-stream"


def prompt_of(body: Body) -> str:
    """Lyrics in custom mode, the description in inspiration mode, the style of an instrumental."""
    return next((str(body[key]) for key in ("prompt", "gpt_description_prompt", "tags") if body.get(key)), "")


MUSIC = Operation(
    "suno.music",
    kind="music",
    price_usd=0.144,
    dialect=TaskLayerDialect(),
    prompt=prompt_of,
    is_task=True,
    family="suno",
)


def register(site: Site) -> None:
    site.sell("/suno/submit/music", MUSIC, submit_music)
    site.show("/suno/fetch/{id}", MUSIC, show_task)
    site.routes.post("/suno/fetch", _batch(site.world))
    site.routes.get(_STREAM_PATH, _stream(site.world))
    site.world.models.append(ModelCard("suno_music", "Suno", "music", "text-to-music", per_request=0.144))


async def submit_music(call: Call) -> Response:
    check_music(call)
    text, title = call.prompt, title_of(call.body)
    clip_ids = [str(uuid.uuid4()) for _ in _SECONDS]
    outputs: list[Output] = []
    for number, (clip_id, seconds) in enumerate(zip(clip_ids, _SECONDS, strict=True)):
        cover = f"{title}\n{text}"
        outputs += [
            Output(Sound(text, seconds, "mp3", 44_100, variation=number), clip_id),
            Output(Picture(cover, 360, 360, "jpeg", variation=number), f"image_{clip_id}"),
            Output(Picture(cover, 1024, 1024, "jpeg", variation=number), f"image_large_{clip_id}"),
        ]
    outputs.append(Output(Clip(title, _SECONDS[0], 480, 480, with_sound=True, fps=2), clip_ids[0]))
    task_id = str(uuid.uuid4())
    await call.start(task_id, outputs, details={"action": "MUSIC", "clips": clip_ids, "title": title})
    return json_response({"code": "success", "message": "", "data": task_id})


def check_music(call: Call) -> None:
    """Raises ``invalid_request``."""
    body = call.body
    for name in ("prompt", "gpt_description_prompt", "tags", "negative_tags", "title", "mv", "task"):
        if body.get(name) is not None and not isinstance(body[name], str):
            raise call.invalid(f"{name} must be a string")
    if not call.prompt and not body.get("continue_clip_id"):
        raise call.invalid("prompt_empty")
    if body.get("continue_clip_id") and not body.get("task_id"):
        raise call.invalid("task id is empty")
    longest_prompt, longest_tags, _ = _VERSIONS.get(body.get("mv") or _DEFAULT_MV, (5000, 1000, ""))
    if len(body.get("prompt") or "") > longest_prompt:
        raise call.invalid(f"prompt is longer than {longest_prompt} characters")
    if len(body.get("tags") or "") > longest_tags:
        raise call.invalid(f"tags are longer than {longest_tags} characters")


def title_of(body: Body) -> str:
    """The given title, else the first words of the prompt."""
    return str(body.get("title") or " ".join(prompt_of(body).split()[:4]) or "Untitled")


def show_task(view: View) -> dict[str, Any]:
    return {"code": "success", "message": "", "data": task_object(view)}


def task_object(view: View) -> dict[str, Any]:
    """The task as the gateway's database has it (section 0.1)."""
    task = view.task
    is_over = view.phase in (Phase.SUCCEEDED, Phase.FAILED)
    return {
        "task_id": task.id,
        "action": task.details["action"],
        "status": view.strange_word or _status(view),
        "fail_reason": task.failure if view.phase is Phase.FAILED else "",
        "submit_time": int(task.created_at),
        "start_time": 0 if view.phase is Phase.SUBMITTED else int(task.begins_at),
        "finish_time": int(task.ends_at) if is_over else 0,
        "progress": f"{int(view.progress * 10) * 10}%",
        "data": _clips(view),
    }


def _status(view: View) -> str:
    match view.phase:
        case Phase.SUCCEEDED:
            return "SUCCESS"
        case Phase.FAILED:
            return "FAILURE"
        case Phase.PROCESSING:
            return "IN_PROGRESS" if view.progress >= 0.25 else "QUEUED"
        case _:
            return "SUBMITTED"


def _clips(view: View) -> list[dict[str, Any]]:
    """Empty for a failed task and for a success without outputs."""
    if view.phase is Phase.FAILED or (view.phase is Phase.SUCCEEDED and not view.outputs):
        return []
    files = {file.name: file for file in view.outputs}
    return [_clip(view, clip_id, seconds, files) for clip_id, seconds in zip(view.task.details["clips"], _SECONDS, strict=True)]


def _clip(view: View, clip_id: str, seconds: float, files: dict[str, PublishedFile]) -> dict[str, Any]:
    """One clip, before and after it is complete (section 0.3)."""
    body = view.task.body
    mv = body.get("mv") or _DEFAULT_MV
    is_complete = view.phase is Phase.SUCCEEDED
    is_streaming = view.phase is Phase.PROCESSING and view.progress >= 0.25

    def url(name: str) -> str:
        return view.url(files[name]) if name in files else ""

    audio_url = url(f"{clip_id}.mp3")
    if is_streaming:
        audio_url = f"{view.base_url}{_STREAM_PATH}?item_id={clip_id}"
    waiting = "submitted" if view.phase is Phase.SUBMITTED else "queued"
    return {
        "id": clip_id,
        "title": view.task.details["title"],
        "status": "complete" if is_complete else "streaming" if is_streaming else waiting,
        "audio_url": audio_url,
        "video_url": url(f"{clip_id}.mp4"),
        "image_url": url(f"image_{clip_id}.jpeg"),
        "image_large_url": url(f"image_large_{clip_id}.jpeg"),
        "is_video_pending": False,
        "model_name": mv,
        "major_model_version": _VERSIONS.get(mv, (0, 0, ""))[2],
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(view.task.created_at)),
        "metadata": {
            "tags": body.get("tags") or "",
            "prompt": body.get("prompt") or "",
            "gpt_description_prompt": body.get("gpt_description_prompt"),
            "type": "gen",
            "duration": seconds if is_complete else None,
            "stream": True,
            "error_type": None,
            "error_message": None,
        },
    }


def _batch(world: World) -> Handler:
    """POST /suno/fetch: unknown ids are silently absent, `action` is ignored (stock code)."""

    async def fetch(exchange: Exchange) -> Response:
        raw = await exchange.request.body()

        def look() -> Response:
            try:
                ids = json.loads(raw)["ids"]
            except (ValueError, TypeError, KeyError):
                return MUSIC.dialect.refuse("invalid", exchange.request_id, "ids is required")
            if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
                return MUSIC.dialect.refuse("invalid", exchange.request_id, "ids must be a list of strings")
            now, base = world.now(), base_url(world, exchange)
            found = [world.tasks.find(MUSIC.task_family, one) for one in ids]
            seen = [task_object(task.view(now, base)) for task in found if task is not None and not task.is_hidden(now)]
            return json_response({"code": "success", "message": "", "data": seen})

        return await answer_question(world, MUSIC, exchange, look)

    return fetch


def _stream(world: World) -> Handler:
    """The beginning of a clip that is still being made, without a length, as a live stream has none."""

    async def stream(exchange: Exchange) -> Response:
        file = world.files.get(f"{exchange.request.query_params.get('item_id', '')}.mp3")
        if file is None:
            return Response(status_code=404)
        content = file.path.read_bytes()
        return StreamingResponse(iter([content[: len(content) // 3]]), media_type="audio/mpeg")

    return stream

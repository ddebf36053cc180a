"""Lip-sync, the older operation (section 5.6c): POST /kling/v1/videos/lip-sync, everything inside `input`.

CometAPI's older page names `input.task_id`, the task of the Kling video. It is taken alone or beside the `video_id` of
the same task.
"""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from simulator.calls import Body, Call
from simulator.fields import Fields, fields_of
from simulator.providers.kling import checks, earlier
from simulator.providers.kling.products import Footage, Product, Video
from simulator.providers.kling.tasks import offer, start_task, task_operation
from simulator.site import Site

_LENGTHS_S = (5.0, 10.0)


def prompt_of(body: Body) -> str:
    """What is to be said."""
    given = body.get("input")
    text = given.get("text") if isinstance(given, dict) else None
    return text if isinstance(text, str) else ""


LIP_SYNC = task_operation("lip_sync", "video", "0.14", prompt_of)


def register(site: Site) -> None:
    offer(site, "/kling/v1/videos/lip-sync", LIP_SYNC, lip_sync)


async def lip_sync(call: Call) -> Response:
    outside = fields_of(call)
    outside.need("input")
    fields = outside.inside("input")
    fields.need("mode")
    if fields.one_of("mode", ("text2video", "audio2video")) == "text2video":
        _check_text(fields)
    else:
        _check_audio(fields)
    parent = _parent(call, fields)
    source = Footage(call.prompt or "lip sync", 5.0) if parent is None else parent.footage
    return await start_task(call, Product(replace(source, text=call.prompt or source.text, with_sound=True), parent=parent))


def _check_text(fields: Fields) -> None:
    fields.need("text", "voice_id", "voice_language")
    fields.text("text", 120)
    fields.text("voice_id")
    fields.one_of("voice_language", ("zh", "en"))
    fields.number("voice_speed", 0.8, 2.0)


def _check_audio(fields: Fields) -> None:
    fields.need("audio_type")
    if fields.one_of("audio_type", ("file", "url")) == "file":
        fields.need("audio_file")
        checks.sound(fields, "audio_file")
    else:
        fields.need("audio_url")
        checks.link(fields, "audio_url")


def _parent(call: Call, fields: Fields) -> Video | None:
    """None for a video from elsewhere."""
    if "task_id" not in fields.given:
        if checks.one_video(fields) == "video_url":
            return None
        parent = earlier.video(call, fields)
    else:
        if fields.given.get("video_url"):
            raise fields.wrong("video_url", "excludes task_id")
        parent = earlier.video_of_task(call, fields)
        if fields.text("video_id", default=parent.id) != parent.id:
            raise fields.wrong("video_id", "is not of that task")
    if parent.footage.seconds not in _LENGTHS_S:
        raise fields.wrong("video_id", "must be a video of 5 or 10 seconds")
    return parent

"""Seedance (ByteDance): video tasks in the vendor's own shape under ``/volc/v3``, and on the shared ``/v1/videos``.

Source: bytedance-video.md (apidoc.cometapi.com/api/video/bytedance, volcengine.com/docs/82379).

What the facts leave open, and what is done here:

* all native extras are forwarded, and callbacks passed through with the id the create call gave
* lengths are 2-12 s for 1.x, 4-12 s for 1.5 and 4-15 s for 2.x; sizes have the area of 16:9 at the resolution;
  ``adaptive`` is 16:9, since images are not fetched
* t2v models take no image and i2v models need one, as their names say
* refusals come in the vendor's shape; an id nobody knows gets the gateway's ``task_not_exist``
* ``[[simulate:wrapped]]`` puts the gateway's task row around the polled object
* ``[[simulate:failed word=expired]]`` ends a task as expired or cancelled instead of failed
* on the shared route `seconds` is 2 to 15, `size` is ``WIDTHxHEIGHT`` or a ratio, and images are files or links
"""

from __future__ import annotations

import math
import re
import secrets
import string
import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from simulator.callbacks import teller
from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect, json_response, task_error
from simulator.exchange import Refused
from simulator.fields import Fields
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Picture
from simulator.providers.sora import route
from simulator.providers.sora.wire import VideosDialect, video_object, with_link
from simulator.site import Site
from simulator.task_rows import row_answer
from simulator.tasks import FINAL, Phase, View

PATH = "/volc/v3/contents/generations/tasks"

MODELS = (
    "doubao-seedance-1-0-lite-t2v-250428",
    "doubao-seedance-1-0-lite-i2v-250428",
    "doubao-seedance-1-0-pro-250528",
    "doubao-seedance-1-0-pro-fast-251015",
    "doubao-seedance-1-5-pro-251215",
    "doubao-seedance-2-0-260128",
)

_STATUS = {
    Phase.SUBMITTED: "queued",
    Phase.PROCESSING: "running",
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
}

#: The shared route spells them otherwise.
_UNIFIED_STATUS = {
    Phase.SUBMITTED: "SUBMITTED",
    Phase.PROCESSING: "IN_PROGRESS",
    Phase.SUCCEEDED: "SUCCESS",
    Phase.FAILED: "FAILED",
}

#: The first is the default.
_UNIFIED_SECONDS = ("5", "2", "3", "4", *map(str, range(6, 16)))

#: Pixels of a frame.
_AREAS = {f"{height}p": height * height * 16 // 9 for height in (480, 720, 1080)}

_RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive")

#: Kind of refusal -> HTTP status, code, message. Others are worded by the gateway.
_ERRORS = {
    "invalid": (400, "InvalidParameter", "A parameter specified in the request is not valid."),
    "rate_limit": (429, "RateLimitExceeded.EndpointRPMExceeded", "The requests per minute limit of the endpoint is exceeded."),
    "server_error": (500, "InternalServiceError", "The service encountered an unexpected internal error."),
}

#: Option in the text -> field it stands for.
_OPTIONS = {
    "resolution": "resolution",
    "ratio": "ratio",
    "duration": "duration",
    "fps": "fps",
    "seed": "seed",
    "camerafixed": "camera_fixed",
    "watermark": "watermark",
}

_EXPIRES_AFTER_S = 172_800

_FPS = 24

_ID_LETTERS = string.ascii_lowercase + string.digits


class SeedanceDialect(Dialect):
    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _ERRORS:
            return super().refuse(kind, request_id, message, code)
        status, own_code, own_message = _ERRORS[kind]
        return native_error(status, code or own_code, message or own_message, "", request_id)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return task_error("task_not_exist", "task_not_exist", 400)


def native_error(status: int, code: str, message: str, param: str, request_id: str) -> Response:
    kind = {400: "BadRequest", 404: "NotFound", 429: "TooManyRequests"}.get(status, "InternalServerError")
    error = {"code": code, "message": f"{message} Request id: {request_id}", "param": param, "type": kind}
    return json_response({"error": error}, status)


def prompt_of(body: Body) -> str:
    """The text parts of `content`; on the shared route `prompt`."""
    content = body.get("content")
    parts = content if isinstance(content, list) else []
    texts = [str(part.get("text") or "") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    return " ".join(texts) or str(body.get("prompt") or "")


VIDEO = Operation("seedance.video", "video", Decimal("0.12"), SeedanceDialect(), prompt_of, is_task=True, family="seedance")

#: The same thing bought on the path that several providers share.
UNIFIED_VIDEO = Operation("seedance.video", "video", Decimal("0.12"), VideosDialect(), prompt_of, is_task=True, family=route.FAMILY)


def register(site: Site) -> None:
    site.sell(PATH, VIDEO, create)
    site.show(PATH + "/{id}", VIDEO, show_task)
    site.sell(route.PATH, UNIFIED_VIDEO, create_unified, takes=lambda body: "seedance" in str(body.get("model")))
    site.world.models += [ModelCard(model, "ByteDance", "video", "text-to-video", per_second=0.024) for model in MODELS]


async def create(call: Call) -> Response:
    fields = Fields(call.body, lambda field, what: _invalid(call, field, what))
    for name in ("model", "content"):
        if not call.body.get(name):
            raise _missing(call, name)
    version = _version(call, fields.text("model"))
    roles = check_content(call, fields, version)
    wanted = _wanted(call, fields, version, is_adaptive=bool(roles))
    url = fields.text("callback_url")
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    task_id = f"cgt-{stamp}-{''.join(secrets.choice(_ID_LETTERS) for _ in range(5))}"
    label = "AI generated" if wanted["watermark"] else ""
    width, height = wanted["size"]
    clip = Clip(call.prompt, wanted["seconds"], width, height, with_sound=wanted["sound"], label=label)
    outputs = [Output(clip, task_id, query=_signature())]
    if fields.flag("return_last_frame"):
        outputs.append(Output(Picture(call.prompt, width, height), f"{task_id}-last", query=_signature()))
    tell = teller(call.world, url, task_object) if url else None
    task = await call.start(
        task_id,
        outputs,
        moderation="output may contain sensitive information",
        failure="The service encountered an unexpected internal error.",
        details=wanted,
        on_change=tell,
    )
    if tell is not None and task is not None:
        tell(View(task, Phase.SUBMITTED, 0.0, task.created_at, task.base_url))
    return json_response({"id": task_id})


def _version(call: Call, model: str) -> tuple[int, int]:
    """``doubao-seedance-1-5-pro-251215`` is (1, 5)."""
    found = re.search(r"seedance-(\d)-(\d)", model)
    if found is None:
        message = f"The model or endpoint {model} does not exist or you do not have access to it."
        raise Refused(native_error(404, "InvalidEndpointOrModel.NotFound", message, "model", call.request_id))
    return int(found[1]), int(found[2])


def check_content(call: Call, fields: Fields, version: tuple[int, int]) -> list[str]:
    """The roles of the images. Raises for a part, or a mix of parts, the vendor does not take."""
    model = fields.text("model")
    roles: list[str] = []
    counts = dict.fromkeys(("text", "image_url", "video_url", "audio_url", "draft_task"), 0)
    for part in fields.each("content", 1, 32):
        part.need("type")
        kind = part.one_of("type", tuple(counts))
        counts[kind] += 1
        if kind == "text":
            part.need("text")
            part.text("text")
        elif kind == "draft_task":
            _check_draft(call, part)
        else:
            part.inside(kind).need("url")
            part.inside(kind).text("url")
            if kind == "image_url":
                roles.append(part.one_of("role", ("first_frame", "last_frame", "reference_image"), "first_frame"))
            else:
                part.one_of("role", (f"reference_{kind[:5]}",))
                if version < (2, 0):
                    raise part.wrong("type", f"{kind} is not supported by {model}")
    _check_roles(fields, roles, version)
    _check_mix(call, fields, counts)
    return roles


def _check_roles(fields: Fields, roles: list[str], version: tuple[int, int]) -> None:
    """First frame, first and last frame, and references exclude each other."""
    first, last, references = (roles.count(role) for role in ("first_frame", "last_frame", "reference_image"))
    if references and (first or last):
        raise fields.wrong("content", "must not mix reference images with first or last frames")
    if first > 1 or last > first:
        raise fields.wrong("content", "must have one first frame, or one first and one last frame")
    if references > (9 if version >= (2, 0) else 4):
        raise fields.wrong("content", "has too many reference images")


def _check_mix(call: Call, fields: Fields, counts: dict[str, int]) -> None:
    model = fields.text("model")
    for kind in ("video_url", "audio_url"):
        if counts[kind] > 3:
            raise fields.wrong("content", f"must have at most 3 parts of {kind}")
    if counts["audio_url"] and not (counts["image_url"] or counts["video_url"]):
        raise fields.wrong("content", "must have an image or a video beside audio")
    if counts["image_url"] and "t2v" in model:
        raise fields.wrong("content", f"must have no image for {model}")
    if "i2v" in model and not counts["image_url"]:
        raise _missing(call, "content.image_url")


def _check_draft(call: Call, part: Fields) -> None:
    draft = call.world.tasks.find(VIDEO.task_family, part.inside("draft_task").text("id"))
    if draft is None or not draft.details["draft"] or draft.phase(call.world.now()) is not Phase.SUCCEEDED:
        raise part.wrong("draft_task.id", "is no finished draft")


def _wanted(call: Call, fields: Fields, version: tuple[int, int], is_adaptive: bool) -> dict[str, Any]:
    """What is made and told of it: the body's options, else those written into the text, else the defaults."""
    options = Fields(_options_in_text(call.prompt) | call.body, fields.refuse)
    least, most = (4, 15) if version >= (2, 0) else (4, 12) if version == (1, 5) else (2, 12)
    has_sound = version >= (1, 5)
    ratio = options.one_of("ratio", _RATIOS, "adaptive" if is_adaptive else "16:9")
    if ratio == "adaptive":
        ratio = "16:9"
    resolution = options.one_of("resolution", tuple(_AREAS), "720p")
    options.one_of("fps", (_FPS,))
    frames = options.whole("frames", 29, 289)
    seed = options.whole("seed", -1, 2**32 - 1, -1)
    options.flag("camera_fixed")
    is_draft = options.flag("draft")
    if is_draft and version != (1, 5):
        raise options.wrong("draft", f"is not supported by {call.body['model']}")
    if options.each("tools", 0, 8) and version < (2, 0):
        raise options.wrong("tools", f"is not supported by {call.body['model']}")
    return {
        "seconds": frames / _FPS if frames else options.whole("duration", least, most, 5),
        "size": frame_size(ratio, _AREAS[resolution]),
        "resolution": resolution,
        "ratio": ratio,
        "seed": secrets.randbelow(2**31) if seed == -1 else seed,
        "watermark": options.flag("watermark"),
        "sound": options.flag("generate_audio", has_sound) and has_sound,
        "draft": is_draft,
        "service_tier": options.one_of("service_tier", ("default", "flex"), "default"),
        "expires_after": options.whole("execution_expires_after", 3600, 259_200, _EXPIRES_AFTER_S),
    }


def _options_in_text(text: str) -> dict[str, Any]:
    """``--ratio 16:9 --duration 5 --watermark false`` as fields."""
    found: dict[str, Any] = {}
    for name, word in re.findall(r"--(\w+) +(\S+)", text):
        if name in _OPTIONS:
            is_number = re.fullmatch(r"-?\d+", word)
            found[_OPTIONS[name]] = int(word) if is_number else {"true": True, "false": False}.get(word, word)
    return found


def frame_size(ratio: str, area: int) -> tuple[int, int]:
    """Even sides of this ratio and about this area: ``16:9`` and 921600 give 1280x720."""
    across, down = (int(side) for side in ratio.split(":"))
    return round(math.sqrt(area * across / down) / 2) * 2, round(math.sqrt(area * down / across) / 2) * 2


def _signature() -> str:
    """What signed object storage hangs on a link: it must come back byte for byte."""
    return f"X-Tos-Expires=86400&X-Tos-Signature={quote(secrets.token_urlsafe(18) + '/+', safe='')}"


def _missing(call: Call, name: str) -> Refused:
    message = f"The request failed because it is missing `{name}` parameter."
    return Refused(native_error(400, "MissingParameter", message, name, call.request_id))


def _invalid(call: Call, field: str, what: str) -> Refused:
    message = f"The parameter `{field}` specified in the request is not valid: {what}."
    return Refused(native_error(400, "InvalidParameter", message, field, call.request_id))


def show_task(view: View) -> dict[str, Any]:
    native = task_object(view)
    return native if view.task.fault("wrapped") is None else row_answer(view, "SEEDANCE", data=native)


def task_object(view: View) -> dict[str, Any]:
    """The vendor's object, as polls and callbacks have it."""
    task = view.task
    native: dict[str, Any] = {
        "id": task.id,
        "model": task.body["model"],
        "status": view.strange_word or _STATUS[view.phase],
        "created_at": int(task.created_at),
        "updated_at": int(task.ends_at if view.phase in FINAL else view.now),
        "service_tier": task.details["service_tier"],
        "execution_expires_after": task.details["expires_after"],
    }
    if view.phase is Phase.FAILED:
        native["status"] = view.failure_option("word", "failed")
        own_code = "OutputVideoSensitiveContentDetected" if view.is_moderated else "InternalServiceError"
        native["error"] = {"code": view.failure_option("code", own_code), "message": task.failure}
    if view.phase is Phase.SUCCEEDED:
        native |= _finished(view)
    return native


def _finished(view: View) -> dict[str, Any]:
    details = view.task.details
    width, height = details["size"]
    tokens = round(width * height * _FPS * details["seconds"] / 1024)
    return {
        "error": None,
        "content": dict(zip(("video_url", "last_frame_url"), map(view.url, view.outputs), strict=False)),
        "usage": {"completion_tokens": tokens, "total_tokens": tokens},
        "seed": details["seed"],
        "resolution": details["resolution"],
        "ratio": details["ratio"],
        "duration": details["seconds"],
        "framespersecond": _FPS,
        "generate_audio": details["sound"],
        "draft": details["draft"],
    }


async def create_unified(call: Call) -> Response:
    """``POST /v1/videos``: the fields of that route instead of `content`."""
    route.need_prompt(call)
    seconds = route.chosen(call, "seconds", _UNIFIED_SECONDS)
    size = call.body.get("size", "16:9")
    if not isinstance(size, str) or (size not in _RATIOS and not re.fullmatch(r"[1-9]\d{2,3}x[1-9]\d{2,3}", size)):
        raise route.invalid(call, "size", "must be WIDTHxHEIGHT or a ratio")
    route.references(call)
    if "x" in size:
        width, height = (int(side) for side in size.split("x"))
    else:
        width, height = frame_size("16:9" if size == "adaptive" else size, _AREAS["720p"])
    clip = Clip(call.prompt, int(seconds), width, height, with_sound="seedance-1-0" not in call.body["model"])
    output = Output(clip, route.new_id("task"), query=_signature())
    return await route.start_video(call, [output], show_unified, model=call.body["model"], seconds=seconds, size=size)


def show_unified(view: View) -> dict[str, Any]:
    video = video_object(view) | {"task_id": view.task.id}
    video["status"] = view.strange_word or _UNIFIED_STATUS[view.phase]
    if view.phase is Phase.FAILED:
        video["status"] = view.failure_option("word", "FAILED")
    return with_link(view, video)

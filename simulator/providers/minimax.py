"""MiniMax Hailuo: video in three steps, create, query (gives a file id), file retrieve (gives a link for an hour).

Source: minimax-video.md (platform.minimax.io, CometAPI model page).

What the facts leave open, and what is done here:

* the vendor refuses with HTTP 200 and a code in `base_resp`; ``code=`` of a fault chooses another of its codes, and a
  code that is no number is a slug of the gateway, which then refuses in its own envelope and with a real HTTP status
* file retrieve costs 0.004 USD each time; the balance shows it, the ledger has it as ``file_retrieved``
* a callback URL that answers the challenge within 3 s hears of every change, one that does not hears nothing more
* ``[[simulate:wrapped]]`` puts the gateway's task row around the query's answer; with ``file=yes`` it holds the link, too
* images are not fetched: their size, ratio and format are taken on trust, and every video is 16:9
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from starlette.responses import Response

from simulator import callbacks
from simulator.calls import Body, Call, Operation, Output, base_url
from simulator.dialects import Dialect, json_response
from simulator.exchange import Exchange, Handler
from simulator.faults import option
from simulator.fields import Fields, fields_of
from simulator.listing import ModelCard
from simulator.media.orders import Clip
from simulator.polls import answer_question, in_query
from simulator.site import Site
from simulator.task_rows import row_answer
from simulator.tasks import Phase, View
from simulator.till import as_usd
from simulator.world import World

_HAILUO = ("768P", "1080P")

#: Model, in lower case -> its resolutions, the default first.
_MODELS: Mapping[str, tuple[str, ...]] = {
    "minimax-hailuo-2.3": _HAILUO,
    "minimax-hailuo-2.3-fast": _HAILUO,
    "minimax-hailuo-02": (*_HAILUO, "512P"),
    "t2v-01": ("720P",),
    "t2v-01-director": ("720P",),
    "i2v-01": ("720P",),
    "i2v-01-director": ("720P",),
    "i2v-01-live": ("720P",),
    "s2v-01": ("720P",),
    "video-01": ("720P",),
}

_SIZES = {"512P": (912, 512), "720P": (1280, 720), "768P": (1366, 768), "1080P": (1920, 1080)}

_NEEDS_IMAGE = frozenset({"minimax-hailuo-2.3-fast", "i2v-01", "i2v-01-director", "i2v-01-live"})

#: Kind of refusal -> `status_code` and message. Others are the gateway's.
_CODES = {
    "rate_limit": (1002, "rate limit"),
    "server_error": (1024, "internal error"),
    "no_money": (1008, "insufficient balance"),
    "invalid": (2013, "invalid params"),
}

#: What the other codes say.
_MESSAGES = {
    1000: "unknown error",
    1001: "request timeout",
    1004: "not authorized",
    1013: "internal service error",
    1024: "internal error",
    1026: "input new_sensitive",
    1027: "output new_sensitive",
    1033: "system error",
    1039: "token limit",
    1041: "conn limit",
    1042: "invisible character ratio limit",
    2045: "rate growth limit",
    2049: "invalid api key",
    2056: "usage limit exceeded",
}

#: Statuses of callbacks; nobody is told of the first phase.
_TOLD = {Phase.PROCESSING: "processing", Phase.SUCCEEDED: "success", Phase.FAILED: "failed"}

#: A file's number is its task's plus this, so that no index is needed.
_FILE_OFFSET = 98_342_414_094_401


def base_resp(code: int = 0, message: str = "success") -> dict[str, Any]:
    return {"status_code": code, "status_msg": message}


class MiniMaxDialect(Dialect):
    """HTTP 200 with a code in `base_resp`, where the vendor has one."""

    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        own_code, own_message = _CODES.get(kind, (0, ""))
        if code:
            own_code, own_message = (int(code), _MESSAGES.get(int(code), own_message)) if code.isdigit() else (0, "")
        if not own_code:
            return super().refuse(kind, request_id, message, code)
        return json_response({"task_id": "", "base_resp": base_resp(own_code, message or own_message)})

    def error_in_200(self, request_id: str) -> Response:
        return json_response({"task_id": "", "base_resp": base_resp(1000, _MESSAGES[1000])})

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return self.refuse("invalid", request_id, "invalid params, task_id not found")


def prompt_of(body: Body) -> str:
    return str(body.get("prompt") or "")


VIDEO = Operation("minimax.video", "video", Decimal("0.28"), MiniMaxDialect(), prompt_of, is_task=True, link_usd=Decimal("0.004"))


def register(site: Site) -> None:
    site.sell("/v1/video_generation", VIDEO, create)
    site.show("/v1/query/video_generation", VIDEO, show_query, find=in_query("task_id"))
    site.routes.get("/v1/files/retrieve", _retrieve(site.world))
    site.world.models += [
        ModelCard(model, "MiniMax", "video", "text-to-video", per_request=0.28)
        for model in ("MiniMax-Hailuo-2.3", "MiniMax-Hailuo-2.3-Fast", "MiniMax-Hailuo-02", "T2V-01-Director", "S2V-01")
    ]


async def create(call: Call) -> Response:
    fields = fields_of(call)
    check(fields)
    seconds = fields.one_of("duration", (6, 10), 6)
    size = _SIZES[fields.text("resolution", default=_MODELS[call.body["model"].lower()][0])]
    task_id = str(secrets.randbelow(9 * 10**14) + 10**14)
    label = "AI" if fields.flag("aigc_watermark") else ""
    url = fields.text("callback_url")
    await call.start(
        task_id,
        [Output(Clip(call.prompt, seconds, *size, label=label), f"output_aigc-{task_id}", query=f"sig={secrets.token_hex(8)}")],
        moderation=_MESSAGES[1027],
        failure=_MESSAGES[1024],
        details={"file_id": str(int(task_id) + _FILE_OFFSET), "size": size},
        on_change=_teller(call.world, url) if url else None,
    )
    return json_response({"task_id": task_id, "base_resp": base_resp()})


def check(fields: Fields) -> None:
    """Raises 2013 for what the field table does not allow."""
    fields.need("model")
    given = fields.given
    model = fields.text("model").lower()
    if model not in _MODELS:
        raise fields.wrong("model", "is unknown")
    fields.text("prompt", 2000)
    for name in ("prompt_optimizer", "fast_pretreatment", "aigc_watermark"):
        fields.flag(name)
    for name in ("first_frame_image", "last_frame_image"):
        if name in given and not fields.text(name).startswith(("http://", "https://", "data:image/")):
            raise fields.wrong(name, "must be a URL or a data URI of an image")
    if given.get("last_frame_image") and model != "minimax-hailuo-02":
        raise fields.wrong("last_frame_image", "needs MiniMax-Hailuo-02")
    has_image = bool(given.get("first_frame_image") or given.get("last_frame_image"))
    if model in _NEEDS_IMAGE:
        fields.need("first_frame_image")
    if model == "s2v-01":
        fields.need("subject_reference")
    elif not has_image:
        fields.need("prompt")
    _check_subjects(fields, model)
    _check_size(fields, model, has_image)


def _check_subjects(fields: Fields, model: str) -> None:
    for subject in fields.each("subject_reference", 0, 1):
        if model != "s2v-01":
            raise fields.wrong("subject_reference", "needs S2V-01")
        subject.need("type", "image")
        subject.one_of("type", ("character",))
        images = subject.given["image"]
        if not isinstance(images, list) or len(images) != 1 or not isinstance(images[0], str):
            raise subject.wrong("image", "must be a list of one URL")


def _check_size(fields: Fields, model: str, has_image: bool) -> None:
    resolution = fields.one_of("resolution", _MODELS[model], _MODELS[model][0])
    seconds = fields.one_of("duration", (6, 10) if "hailuo" in model else (6,), 6)
    if seconds == 10 and resolution == "1080P":
        raise fields.wrong("duration", "must be 6 for 1080P")
    if resolution == "512P" and (not has_image or fields.given.get("last_frame_image")):
        raise fields.wrong("resolution", "512P needs a first frame and no last frame")


def show_query(view: View) -> dict[str, Any]:
    native = query_object(view)
    wrapped = view.task.fault("wrapped")
    if wrapped is None:
        return native
    if option(wrapped, "file") and view.outputs:
        native["file"] = file_object(view)
    return row_answer(view, "VIDEO_GENERATION", data=native)


def query_object(view: View) -> dict[str, Any]:
    task = view.task
    status = view.strange_word or _status(view)
    native: dict[str, Any] = {"task_id": task.id, "status": status, "file_id": "", "base_resp": base_resp()}
    if view.outputs:
        width, height = task.details["size"]
        native |= {"file_id": task.details["file_id"], "video_width": width, "video_height": height}
    if view.phase is Phase.FAILED:
        code = view.failure_option("code", "1027" if view.is_moderated else "1024")
        number = int(code) if code.isdigit() else 1000
        native["base_resp"] = base_resp(number, _MESSAGES.get(number, task.failure))
    return native


def _status(view: View) -> str:
    match view.phase:
        case Phase.SUCCEEDED:
            return "Success"
        case Phase.FAILED:
            return view.failure_option("word", "Fail")
        case Phase.PROCESSING:
            return "Processing" if view.progress >= 0.25 else "Queueing"
        case _:
            return "Preparing"


def file_object(view: View) -> dict[str, Any]:
    (file,) = view.outputs
    return {
        "file_id": view.task.details["file_id"],
        "bytes": file.size_bytes,
        "created_at": int(view.task.ends_at),
        "filename": "output_aigc.mp4",
        "purpose": "video_generation",
        "download_url": view.url(file),
    }


def _retrieve(world: World) -> Handler:
    """GET /v1/files/retrieve: the link to a finished video. Each answer costs."""

    async def retrieve(exchange: Exchange) -> Response:
        file_id = exchange.request.query_params.get("file_id", "")
        task_id = str(int(file_id) - _FILE_OFFSET) if file_id.isdecimal() else ""
        task = world.tasks.find(VIDEO.task_family, task_id)

        async def look() -> Response:
            now = world.now()
            if task is None or task.phase(now) is not Phase.SUCCEEDED or not task.outputs:
                return VIDEO.dialect.refuse("invalid", exchange.request_id, "invalid params, file_id not found")
            usd = VIDEO.link_usd
            if not world.till.can_pay(exchange.key, usd):
                return Dialect().refuse("no_balance", exchange.request_id)
            world.till.charge(exchange.key, VIDEO.name, usd)
            bought = {"key": exchange.key, "task_id": task.id, "file_id": file_id, "usd": as_usd(usd)}
            await world.ledger.append("file_retrieved", operation=VIDEO.name, **bought)
            view = View(task, Phase.SUCCEEDED, 1.0, now, base_url(world, exchange))
            return json_response({"file": file_object(view), "base_resp": base_resp()})

        return await answer_question(world, VIDEO, exchange, look, task)

    return retrieve


def _teller(world: World, url: str) -> Callable[[View], None]:
    """Tells `url` of changes, in lower case, once it has passed the challenge."""
    tell = callbacks.teller(world, url, lambda view: query_object(view) | {"status": _TOLD[view.phase]})
    challenge = secrets.token_hex(16)
    passed: list[bool] = []
    waiting: list[View] = []

    async def ask() -> None:
        answer = await callbacks.post(url, {"challenge": challenge}, timeout_s=3.0)
        passed.append(answer is not None and answer.is_success and _echo(answer.text) == challenge)
        if passed[0]:
            for view in waiting:
                tell(view)

    def on_change(view: View) -> None:
        if not passed:
            waiting.append(view)
        elif passed[0]:
            tell(view)

    world.tasks.live(ask())
    return on_change


def _echo(text: str) -> str:
    """The challenge in a receiver's answer; empty when there is none."""
    try:
        answer = json.loads(text)
    except ValueError:
        return ""
    return str(answer.get("challenge", "")) if isinstance(answer, dict) else ""

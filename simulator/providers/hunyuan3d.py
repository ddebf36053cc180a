"""Hunyuan3D (Tencent): models from words or pictures, in the vendor's own contract.

How the gateway sells it is not known: neither path nor fields nor answers are on record (hunyuan3d.md section 1). So the
documented bodies of the vendor (section 2) are played at the paths one sister gateway has for them, and behind them:

    POST /tencent/hunyuan3d/pro-job            SubmitHunyuanTo3DProJob
    POST /tencent/hunyuan3d/rapid-job          SubmitHunyuanTo3DRapidJob
    POST /tencent/hunyuan3d/{pro,rapid}-query  Query..., {"JobId": ...}; this path is made up
    GET  /tencent/hunyuan3d/jobs/{id}          the same for clients that ask with GET; made up
    POST /                                     the native form: header X-TC-Action names one of the four
    POST /v1/3d/generations                    another gateway's form, ``{code, data: {task_id}}``; model, prompt,
                                               pbr_enable, texture_enable; polled at the same path with /{id}, made up

Keys are the gateway's, requests are not signed. ``wrapped`` puts the native answers into the gateway's task row.
Errors of the vendor come with HTTP 200 (inferred); what the gateway itself refuses, such as keys and quota, has its
own envelope. Codes other than RequestLimitExceeded and FailedOperation.InnerError are made up after their pattern.
Not played: FBX, USDZ, the limit of parallel jobs, the 24 hours a job is remembered. Rapid without ResultFormat makes
what Pro makes: a GLB, and an OBJ that is a zip whatever its type says.
"""

from __future__ import annotations

import base64
import io
import secrets
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from PIL import Image, UnidentifiedImageError
from starlette.responses import Response

from simulator.calls import Body, Call, Operation, Output
from simulator.dialects import Dialect, html_page, json_response
from simulator.exchange import Exchange, Handler
from simulator.fields import Fields, fields_of
from simulator.files import PublishedFile
from simulator.listing import ModelCard
from simulator.media.orders import Clip, Model3D, ModelFormat, Order, Picture
from simulator.polls import answer_poll, in_body
from simulator.sales import Offer, Work, answer_call
from simulator.site import Site, any_model
from simulator.task_rows import row_answer
from simulator.tasks import Phase, View

#: Kind of refusal -> the vendor's code and message. The rest is the gateway's.
_ERRORS: Mapping[str, tuple[str, str]] = {
    "rate_limit": ("RequestLimitExceeded", "Your current request times exceeds the limit."),
    "server_error": ("InternalError", "Internal error."),
    "failed": ("FailedOperation.InnerError", "generation failed"),
    "invalid": ("InvalidParameterValue", "Invalid parameter value."),
    "moderation": ("OperationDenied.TextIllegalDetected", "The prompt contains sensitive content."),
}

_STATUS = {Phase.SUBMITTED: "WAIT", Phase.PROCESSING: "RUN", Phase.SUCCEEDED: "DONE", Phase.FAILED: "FAIL"}

#: `ResultFormat` of Rapid -> what is written; an OBJ travels zipped.
_FORMATS: Mapping[str, ModelFormat] = {"OBJ": "zip", "GLB": "glb", "STL": "stl"}

_MAX_PICTURE_BYTES = 8 * 1024 * 1024


class HunyuanDialect(Dialect):
    def refuse(self, kind: str, request_id: str, message: str = "", code: str = "") -> Response:
        if kind not in _ERRORS:
            return super().refuse(kind, request_id, message, code)
        own_code, own_message = _ERRORS[kind]
        return error(code or own_code, message or own_message)

    def unknown_task(self, task_id: str, request_id: str) -> Response:
        return error("ResourceNotFound", f"JobId {task_id} does not exist")

    def not_yet_visible(self, task_id: str, request_id: str) -> Response:
        return self.unknown_task(task_id, request_id)


def error(code: str, message: str) -> Response:
    return native({"Error": {"Code": code, "Message": message}})


def native(content: dict[str, Any]) -> Response:
    return json_response({"Response": {**content, "RequestId": str(uuid.uuid4())}})


def prompt_of(body: Body) -> str:
    """The words, else the link to the picture."""
    return next((str(body[name]) for name in ("Prompt", "prompt", "ImageUrl", "image_url") if body.get(name)), "")


GENERATION = Operation(
    "hunyuan3d.generation",
    kind="model3d",
    price_usd=Decimal("0.4"),
    dialect=HunyuanDialect(),
    prompt=prompt_of,
    is_task=True,
)


def register(site: Site) -> None:
    site.sell("/tencent/hunyuan3d/pro-job", GENERATION, submit_pro)
    site.sell("/tencent/hunyuan3d/rapid-job", GENERATION, submit_rapid)
    for edition in ("pro", "rapid"):
        site.show(f"/tencent/hunyuan3d/{edition}-query", GENERATION, show_job, find=in_body("JobId"), method="POST")
    site.show("/tencent/hunyuan3d/jobs/{id}", GENERATION, show_job)
    site.routes.post("/", _actions(site))
    site.sell("/v1/3d/generations", GENERATION, submit_generation)
    site.show("/v1/3d/generations/{id}", GENERATION, lambda view: row_answer(view, "generate", data=job(view)))
    site.world.models += [
        ModelCard(model, "Tencent", "3d", "text-to-3d", per_request=0.4) for model in ("hunyuan3d-pro", "hunyuan3d-rapid")
    ]


def _actions(site: Site) -> Handler:
    """One path for everything: the header says what is meant."""
    works: dict[str, Work] = {"SubmitHunyuanTo3DProJob": submit_pro, "SubmitHunyuanTo3DRapidJob": submit_rapid}

    async def act(exchange: Exchange) -> Response:
        action = exchange.request.headers.get("x-tc-action")
        if action is None:
            return html_page()
        if action in works:
            return await answer_call(site.world, [Offer(GENERATION, works[action], any_model)], exchange)
        if action in {"QueryHunyuanTo3DProJob", "QueryHunyuanTo3DRapidJob"}:
            return await answer_poll(site.world, GENERATION, show_job, exchange, find=in_body("JobId"))
        return error("InvalidAction", f"The action {action} does not exist")

    return act


async def submit_pro(call: Call) -> Response:
    """A GLB and a zipped OBJ; geometry alone is one GLB without a texture."""
    given = fields_of(call)
    mode = given.one_of("GenerateType", ("Normal", "LowPoly", "Geometry", "Sketch"), "Normal")
    _check_source(given, longest_prompt=1024, with_picture=mode == "Sketch")
    given.whole("FaceCount", 40_000, 1_500_000)
    given.flag("EnablePBR")
    given.one_of("PolygonType", ("triangle", "quadrilateral"))
    if "PolygonType" in given.given and mode != "LowPoly":
        raise given.wrong("PolygonType", "is only for GenerateType LowPoly")
    _check_views(given)
    textured = mode != "Geometry"
    formats: tuple[ModelFormat, ...] = ("glb", "zip") if textured else ("glb",)
    return await _start(call, [Model3D(call.prompt, made, textured) for made in formats])


async def submit_rapid(call: Call) -> Response:
    given = fields_of(call)
    _check_source(given, longest_prompt=200, with_picture=False)
    given.flag("EnablePBR")
    textured = not given.flag("EnableGeometry")
    wanted = given.one_of("ResultFormat", (*_FORMATS, "USDZ", "FBX", "MP4"))
    if wanted in {"USDZ", "FBX"}:
        raise given.wrong("ResultFormat", f"{wanted} is not made by this simulator")
    orders: list[Order] = [Model3D(call.prompt, made, textured) for made in ("glb", "zip")]
    if wanted == "MP4":
        orders = [Clip(call.prompt, 2.0, 512, 512)]
    elif wanted is not None:
        orders = [Model3D(call.prompt, _FORMATS[wanted], textured)]
    return await _start(call, orders)


async def submit_generation(call: Call) -> Response:
    """The other gateway's form. A missing model is the one thing it is known to need beside the prompt."""
    given = fields_of(call)
    given.need("model", "prompt")
    given.text("prompt", 1024)
    given.flag("pbr_enable")
    textured = given.flag("texture_enable", True)
    task_id = await _accept(call, [Model3D(call.prompt, "glb", textured)])
    return json_response({"code": "success", "message": "", "data": {"task_id": task_id}})


async def _start(call: Call, orders: list[Order]) -> Response:
    task_id = await _accept(call, orders)
    if call.fault("wrapped"):
        return json_response({"code": "success", "message": "", "data": task_id})
    return native({"JobId": task_id})


async def _accept(call: Call, orders: list[Order]) -> str:
    """The task's id: 19 digits, as Tencent's are."""
    task_id = str(10**18 + secrets.randbelow(9 * 10**18))
    outputs = [Output(Picture(call.prompt, 512, 512), f"{task_id}_preview", query=_signature())]
    outputs += [Output(order, task_id, query=_signature()) for order in orders]
    await call.start(
        task_id,
        outputs,
        moderation=_ERRORS["moderation"][1],
        failure=_ERRORS["failed"][1],
    )
    return task_id


def _signature() -> str:
    return f"sign={secrets.token_urlsafe(12)}"


def show_job(view: View) -> dict[str, Any]:
    answer = {"Response": job(view)}
    return row_answer(view, "generate", data=answer) if view.task.fault("wrapped") else answer


def job(view: View) -> dict[str, Any]:
    code, message = "", ""
    if view.phase is Phase.FAILED:
        code = view.failure_option("code", _ERRORS["moderation" if view.is_moderated else "failed"][0])
        message = view.task.failure
    return {
        "Status": view.strange_word or _STATUS[view.phase],
        "ErrorCode": code,
        "ErrorMessage": message,
        "ResultFile3Ds": _files(view),
        "RequestId": str(uuid.uuid4()),
    }


def _files(view: View) -> list[dict[str, str]]:
    if not view.outputs:
        return []
    preview, *models = view.outputs
    return [{"Type": _type(file), "Url": view.url(file), "PreviewImageUrl": view.url(preview)} for file in models]


def _type(file: PublishedFile) -> str:
    suffix = file.path.suffix[1:].upper()
    return "OBJ" if suffix == "ZIP" else suffix


def _check_source(given: Fields, *, longest_prompt: int, with_picture: bool) -> None:
    """Exactly one of words, picture and link; a sketch needs words beside its picture."""
    given.text("Prompt", longest_prompt)
    given.text("ImageUrl")
    _check_picture(given, "ImageBase64")
    pictures = [name for name in ("ImageBase64", "ImageUrl") if given.given.get(name)]
    if with_picture:
        if len(pictures) != 1 or not given.given.get("Prompt"):
            raise given.wrong("Prompt", "and one of ImageBase64 and ImageUrl are required for GenerateType Sketch")
    elif len(pictures) + bool(given.given.get("Prompt")) != 1:
        raise given.wrong("Prompt", "or ImageBase64 or ImageUrl is required, and only one of them")


def _check_views(given: Fields) -> None:
    seen: set[str] = set()
    for view in given.each("MultiViewImages", 0, 3):
        view.need("ViewType")
        side = view.one_of("ViewType", ("left", "right", "back"))
        if side in seen:
            raise view.wrong("ViewType", f"{side} is given twice")
        seen.add(side)
        view.text("ViewImageUrl")
        _check_picture(view, "ViewImageBase64")
        if bool(view.given.get("ViewImageUrl")) == bool(view.given.get("ViewImageBase64")):
            raise view.wrong("ViewImageUrl", "or ViewImageBase64 is required, and only one of them")


def _check_picture(given: Fields, name: str) -> None:
    """Plain base64 of at most 8 MB; jpg, png or webp with sides from 128 to 5000 pixels."""
    text = given.text(name)
    if not text:
        return
    if len(text) > _MAX_PICTURE_BYTES:
        raise given.wrong(name, "is larger than 8 MB")
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=("JPEG", "PNG", "WEBP"))
    except (ValueError, UnidentifiedImageError, Image.DecompressionBombError) as reason:
        raise given.wrong(name, "is not the base64 of a jpg, png or webp") from reason
    if not all(128 <= side <= 5000 for side in picture.size):
        raise given.wrong(name, "has a side below 128 or above 5000 pixels")

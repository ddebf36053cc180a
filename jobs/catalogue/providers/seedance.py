"""ByteDance Seedance through the gateway: paths are `/volc/v3` plus those of Volcengine Ark.

Source: apidoc.cometapi.com/api/video/bytedance, volcengine.com/docs/82379, volcengine/volcengine-python-sdk (read 2026-11).
"""

from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, media, one_of, open_text, text, whole
from jobs.catalogue.spec import Callback, Confidence, Errors, Fault, Operation, Output, Poll, Progress, Provider, Submit

#: Ark's codes, for pictures as for videos. A dot and a detail may follow each.
CODES = {
    "missingparameter*": Fault.INVALID_INPUT,
    "invalidparameter*": Fault.INVALID_INPUT,
    "*sensitivecontentdetected*": Fault.CONTENT_REJECTED,
    "*riskdetection": Fault.CONTENT_REJECTED,
    # The check itself broke, at 400: nothing was taken.
    "contentsecuritydetectionerror": Fault.BUSY,
    "authenticationerror": Fault.AUTH,
    "accountoverdueerror": Fault.PAYMENT,
    "accessdenied*": Fault.FORBIDDEN,
    "invalidendpoint.closedendpoint": Fault.BUSY,
    "invalidendpointormodel.*": Fault.MODEL_UNAVAILABLE,
    "modelnotopen": Fault.MODEL_UNAVAILABLE,
    "notfound.*": Fault.NOT_VISIBLE,
    "ratelimitexceeded.*": Fault.RATE_LIMITED,
    "modelaccountrpmratelimitexceeded": Fault.RATE_LIMITED,
    "modelaccounttpmratelimitexceeded": Fault.RATE_LIMITED,
    "serveroverloaded": Fault.BUSY,
    "modelloadingerror": Fault.BUSY,
    # 429 by status, but waiting does not help: a quota is used up, or the account's own cap is reached.
    "quotaexceeded": Fault.PAYMENT,
    "setlimitexceeded": Fault.PAYMENT,
    "internalserviceerror": Fault.BROKEN,
}

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    in_200="type(code) == 'string' && code != 'success'",
    codes=CODES,
)

WORDS = {
    "queued": Progress.RUNNING,
    "running": Progress.RUNNING,
    "pending": Progress.RUNNING,
    "processing": Progress.RUNNING,
    "not_start": Progress.RUNNING,
    "submitted": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "succeeded": Progress.DONE,
    "success": Progress.DONE,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
    "cancelled": Progress.FAILED,
    "canceled": Progress.FAILED,
    "expired": Progress.FAILED,
}

_FRAMES = ("first_frame", "last_frame")
_REFERENCES = ("reference_image", "reference_video", "reference_audio")

#: What each type of part holds, and the roles it may have.
_PARTS: dict[str, tuple[Schema, tuple[str, ...]]] = {
    "text": (text(pattern=r"\S"), ()),
    "image_url": (fields({"url": MEDIA}, required=("url",)), (*_FRAMES, "reference_image")),
    "video_url": (fields({"url": media("url")}, required=("url",)), ("reference_video",)),
    "audio_url": (fields({"url": media("url")}, required=("url",)), ("reference_audio",)),
    "draft_task": (fields({"id": text(200)}, required=("id",)), ()),
}


def _part_of(kind: str, roles: tuple[str, ...]) -> Schema:
    """A part of this type holds what its type names, and nothing of the others."""
    others = {other: False for other in _PARTS if other != kind}
    return {
        "if": {"properties": {"type": {"const": kind}}, "required": ["type"]},
        "then": {"required": [kind], "properties": others | {"role": {"enum": list(roles)} if roles else False}},
    }


def _at_most(most: int, **said: str) -> Schema:
    return {
        "contains": {"properties": {name: {"const": value} for name, value in said.items()}, "required": list(said)},
        "minContains": 0,
        "maxContains": most,
    }


def _some(*, name: str, values: tuple[str, ...]) -> Schema:
    return {"contains": {"properties": {name: {"enum": list(values)}}, "required": [name]}}


_CONTENT: Schema = array(
    fields(
        {
            "type": one_of(*_PARTS),
            **{kind: held for kind, (held, _) in _PARTS.items()},
            "role": one_of(*_FRAMES, *_REFERENCES),
        },
        required=("type",),
        allOf=[_part_of(kind, roles) for kind, (_, roles) in _PARTS.items()],
    ),
    least=1,
    most=20,
) | {
    "description": "a text and the media it speaks of; frames and references exclude each other",
    "allOf": [
        _at_most(1, role="first_frame"),
        _at_most(1, role="last_frame"),
        _at_most(9, role="reference_image"),
        _at_most(3, type="video_url"),
        _at_most(3, type="audio_url"),
        {
            "if": _some(name="role", values=_REFERENCES),
            "then": {"items": {"properties": {"role": {"enum": list(_REFERENCES)}}}},
        },
        {
            "if": _some(name="type", values=("audio_url",)),
            "then": _some(name="type", values=("image_url", "video_url")),
        },
    ],
}

VIDEO = Operation(
    name="seedance.video",
    modality="video",
    provider="seedance",
    summary="A video of 2 to 15 seconds from a text, first and last frame, or reference pictures, videos and sounds",
    input_schema=fields(
        {
            "model": open_text(
                "doubao-seedance-1-0-lite-t2v-250428",
                "doubao-seedance-1-0-lite-i2v-250428",
                "doubao-seedance-1-0-pro-250528",
                "doubao-seedance-1-0-pro-fast-251015",
                "doubao-seedance-1-5-pro-251215",
                "doubao-seedance-2-0-260128",
            ),
            "content": _CONTENT,
            "resolution": one_of("480p", "720p", "1080p") | {"description": "the model decides which"},
            "ratio": one_of("16:9", "4:3", "1:1", "3:4", "9:16", "21:9", "adaptive"),
            "duration": whole(2, 15) | {"description": "seconds: 1.x 2 to 12, later models from 4", "default": 5},
            "frames": {"type": "integer", "minimum": 1, "description": "instead of duration"},
            "seed": whole(-1, 4_294_967_295) | {"description": "-1: random"},
            "camera_fixed": flag() | {"default": False},
            "watermark": flag() | {"default": False},
            "generate_audio": flag() | {"description": "1.5-pro and 2.x, whose default is true"},
            "return_last_frame": flag() | {"description": "the last frame as a picture beside the video", "default": False},
            "service_tier": one_of("default", "flex") | {"description": "flex is cheaper and slow"},
            "execution_expires_after": whole(3600, 259_200) | {"description": "seconds in the queue", "default": 172_800},
            "draft": flag() | {"description": "a cheap preview (1.5-pro)"},
            "tools": array(fields({"type": one_of("web_search")}, required=("type",)), most=1) | {"description": "2.x"},
            "safety_identifier": text(200),
            "priority": {"type": "integer"},
        },
        required=("model", "content"),
    ),
    example={
        "model": "doubao-seedance-1-5-pro-251215",
        "content": [{"type": "text", "text": "A paper kite over dunes, seen from below"}],
        "resolution": "720p",
        "ratio": "16:9",
        "duration": 5,
    },
    submit=Submit(path="/volc/v3/contents/generations/tasks", callback=Callback(field="callback_url")),
    task_id=("id", "task_id", "data.task_id", "data.id"),
    poll=Poll(
        path="/volc/v3/contents/generations/tasks/{id}",
        status=("data.status", "status"),
        words=WORDS,
        progress=("data.progress",),
        reason=("error.message", "data.data.error.message", "data.fail_reason"),
        failure_code=("error.code", "data.data.error.code"),
        every_s=(3, 5, 7, 10, 10, 10, 15, 20, 20, 30, 60),
        # A queued task may wait for the longest `execution_expires_after`, and then says so.
        give_up_s=262_800,
    ),
    outputs=(
        Output(
            kind="video",
            select=(
                *("content.video_url", "data.data.content.video_url", "data.content.video_url", "data.result_url"),
                "[data.fail_reason][?starts_with(@, 'http')]",
            ),
        ),
        Output(kind="image", select=("content.last_frame_url", "data.data.content.last_frame_url")),
    ),
    values=tuple(
        f"{place}{{model: model, usage: usage, seed: seed, resolution: resolution, ratio: ratio, duration: duration, "
        "frames_per_second: framespersecond, generate_audio: generate_audio, draft: draft}"
        for place in ("data.data.", "")
    ),
    errors=ERRORS,
    output_lifetime="24 hours",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "which fields besides model and content the gateway passes on",
        "whether the route works: the gateway's documentation saw it answer its own sample with an error in March 2026",
        "the exact range of duration for each model",
        "whether call backs reach us through the gateway",
        "moderation that the gateway tells only in the text of a message is reported as invalid_input",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/video/bytedance/bytedance-video, volcengine.com/docs/82379 (read 2026-11)",
    cancel="not known at the gateway (Ark withdraws queued tasks only): the provider finishes its work, and may charge for it",
)

PROVIDER = Provider(name="seedance", title="ByteDance Seedance", operations=(VIDEO,))

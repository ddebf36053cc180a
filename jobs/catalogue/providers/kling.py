"""Kling behind the gateway: paths are `/kling` plus Kling's own.

Two answer shapes are read: Kling's envelope (`code` a number, 0 is good) and the older gateway wrapper (`code` a string, the task
one or two levels deeper). Source: apidoc.cometapi.com/api/video/kling, app.klingai.com/global/dev/document-api.
"""

from jobs.catalogue.schema import array, fields, flag, number, one_of, open_text, prompt, text, whole
from jobs.catalogue.spec import Confidence, Dedupe, Errors, Fault, Operation, Output, Poll, Progress, Provider, Submit

ERRORS = Errors(
    code=("error.code", "code"),
    message=("error.message", "message"),
    in_200="code != `0` && code != 'success' && code != null",
    codes={
        "1000": Fault.AUTH,
        "1001": Fault.AUTH,
        "1002": Fault.AUTH,
        "1003": Fault.AUTH,
        "1004": Fault.AUTH,
        # 429 by status, but waiting does not help: the account is abnormal, in arrears, or its pack is used up.
        "1100": Fault.FORBIDDEN,
        "1101": Fault.PAYMENT,
        "1102": Fault.PAYMENT,
        "1103": Fault.FORBIDDEN,
        "1200": Fault.INVALID_INPUT,
        "1201": Fault.INVALID_INPUT,
        "1202": Fault.INVALID_INPUT,
        "1203": Fault.MODEL_UNAVAILABLE,
        "1300": Fault.CONTENT_REJECTED,
        "1301": Fault.CONTENT_REJECTED,
        "1302": Fault.RATE_LIMITED,
        "1303": Fault.RATE_LIMITED,
        "1304": Fault.FORBIDDEN,
        # Internal error and internal time-out: named, because they may come with a good status.
        "5000": Fault.BROKEN,
        "5001": Fault.BUSY,
        "5002": Fault.BROKEN,
    },
)

WORDS = {
    "submitted": Progress.RUNNING,
    "processing": Progress.RUNNING,
    "not_start": Progress.RUNNING,
    "queued": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "succeed": Progress.DONE,
    "succeeded": Progress.DONE,
    "success": Progress.DONE,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
}

#: Where `task_result` may stand, by the envelope.
_DEPTHS = ("data", "data.data", "data.data.data")


def _poll(path: str) -> Poll:
    return Poll(
        path=path,
        status=("data.task_status", "data.status", "task_status"),
        words=WORDS,
        progress=("data.progress",),
        reason=("data.task_status_msg", "data.fail_reason"),
        every_s=(2, 2, 3, 5, 8, 10, 10, 15, 20, 30),
        give_up_s=5400,
    )


def _videos() -> Output:
    return Output(
        kind="video",
        select=(
            *(f"{depth}.task_result.videos[].{{url: url, id: id, duration: duration}}" for depth in _DEPTHS),
            # The old wrapper keeps the address of a finished video where failures have their reason.
            "[data.fail_reason][?starts_with(@, 'http')].{url: @}",
        ),
    )


_CAMERA = fields(
    {
        "type": one_of("simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward"),
        "config": fields({name: number(-10, 10) for name in ("horizontal", "vertical", "pan", "tilt", "roll", "zoom")}),
    },
    required=("type",),
)

TEXT_TO_VIDEO = Operation(
    name="kling.text_to_video",
    modality="video",
    provider="kling",
    summary="A video of 3 to 15 seconds from a text",
    input_schema=fields(
        {
            "model_name": open_text(
                "kling-v1",
                "kling-v1-6",
                "kling-v2-master",
                "kling-v2-1-master",
                "kling-v2-5-turbo",
                "kling-v2-6",
                "kling-v3",
                description="always sent, since the pages differ on the default",
                default="kling-v1-6",
            ),
            "prompt": prompt(2500),
            "negative_prompt": text(2500, shortest=0),
            "cfg_scale": number(0, 1) | {"description": "not for v2 models and later"},
            "mode": one_of("std", "pro"),
            "sound": one_of("on", "off") | {"description": "v2-6 (pro) and v3"},
            "camera_control": _CAMERA,
            "aspect_ratio": one_of("16:9", "9:16", "1:1"),
            "duration": one_of(*(str(seconds) for seconds in range(3, 16)))
            | {"description": "seconds, as text: 5 or 10; v3 takes 3 to 15"},
            "multi_shot": flag() | {"description": "v3"},
            "shot_type": one_of("customize", "intelligence") | {"description": "with multi_shot"},
            "multi_prompt": array(
                fields(
                    {"index": whole(1, 6), "prompt": prompt(512), "duration": text(3)},
                    required=("index", "prompt", "duration"),
                ),
                least=1,
                most=6,
            ),
            "watermark_info": fields({"enabled": flag()}, required=("enabled",)),
        },
        allOf=[
            {
                "if": {
                    "properties": {"multi_shot": {"const": True}, "shot_type": {"const": "customize"}},
                    "required": ["multi_shot", "shot_type"],
                },
                "then": {"required": ["multi_prompt"]},
                "else": {"required": ["prompt"]},
            },
            {
                "if": {"not": {"properties": {"model_name": {"pattern": "v3"}}, "required": ["model_name"]}},
                "then": {"properties": {"duration": {"enum": ["5", "10"]}}},
            },
        ],
    ),
    example={
        "model_name": "kling-v1-6",
        "prompt": "A paper boat drifts down a rainy street at dusk",
        "duration": "5",
        "aspect_ratio": "16:9",
    },
    submit=Submit(
        path="/kling/v1/videos/text2video",
        defaults={"model_name": "kling-v1-6"},
        client_ref="external_task_id",
    ),
    task_id=("data.task_id", "task_id"),
    poll=_poll("/kling/v1/videos/text2video/{id}"),
    outputs=(_videos(),),
    values=tuple(f"{depth}.task_result.{{videos: videos[].{{id: id, duration: duration}}}}" for depth in _DEPTHS),
    errors=ERRORS,
    dedupe=Dedupe(grade="B", path="/kling/v1/videos/text2video/{client_ref}"),
    output_lifetime="30 days",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether the gateway finds a task by external_task_id as Kling does: a lost answer is looked up, a miss proves nothing",
        "rate and concurrency limits at the gateway",
    ),
    source="apidoc.cometapi.com/api/video/kling (read 2026-11)",
)

PROVIDER = Provider(name="kling", title="Kling", operations=(TEXT_TO_VIDEO,))

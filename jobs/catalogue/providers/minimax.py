"""MiniMax Hailuo videos through the gateway, in MiniMax's own format: make, ask, look the file up, fetch.

Errors come with HTTP 200 and a code in `base_resp`. Source: platform.minimax.io, apidoc.cometapi.com and model pages,
QuantumNous/new-api relay/channel/task/hailuo (read 2026-11).
"""

from typing import Any

from jobs.catalogue.samples import picture
from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, media, one_of, open_text, prompt
from jobs.catalogue.spec import Callback, Confidence, Errors, Fault, FollowUp, Operation, Output, Poll, Progress, Provider, Submit

#: The code of a failure. Every answer has a code; 0 is good.
_CODES = tuple(f"[{place}][?@ != `0`] | [0]" for place in ("base_resp.status_code", "data.data.base_resp.status_code"))
_SAID = tuple(f"[{place}][?status_code != `0`] | [0].status_msg" for place in ("base_resp", "data.data.base_resp"))

ERRORS = Errors(
    code=(_CODES[0], "error.code", "code"),
    message=("error.message", "base_resp.status_msg", "message"),
    # A task that failed carries the code of its failure, and is no error of the request.
    in_200=f"(({_CODES[0]}) && !status) || (type(code) == 'string' && code != 'success')",
    codes={
        "1000": Fault.BROKEN,
        "1001": Fault.BROKEN,
        "1002": Fault.RATE_LIMITED,
        "1004": Fault.AUTH,
        "1008": Fault.PAYMENT,
        "1013": Fault.BROKEN,
        "1024": Fault.BROKEN,
        "1026": Fault.CONTENT_REJECTED,
        "1027": Fault.CONTENT_REJECTED,
        "1033": Fault.BROKEN,
        "1039": Fault.RATE_LIMITED,
        "1041": Fault.RATE_LIMITED,
        "1042": Fault.INVALID_INPUT,
        "2013": Fault.INVALID_INPUT,
        "2045": Fault.RATE_LIMITED,
        "2049": Fault.AUTH,
        # The plan's window is used up, for hours: waiting in line would help nobody.
        "2056": Fault.PAYMENT,
    },
)

WORDS = {
    "preparing": Progress.RUNNING,
    "queueing": Progress.RUNNING,
    "processing": Progress.RUNNING,
    "not_start": Progress.RUNNING,
    "submitted": Progress.RUNNING,
    "queued": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "success": Progress.DONE,
    "fail": Progress.FAILED,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
}

_HAILUO = "(?i)hailuo"
_OLDER = "(?i)^([TIS]2V-01|video-01)"


def _for_models(pattern: str, required: tuple[str, ...] = (), **rules: Any) -> Schema:
    """Rules that hold for the models whose id matches."""
    return {
        "if": {"properties": {"model": {"pattern": pattern}}, "required": ["model"]},
        "then": {"properties": rules, "required": list(required)},
    }


VIDEO = Operation(
    name="minimax.video",
    modality="video",
    provider="minimax",
    summary="A video of 6 or 10 seconds from a text, a first frame, a first and a last frame, or a person",
    input_schema=fields(
        {
            "model": open_text(
                "MiniMax-Hailuo-2.3",
                "MiniMax-Hailuo-2.3-Fast",
                "MiniMax-Hailuo-02",
                "T2V-01",
                "T2V-01-Director",
                "I2V-01",
                "I2V-01-Director",
                "I2V-01-live",
                "S2V-01",
            ),
            "prompt": prompt(2000) | {"description": "camera moves as [Pan left] with Hailuo and Director models"},
            "prompt_optimizer": flag() | {"default": True},
            "fast_pretreatment": flag() | {"description": "Hailuo models"},
            "duration": one_of(6, 10) | {"description": "seconds; 10 with Hailuo models, not with 1080P", "default": 6},
            "resolution": one_of("512P", "720P", "768P", "1080P")
            | {"description": "Hailuo: 768P, 1080P; Hailuo-02 with a first frame also 512P; 01 models: 720P"},
            "first_frame_image": MEDIA,
            "last_frame_image": MEDIA | {"title": "Hailuo-02 only"},
            "subject_reference": array(
                fields({"type": one_of("character"), "image": array(media("url"), least=1, most=1)}, required=("type", "image")),
                least=1,
                most=1,
            )
            | {"description": "the person: S2V-01 only"},
            "aigc_watermark": flag() | {"default": False},
        },
        required=("model",),
        allOf=[
            {
                "if": {
                    "not": {
                        "anyOf": [{"required": [name]} for name in ("first_frame_image", "last_frame_image", "subject_reference")]
                    }
                },
                "then": {"required": ["prompt"]},
            },
            _for_models(r"(?i)^(MiniMax-Hailuo-2\.3-Fast|I2V-01)", required=("first_frame_image",)),
            _for_models("(?i)^(T2V|S2V)-01", first_frame_image=False),
            _for_models("(?i)^S2V-01", required=("subject_reference",)),
            _for_models(f"{_HAILUO}|^[TI]2V-01|^video-01", subject_reference=False),
            _for_models(r"(?i)hailuo-2\.3|^[TIS]2V-01|^video-01", last_frame_image=False),
            _for_models(_OLDER, duration={"const": 6}, resolution={"const": "720P"}),
            _for_models(_HAILUO, resolution=one_of("512P", "768P", "1080P")),
            _for_models(r"(?i)hailuo-2\.3", resolution=one_of("768P", "1080P")),
            {
                "if": {"properties": {"resolution": {"const": "1080P"}}, "required": ["resolution"]},
                "then": {"properties": {"duration": {"const": 6}}},
            },
            {
                "if": {"properties": {"resolution": {"const": "512P"}}, "required": ["resolution"]},
                "then": {"required": ["first_frame_image"], "properties": {"last_frame_image": False}},
            },
        ],
    ),
    example={
        "model": "MiniMax-Hailuo-02",
        "prompt": "[Push in] The sea grows restless as the sun goes down",
        "first_frame_image": picture(),
        "duration": 6,
        "resolution": "768P",
    },
    submit=Submit(path="/v1/video_generation", callback=Callback(field="callback_url", echo="challenge")),
    task_id=("task_id", "data.task_id"),
    poll=Poll(
        path="/v1/query/video_generation?task_id={id}",
        status=("status", "data.data.status", "data.status"),
        words=WORDS,
        reason=(*_SAID, "data.fail_reason"),
        failure_code=_CODES,
        every_s=(3, 5, 7, 10, 10, 10, 15, 20),
        give_up_s=3600,
    ),
    outputs=(
        Output(
            kind="video",
            select=("data.data.file.download_url", "file.download_url"),
            follow_up=FollowUp(
                path="/v1/files/retrieve?file_id={ref}",
                ref=("file_id", "data.data.file_id"),
                address=("file.download_url", "data.file.download_url"),
            ),
        ),
    ),
    values=(
        "data.data.{file_id: file_id, width: video_width, height: video_height}",
        "{file_id: file_id, width: video_width, height: video_height}",
    ),
    errors=ERRORS,
    output_lifetime="1 hour; looking the file up again gives a fresh address",
    confidence=Confidence.INFERRED,
    unknown=(
        "the gateway's own page for asking after a task is gone: asked as MiniMax documents it",
        "the price of a video; the gateway lists 0.004 USD more for each look-up of a file, which happens once per video, "
        "and again where its address has died",
        "whether call backs reach us through the gateway",
        "rate limits",
    ),
    source="platform.minimax.io/docs/api-reference/video-generation, apidoc.cometapi.com, cometapi.com model pages (read 2026-11)",
)

PROVIDER = Provider(name="minimax", title="MiniMax Hailuo", operations=(VIDEO,))

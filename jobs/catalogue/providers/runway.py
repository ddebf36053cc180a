"""Runway through the gateway: its own format under `/runwayml`, and the older "reverse" format under `/runway`.

A task is told in Runway's own shape or in the gateway's wrapper around it; which one a key gets is not known, so both are read.
Source: apidoc.cometapi.com/api/video/runway (official-format, reverse-format), runwayml/sdk-python (read 2026-11).
"""

from typing import Any

from jobs.catalogue.samples import picture
from jobs.catalogue.schema import MEDIA, Schema, array, fields, flag, media, number, one_of, open_text, prompt, text, whole
from jobs.catalogue.spec import Callback, Confidence, Errors, Fault, Kind, Operation, Output, Poll, Progress, Provider, Submit

_HEADERS = {"X-Runway-Version": "2024-11-06"}

ERRORS = Errors(
    # Runway's own errors are one sentence; the older format numbers its answers, 200 is good, and says why in `msg`.
    code=("error.code", "code"),
    message=("error.message", "message", "msg", "error"),
    in_200="code != null && !contains(['success', '200'], to_string(code))",
    codes={
        "callback_url_empty": Fault.INVALID_INPUT,
        "reference_images_empty": Fault.INVALID_INPUT,
        "safety.*": Fault.CONTENT_REJECTED,
        "input_preprocessing.safety.*": Fault.CONTENT_REJECTED,
        "input_preprocessing.internal": Fault.BROKEN,
        "asset.invalid": Fault.INVALID_INPUT,
        "internal": Fault.BROKEN,
        "internal.*": Fault.BROKEN,
        "third_party.unavailable": Fault.BUSY,
    },
)

WORDS = {
    "pending": Progress.RUNNING,
    "throttled": Progress.RUNNING,
    "running": Progress.RUNNING,
    "not_start": Progress.RUNNING,
    "submitted": Progress.RUNNING,
    "queued": Progress.RUNNING,
    "in_progress": Progress.RUNNING,
    "unknown": Progress.RUNNING,
    "succeeded": Progress.DONE,
    "success": Progress.DONE,
    "failed": Progress.FAILED,
    "failure": Progress.FAILED,
    "cancelled": Progress.FAILED,
    "canceled": Progress.FAILED,
}

_TASK_ID = ("id", "task_id", "data.task_id")

#: Not faster than every 5 s, Runway asks. Tasks beyond an account's concurrency wait as `THROTTLED`.
_POLL = Poll(
    path="/runwayml/v1/tasks/{id}",
    status=("data.status", "status"),
    words=WORDS,
    progress=("data.progress", "progress"),
    reason=("failure", "data.data.failure", "data.fail_reason"),
    failure_code=("failureCode", "data.data.failureCode"),
    every_s=(5, 6, 8, 10, 10, 10, 15, 20, 30),
    give_up_s=7200,
)

_FEED = _POLL.model_copy(update={"method": "POST", "path": "/runway/feed", "body": {"task_id": "{id}"}})

#: Some builds of the gateway put the address of a finished output where failures have their reason.
_MISPLACED = "[data.fail_reason][?starts_with(@, 'http')]"


def _official_output(kind: Kind) -> Output:
    lists = ("output", "data.data.output", "data.output")
    single = ("data.result_url", "data.data.video_url", "data.video_url", "result_url")
    return Output(kind=kind, select=(*lists, *single, _MISPLACED))


_REVERSE_OUTPUT = Output(
    kind="video",
    select=(
        *("data.result_url", "data.data.video_url", "data.data.output", "data.output"),
        *("data.video_url", "result_url", "video_url", "output", _MISPLACED),
    ),
)

_SEED = whole(0, 4_294_967_295)
_MODERATION = fields({"publicFigureThreshold": one_of("auto", "low")})
_RATIO = text(11, pattern=r"^[1-9]\d{0,4}:[1-9]\d{0,4}$")
_GEN4_RATIOS = ("1280:720", "720:1280", "1104:832", "832:1104", "960:960", "1584:672")
_GEN3_RATIOS = ("1280:768", "768:1280")
_IMAGE_RATIOS = (
    *("1920:1080", "1080:1920", "1024:1024", "1360:768", "1080:1080", "1168:880", "1440:1080", "1080:1440"),
    *("1808:768", "2112:912", "1280:720", "720:1280", "720:720", "960:720", "720:960", "1680:720"),
)

_OFFICIAL_UNKNOWN = (
    "which of two shapes a task is told in: both are read",
    "media given as files travel as data: URIs, which Runway takes up to 5 MB (videos: 16 MB); larger ones need an https: URL",
    "whether the gateway cancels tasks as Runway does",
    "rate limits and the number of tasks at once",
)


def _for_models(pattern: str, **rules: Any) -> Schema:
    return {"if": {"properties": {"model": {"pattern": pattern}}, "required": ["model"]}, "then": {"properties": rules}}


def _official(
    name: str, summary: str, input_schema: Schema, example: dict[str, Any], *, kind: Kind = "video", **more: Any
) -> Operation:
    return Operation(
        name=f"runway.{name}",
        modality="image" if kind == "image" else "video",
        provider="runway",
        summary=summary,
        input_schema=input_schema,
        example=example,
        submit=Submit(path=f"/runwayml/v1/{name}", headers=_HEADERS, defaults=more.get("defaults", {})),
        task_id=_TASK_ID,
        poll=_POLL,
        outputs=(_official_output(kind),),
        errors=ERRORS,
        output_lifetime="24 to 48 hours; asking for the task again gives fresh addresses",
        confidence=Confidence.DOCUMENTED,
        unknown=(*more.get("unknown", ()), *_OFFICIAL_UNKNOWN),
        source=f"apidoc.cometapi.com/api/video/runway/official-format, docs.dev.runwayml.com {name} (read 2026-11)",
    )


IMAGE_TO_VIDEO = _official(
    "image_to_video",
    "A video from a picture and, if wanted, a text",
    fields(
        {
            "promptImage": {
                "anyOf": [
                    MEDIA,
                    array(
                        fields({"uri": MEDIA, "position": one_of("first", "last")}, required=("uri", "position")), least=1, most=2
                    ),
                ],
                "description": "the first frame, or a list of frames with their positions",
            },
            "model": open_text("gen3a_turbo", "gen4_turbo", "gen4.5"),
            "promptText": text(1000),
            "duration": whole(2, 10) | {"description": "seconds: 5 or 10", "default": 5},
            "ratio": _RATIO | {"examples": [*_GEN3_RATIOS, *_GEN4_RATIOS], "description": "with a colon; the model decides which"},
            "seed": _SEED,
            "watermark": flag(),
            "contentModeration": _MODERATION,
        },
        required=("promptImage", "model", "ratio"),
        allOf=[
            _for_models("^gen3a_turbo$", ratio=one_of(*_GEN3_RATIOS), duration=one_of(5, 10)),
            _for_models("^gen4_turbo$", ratio=one_of(*_GEN4_RATIOS), duration=one_of(5, 10)),
        ],
    ),
    {
        "model": "gen4_turbo",
        "promptImage": picture(1280, 720),
        "promptText": "The sun goes down behind the sea, slow pan to the left",
        "duration": 5,
        "ratio": "1280:720",
    },
    defaults={"duration": 5},
    unknown=(
        "the longest promptText: the gateway says 512 characters, Runway 1000",
        "the largest seed: the gateway says 999999999, Runway 4294967295",
        "lengths of models other than gen3a_turbo and gen4_turbo",
    ),
)

VIDEO_TO_VIDEO = _official(
    "video_to_video",
    "A video changed as a text says",
    fields(
        {
            "videoUri": MEDIA,
            "promptText": prompt(1000),
            "model": open_text("gen4_aleph"),
            "ratio": _RATIO | {"examples": list(_GEN4_RATIOS), "description": "Runway itself goes by the video"},
            "references": array(fields({"type": one_of("image"), "uri": MEDIA}, required=("type", "uri")), most=1),
            "seed": _SEED,
            "contentModeration": _MODERATION,
        },
        required=("videoUri", "promptText", "model"),
    ),
    {
        "model": "gen4_aleph",
        "videoUri": {"job": "runway.image_to_video", "artifact": 0},
        "promptText": "Make it winter, with snow on the beach",
    },
    unknown=("the answer of the submit: the gateway's page shows an empty object, an id is expected",),
)

TEXT_TO_IMAGE = _official(
    "text_to_image",
    "A picture from a text and one to three reference pictures",
    fields(
        {
            "promptText": prompt(1000) | {"description": "names a reference picture by @tag"},
            "model": open_text("gen4_image", "gen4_image_turbo"),
            "ratio": one_of(*_IMAGE_RATIOS),
            "referenceImages": array(fields({"uri": MEDIA, "tag": text(16, shortest=3)}, required=("uri",)), least=1, most=3),
            "seed": _SEED,
            "contentModeration": _MODERATION,
        },
        required=("promptText", "model", "ratio", "referenceImages"),
    ),
    {
        "model": "gen4_image",
        "promptText": "A poster of a lighthouse in the colours of @sunset",
        "ratio": "1280:720",
        "referenceImages": [{"uri": picture(), "tag": "sunset"}],
    },
    kind="image",
)

VIDEO_UPSCALE = _official(
    "video_upscale",
    "A video of up to 30 to 40 seconds, four times as large, at most 4096 pixels wide or high",
    fields({"videoUri": MEDIA, "model": open_text("upscale_v1")}, required=("videoUri", "model")),
    {"model": "upscale_v1", "videoUri": {"job": "runway.image_to_video", "artifact": 0}},
    unknown=("whether upscale_v1 is still served: Runway itself has a newer model",),
)

CHARACTER_PERFORMANCE = _official(
    "character_performance",
    "A character in a picture or video that acts as a performer in another video does",
    fields(
        {
            "model": open_text("act_two"),
            "character": fields({"type": one_of("image", "video"), "uri": MEDIA}, required=("type", "uri")),
            "reference": fields({"type": one_of("video"), "uri": MEDIA}, required=("type", "uri"))
            | {"description": "the performance, 3 to 30 seconds"},
            "bodyControl": flag(),
            "expressionIntensity": whole(1, 5) | {"default": 3},
            "ratio": one_of(*_GEN4_RATIOS),
            "seed": _SEED,
            "contentModeration": _MODERATION,
        },
        required=("model", "character", "reference"),
    ),
    {
        "model": "act_two",
        "character": {"type": "image", "uri": picture(1280, 720)},
        "reference": {"type": "video", "uri": {"job": "runway.image_to_video", "artifact": 0}},
        "ratio": "1280:720",
    },
)

_ADDRESSED = media("url")
_SECONDS = one_of(5, 10)
_MOTION = fields({axis: {"type": "number"} for axis in ("x", "y", "z", "r", "bg_x_pan", "bg_y_pan")})

_REVERSE_UNKNOWN = (
    "the longest prompt",
    "life of the output addresses",
    "what a call back says of a failure: the task is asked for after each",
    "rate limits",
)


def _reverse(
    name: str, path: str, summary: str, input_schema: Schema, example: dict[str, Any], *, unknown: tuple[str, ...] = ()
) -> Operation:
    return Operation(
        name=f"runway.{name}",
        modality="video",
        provider="runway",
        summary=summary,
        input_schema=input_schema,
        example=example,
        submit=Submit(path=f"/runway/pro/{path}", headers=_HEADERS, callback=Callback(field="callback_url", required=True)),
        task_id=("data.task_id", "task_id"),
        poll=_FEED,
        outputs=(_REVERSE_OUTPUT,),
        errors=ERRORS,
        confidence=Confidence.DOCUMENTED,
        unknown=(*unknown, *_REVERSE_UNKNOWN),
        source=f"apidoc.cometapi.com/api/video/runway/reverse-format {path} (read 2026-11)",
    )


REVERSE_TEXT_TO_VIDEO = _reverse(
    "reverse_text_to_video",
    "generate",
    "A video of 5 or 10 seconds from a text, in the older format",
    fields(
        {
            "prompt": text(pattern=r"\S"),
            "ratio": one_of("16:9", "9:16", "1:1"),
            "style": text(200, examples=["cinematic"]),
            "model": open_text("gen4", "gen4_turbo"),
            "options": fields(
                {"seconds": _SECONDS, "motion_vector": _MOTION | {"description": "has an effect on old models only"}},
                required=("seconds",),
            ),
        },
        required=("prompt", "ratio", "style", "model", "options"),
    ),
    {
        "model": "gen4",
        "prompt": "A paper boat crosses a puddle in the rain",
        "ratio": "16:9",
        "style": "cinematic",
        "options": {"seconds": 5},
    },
    unknown=("whether motion_vector is required: some versions of the page say so", "the range of its numbers"),
)

REVERSE_IMAGE_TO_VIDEO = _reverse(
    "reverse_image_to_video",
    "generate",
    "A video from a picture and a text, in the older format",
    fields(
        {
            "image": _ADDRESSED,
            "model": open_text("gen4", "gen4_turbo"),
            "prompt": text(pattern=r"\S"),
            "ratio": _RATIO | {"examples": ["1280:720", "720:1280"]},
            "style": text(200, examples=["cinematic"]),
            "options": fields({"seconds": _SECONDS, "motion_vector": _MOTION}),
        },
        required=("image", "model", "prompt", "ratio"),
    ),
    {
        "model": "gen4",
        "image": picture(1280, 720),
        "prompt": "Waves roll in under the evening sky",
        "ratio": "1280:720",
        "options": {"seconds": 5},
    },
    unknown=("the name of the field for a last frame: it is described, but not named, and cannot be given here",),
)

REVERSE_VIDEO_STYLE = _reverse(
    "reverse_video_style",
    "video2video",
    "A video drawn anew in another style, in the older format",
    fields(
        {
            "video": _ADDRESSED,
            "model": open_text("gen4"),
            "prompt": text(pattern=r"\S"),
            "options": fields(
                {
                    "structure_transformation": number(0, 1),
                    "flip": flag() | {"description": "portrait instead of landscape"},
                    "seconds": _SECONDS,
                }
            ),
        },
        required=("video", "model", "prompt"),
    ),
    {
        "model": "gen4",
        "video": {"job": "runway.reverse_text_to_video", "artifact": 0},
        "prompt": "An ink drawing on rough paper",
        "options": {"structure_transformation": 0.5, "seconds": 5},
    },
)

REVERSE_ACT_ONE = _reverse(
    "reverse_act_one",
    "act_one",
    "A character in a picture with the expressions of a performer in a video, in the older format",
    fields(
        {
            "video": _ADDRESSED | {"title": "the performance, 16:9"},
            "image": _ADDRESSED | {"title": "the character, 16:9"},
        },
        required=("video", "image"),
    ),
    {"video": {"job": "runway.reverse_text_to_video", "artifact": 0}, "image": picture(1280, 720)},
)

PROVIDER = Provider(
    name="runway",
    title="Runway",
    operations=(
        IMAGE_TO_VIDEO,
        VIDEO_TO_VIDEO,
        TEXT_TO_IMAGE,
        VIDEO_UPSCALE,
        CHARACTER_PERFORMANCE,
        REVERSE_TEXT_TO_VIDEO,
        REVERSE_IMAGE_TO_VIDEO,
        REVERSE_VIDEO_STYLE,
        REVERSE_ACT_ONE,
    ),
)

"""Flux by Black Forest Labs: paths are `/flux` plus the vendor's own.

The `polling_url` of an answer leads to the vendor's own host and needs the vendor's own key: it is never followed.
Source: apidoc.cometapi.com/api/image/flux (read 2026-11).
"""

from jobs.catalogue.schema import fields, flag, media, one_of, text, whole
from jobs.catalogue.spec import Confidence, Errors, Fault, Operation, Output, Poll, Progress, Provider, Submit

_SIDE = whole(256, 1440) | {"multipleOf": 32, "description": "pixels, a multiple of 32"}

IMAGE_GENERATION = Operation(
    name="flux.image_generation",
    modality="image",
    provider="flux",
    summary="A picture from a text, with a reference picture if wanted",
    input_schema=fields(
        {
            "model": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
                "examples": ["flux-dev", "flux-pro", "flux-pro-1.1", "flux-pro-1.1-ultra"],
            },
            "prompt": text(pattern=r"\S"),
            "image_prompt": media("url", "base64"),
            "width": _SIDE,
            "height": _SIDE,
            "steps": {"type": "integer", "minimum": 1},
            "prompt_upsampling": flag(),
            "seed": {"type": "integer"},
            "guidance": {"type": "number"},
            "safety_tolerance": whole(0, 6),
            "interval": {"type": "number"},
            "output_format": one_of("jpeg", "png"),
        },
        required=("model", "prompt"),
    ),
    example={
        "model": "flux-pro-1.1",
        "prompt": "A red kite caught in a lighthouse railing, long shadows, gouache",
        "width": 1024,
        "height": 768,
        "output_format": "png",
    },
    submit=Submit(path="/flux/v1/{model}"),
    task_id=("id",),
    poll=Poll(
        path="/flux/v1/get_result?id={id}",
        status=("status",),
        words={
            "pending": Progress.RUNNING,
            "ready": Progress.DONE,
            "request moderated": Progress.FAILED,
            "content moderated": Progress.FAILED,
            "error": Progress.FAILED,
        },
        reason=("message", "error"),
        failure_code=("status",),
        every_s=(2, 3),
        give_up_s=300,
        # The words that tell of an expired task also tell of one that is not known yet.
        visible_after_s=15,
    ),
    outputs=(Output(kind="image", select=("result.sample",)),),
    values=("result.{seed: seed, prompt: prompt, duration: duration}",),
    errors=Errors(
        # What the vendor says of a task, it says in a status word and with HTTP 200.
        code=("error.code", "code", "status"),
        in_200="status == 'Task not found'",
        codes={
            "task not found": Fault.NOT_VISIBLE,
            "request moderated": Fault.CONTENT_REJECTED,
            "content moderated": Fault.CONTENT_REJECTED,
        },
    ),
    output_lifetime="about 10 minutes",
    confidence=Confidence.DOCUMENTED,
    unknown=(
        "whether webhook_url reaches the vendor through the gateway: it is not sent, results are asked for",
        "the range of width and height for each model (the vendor's own is taken for all)",
        "the ranges of steps, guidance and interval",
        "how a refused or failed picture is told: the status words are the vendor's own",
        "rate limits",
    ),
    source="apidoc.cometapi.com/api/image/flux (read 2026-11)",
)

PROVIDER = Provider(name="flux", title="Flux", operations=(IMAGE_GENERATION,))

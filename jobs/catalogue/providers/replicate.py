"""Replicate's models through the gateway. What a prediction puts out is the model's business: any JSON at all.

The addresses in `urls` point at Replicate itself and need Replicate's own key: they are never followed.
Source: apidoc.cometapi.com/api/image/replicate, replicate/replicate-python (read 2026-11).
"""

from jobs.catalogue.schema import fields
from jobs.catalogue.spec import Confidence, Errors, Operation, Output, Poll, Progress, Provider, Submit

PREDICTION = Operation(
    name="replicate.prediction",
    modality="image",
    provider="replicate",
    summary="Run any Replicate model, named owner/name",
    input_schema=fields(
        {
            "model": {
                "type": "string",
                "pattern": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
                "examples": ["black-forest-labs/flux-schnell", "black-forest-labs/flux-kontext-pro"],
                "description": "owner/name",
            },
            "input": {"type": "object", "description": "the model's own fields"},
        },
        required=("model", "input"),
    ),
    example={
        "model": "black-forest-labs/flux-schnell",
        "input": {
            "prompt": "A fox asleep in a wheelbarrow of autumn leaves",
            "aspect_ratio": "1:1",
            "output_format": "png",
        },
    },
    submit=Submit(path="/replicate/v1/models/{model}/predictions", media=("data_uri", "url")),
    task_id=("id", "data.id"),
    poll=Poll(
        path="/replicate/v1/predictions/{id}",
        status=("status", "data.status"),
        words={
            "starting": Progress.RUNNING,
            "processing": Progress.RUNNING,
            "succeeded": Progress.DONE,
            "failed": Progress.FAILED,
            "canceled": Progress.FAILED,
            "aborted": Progress.FAILED,
        },
        reason=("error",),
        every_s=(1, 1.5, 2, 3, 4, 5),
        give_up_s=1800,
    ),
    outputs=(Output(kind="other", anything="output"),),
    values=("{output: output, metrics: metrics}",),
    # In a prediction `error` is a string; in an error answer it is an object, which is an error whatever the status.
    errors=Errors(code=("error.code",), message=("error.message", "detail", "title")),
    output_lifetime="1 hour",
    confidence=Confidence.DOCUMENTED,
    unknown=("cancelling through the gateway", "whether `Prefer: wait` and webhooks pass through", "rate limits"),
    source="apidoc.cometapi.com/api/image/replicate (read 2026-11)",
)

PROVIDER = Provider(name="replicate", title="Replicate", operations=(PREDICTION,))

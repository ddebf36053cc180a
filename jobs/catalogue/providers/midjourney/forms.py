"""The one form of a Midjourney operation: a task that is created, then asked after."""

from typing import Any, Literal

from jobs.catalogue.providers.midjourney.answers import A_FORM, ERRORS, PICTURES, SHARED, VALUES, poll
from jobs.catalogue.providers.midjourney.parts import ROUTE, STATE
from jobs.catalogue.schema import Schema, fields
from jobs.catalogue.spec import Callback, Confidence, Exprs, Operation, Output, Progress, Submit

_UNKNOWN = (
    "rate limits and prices",
    "the speed of the route mj: pages say fast, and relax",
    "whether accountFilter, speed flags in the prompt and the callback reach Midjourney: the gateway may strip them",
    "how separate tiles are named: several shapes are read",
)


def task(
    name: str,
    path: str,
    *,
    summary: str,
    properties: dict[str, Schema],
    required: tuple[str, ...] = (),
    rules: tuple[Schema, ...] = (),
    example: dict[str, Any],
    modality: Literal["image", "video", "text"] = "image",
    defaults: dict[str, Any] | None = None,
    shared: str = SHARED,
    modal: Progress = Progress.DONE,
    outputs: tuple[Output, ...] = PICTURES,
    values: Exprs = VALUES,
    confidence: Confidence = Confidence.DOCUMENTED,
    unknown: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        name=f"midjourney.{name}",
        modality=modality,
        provider="midjourney",
        summary=summary,
        input_schema=fields(
            {**properties, "state": STATE, **ROUTE}, required=required, **({"allOf": list(rules)} if rules else {})
        ),
        example=example,
        submit=Submit(
            path=f"/{{route}}/submit/{path}", defaults={"route": "mj", **(defaults or {})}, callback=Callback(field="notifyHook")
        ),
        task_id=("result",),
        task_shared=shared,
        poll=poll(modal=modal),
        outputs=outputs,
        values=values,
        nothing_due=A_FORM,
        errors=ERRORS,
        output_lifetime="the picture's own address is stable; those of tiles and videos end, when is unknown",
        confidence=confidence,
        unknown=(*unknown, *_UNKNOWN),
        source="apidoc.cometapi.com/api/image/midjourney, trueai-org/midjourney-proxy, QuantumNous/new-api (read 2026-11)",
    )

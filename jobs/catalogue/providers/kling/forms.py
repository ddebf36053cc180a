"""The two forms of a Kling operation: a task that is created and asked after, and a call that answers at once."""

from typing import Any, Literal

from jobs.catalogue.providers.kling.answers import ERRORS, poll
from jobs.catalogue.providers.kling.parts import WATERMARK
from jobs.catalogue.schema import Schema, fields
from jobs.catalogue.spec import Callback, Confidence, Dedupe, Errors, Exprs, Operation, Output, Submit

_SOURCE = "apidoc.cometapi.com/api/video/kling, app.klingai.com/global/dev/document-api (read 2026-11)"

_LIMITS = "rate and concurrency limits at the gateway"
_FOUND_AGAIN = (
    "whether the gateway finds a task by external_task_id as Kling does: a lost answer is looked up, a miss proves nothing"
)
_ASKED_AFTER = "the gateway does not list the status path of this operation: Kling's own is used"

SESSION = (
    "a session belongs to one account of the provider: where the gateway sends a later call elsewhere, it is unknown there,"
    " and the chain has to start again"
)


def _input(properties: dict[str, Schema], required: tuple[str, ...], rules: tuple[Schema, ...]) -> Schema:
    return fields(properties, required=required, **({"allOf": list(rules)} if rules else {}))


def task(
    name: str,
    path: str,
    *,
    modality: Literal["image", "video", "audio"],
    summary: str,
    properties: dict[str, Schema],
    required: tuple[str, ...] = (),
    rules: tuple[Schema, ...] = (),
    example: dict[str, Any],
    outputs: tuple[Output, ...],
    values: Exprs,
    defaults: dict[str, Any] | None = None,
    status_path_listed: bool = True,
    unknown: tuple[str, ...] = (),
) -> Operation:
    """A task. `path` creates it; below it the task is found by its own id, or by the name we gave it."""
    return Operation(
        name=f"kling.{name}",
        modality=modality,
        provider="kling",
        summary=summary,
        input_schema=_input({**properties, "watermark_info": WATERMARK}, required, rules),
        example=example,
        submit=Submit(
            path=path,
            defaults=defaults or {},
            client_ref="external_task_id",
            callback=Callback(field="callback_url"),
            # "An image task occupies n units" of the concurrency that an account has.
            units="n || `1`" if "n" in properties else None,
        ),
        task_id=("data.task_id", "task_id"),
        poll=poll(f"{path}/{{id}}"),
        outputs=outputs,
        values=values,
        errors=ERRORS,
        dedupe=Dedupe(grade="B", path=f"{path}/{{client_ref}}"),
        output_lifetime="30 days",
        confidence=Confidence.DOCUMENTED if status_path_listed else Confidence.INFERRED,
        unknown=(*unknown, *(() if status_path_listed else (_ASKED_AFTER,)), _FOUND_AGAIN, _LIMITS),
        source=_SOURCE,
    )


def call(
    name: str,
    path: str,
    *,
    modality: Literal["text", "audio"],
    summary: str,
    properties: dict[str, Schema],
    required: tuple[str, ...] = (),
    rules: tuple[Schema, ...] = (),
    example: dict[str, Any],
    outputs: tuple[Output, ...],
    values: Exprs,
    errors: Errors = ERRORS,
    dedupe: Dedupe | None = None,
    unknown: tuple[str, ...] = (),
) -> Operation:
    """A synchronous call. It looks at whole videos, so it may take its time."""
    return Operation(
        name=f"kling.{name}",
        modality=modality,
        provider="kling",
        summary=summary,
        input_schema=_input(properties, required, rules),
        example=example,
        submit=Submit(path=path, total_s=180),
        outputs=outputs,
        values=values,
        errors=errors,
        dedupe=dedupe or Dedupe(),
        output_lifetime="30 days",
        confidence=Confidence.DOCUMENTED,
        unknown=(*unknown, _LIMITS),
        source=_SOURCE,
    )

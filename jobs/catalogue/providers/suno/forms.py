"""The three forms of a Suno operation: a task, a call that answers at once, a file that is asked for until it is there."""

from typing import Any, Literal

from jobs.catalogue.providers.suno.answers import ERRORS, TASK_ID, poll
from jobs.catalogue.schema import Schema, fields, text
from jobs.catalogue.spec import Callback, Confidence, Dedupe, Exprs, Operation, Output, Poll, Progress, Submit

LIFETIME = "unknown; addresses are public and unsigned"
_SOURCE = "apidoc.cometapi.com (Suno), QuantumNous/new-api (read 2026-11)"
_LIMITS = "rate limits and prices"
SAME_ACCOUNT = (
    "a clip lives in one account of the provider: later calls can be refused when the gateway sends them elsewhere,"
    " or when that account is gone"
)

_PATIENCE_S = 300
_HOOK = Callback(field="notify_hook")

#: Goes into a path where nothing else says which clip.
CLIP_ID = text(191, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", description="`output.clips[0].id` of an earlier job")


def task(
    name: str,
    path: str,
    *,
    modality: Literal["music", "text"] = "music",
    summary: str,
    input_schema: Schema,
    example: dict[str, Any],
    defaults: dict[str, Any] | None = None,
    callback: Callback | None = _HOOK,
    action: str = "MUSIC",
    outputs: tuple[Output, ...],
    values: Exprs,
    nothing_due: str | None = None,
    confidence: Confidence = Confidence.DOCUMENTED,
    unknown: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        name=f"suno.{name}",
        modality=modality,
        provider="suno",
        summary=summary,
        input_schema=input_schema,
        example=example,
        submit=Submit(path=path, defaults=defaults or {}, callback=callback),
        task_id=TASK_ID,
        poll=poll(action),
        outputs=outputs,
        values=values,
        nothing_due=nothing_due,
        errors=ERRORS,
        output_lifetime=LIFETIME,
        confidence=confidence,
        unknown=(*unknown, "whether failed tasks are always refunded", _LIMITS),
        source=_SOURCE,
    )


def call(
    name: str,
    submit: Submit,
    *,
    summary: str,
    input_schema: Schema,
    example: dict[str, Any],
    outputs: tuple[Output, ...],
    values: Exprs,
    dedupe: Dedupe | None = None,
    confidence: Confidence = Confidence.DOCUMENTED,
    unknown: tuple[str, ...] = (),
) -> Operation:
    return Operation(
        name=f"suno.{name}",
        modality="text",
        provider="suno",
        summary=summary,
        input_schema=input_schema,
        example=example,
        submit=submit,
        outputs=outputs,
        values=values,
        errors=ERRORS,
        dedupe=dedupe or Dedupe(),
        confidence=confidence,
        unknown=(*unknown, _LIMITS),
        source=_SOURCE,
    )


def file_of_clip(
    name: str,
    path: str,
    *,
    modality: Literal["music", "video", "text"],
    summary: str,
    example: dict[str, Any],
    status: Exprs,
    words: dict[str, Progress],
    outputs: tuple[Output, ...],
    values: Exprs = (),
    confidence: Confidence = Confidence.DOCUMENTED,
    unknown: tuple[str, ...] = (),
) -> Operation:
    """The first question starts the conversion, and each later one asks whether it is done."""
    return Operation(
        name=f"suno.{name}",
        modality=modality,
        provider="suno",
        summary=summary,
        input_schema=fields({"clip_id": CLIP_ID}, required=("clip_id",)),
        example=example,
        submit=None,
        poll=Poll(
            path=path,
            status=status,
            words=words,
            every_s=(2, 3, 5, 10),
            give_up_s=_PATIENCE_S,
            # "No such thing" may be how it says "not yet".
            visible_after_s=_PATIENCE_S,
        ),
        outputs=outputs,
        values=values,
        errors=ERRORS.model_copy(update={"in_200": f"error || ({ERRORS.in_200})"}),
        dedupe=Dedupe(grade="A"),
        output_lifetime=LIFETIME,
        confidence=confidence,
        unknown=(*unknown, SAME_ACCOUNT, _LIMITS),
        source=_SOURCE,
    )

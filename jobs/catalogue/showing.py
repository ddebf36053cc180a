"""The catalogue as people and programs see it: which operations fit a question, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jobs.catalogue.spec import Deprecated, Operation


def chosen(
    operations: Iterable[Operation], *, modality: str | None = None, provider: str | None = None, text: str | None = None
) -> list[Operation]:
    """Those of this modality and provider whose name or summary holds every word of `text`, in any case."""
    words = (text or "").lower().split()
    return [
        one
        for one in operations
        if modality in (None, one.modality)
        and provider in (None, one.provider)
        and all(word in f"{one.name} {one.summary}".lower() for word in words)
    ]


def view(operation: Operation) -> dict[str, Any]:
    """One operation as `GET /v1/operations/{name}` answers it."""
    whole = next((one for one in operation.deprecated if not one.models), None)
    return {
        "name": operation.name,
        "object": "operation",
        "modality": operation.modality,
        "provider": operation.provider,
        "summary": operation.summary,
        "kind": operation.kind,
        "input_schema": operation.input_schema,
        "example": operation.example,
        "outputs": list(dict.fromkeys(output.kind for output in operation.outputs)),
        "confidence": str(operation.confidence),
        "unknown": list(operation.unknown),
        "deprecated": _ending(whole) if whole else None,
        "deprecated_models": [{"models": list(one.models), **_ending(one)} for one in operation.deprecated if one.models],
        # Not known, which is not the same as free.
        "price": [
            {"usd": str(price.usd), "per": price.per, "model": price.model, "source": price.source} for price in operation.prices
        ]
        or None,
        "lost_answer": _LOST_ANSWER[operation.dedupe.grade],
        "cancel": operation.cancel,
        "output_lifetime": operation.output_lifetime,
        "source": operation.source,
    }


#: What happens when the answer to the paid call is lost, by grade.
_LOST_ANSWER = {
    "A": "asked again: a repetition buys nothing twice",
    "B": "looked up at the provider by our own name for the call; not found, the job is `unknown` and its `on_unknown` decides",
    "C": "the provider cannot be searched: the job is `unknown` and its `on_unknown` decides",
}


def _ending(one: Deprecated) -> dict[str, Any]:
    return {"on": one.on.isoformat(), "successor": one.successor, "note": one.note}

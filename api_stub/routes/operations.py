"""The catalogue."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from starlette.responses import Response

from api_stub.answers import answer
from api_stub.problems import not_found
from api_stub.routes.router import for_tenants
from jobs import catalogue
from jobs.catalogue.spec import Operation
from jobs.states import MODALITIES

router = for_tenants("operations")


@router.get("/v1/operations")
async def index(
    modality: Annotated[str | None, Query(pattern=f"^({'|'.join(MODALITIES)})$")] = None,
    provider: Annotated[str | None, Query(max_length=50)] = None,
    q: Annotated[str | None, Query(max_length=100, description="words to look for in name and summary")] = None,
) -> Response:
    """Every operation a job may ask, with its input schema and an example that runs as it stands."""
    words = (q or "").lower().split()
    found = [
        shown(one)
        for one in catalogue.all_operations().values()
        if modality in (None, one.modality)
        and provider in (None, one.provider)
        and all(word in f"{one.name} {one.summary}".lower() for word in words)
    ]
    return answer({"data": found, "next_cursor": None})


@router.get("/v1/operations/{name}")
async def show(name: str) -> Response:
    """One operation."""
    operation = catalogue.find(name)
    if operation is None:
        raise not_found("there is no such operation; GET /v1/operations lists them")
    return answer(shown(operation))


def shown(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "object": "operation",
        "modality": operation.modality,
        "provider": operation.provider,
        "summary": operation.summary,
        "kind": "sync" if operation.synchronous else "async",
        "input_schema": operation.input_schema,
        "example": operation.example,
        "outputs": list(dict.fromkeys(output.kind for output in operation.outputs)),
        "confidence": str(operation.confidence),
        "unknown": list(operation.unknown),
        "deprecated": operation.deprecated,
        # Not known, which is not the same as free.
        "price": None,
        "output_lifetime": operation.output_lifetime,
        "source": operation.source,
    }

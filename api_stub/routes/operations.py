"""The catalogue."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from api_stub.answers import answer
from api_stub.face import At
from api_stub.problems import not_found
from api_stub.routes.router import for_tenants
from jobs import catalogue
from jobs.catalogue import showing
from jobs.states import MODALITIES

router = for_tenants("operations")


@router.get("/v1/operations")
async def index(
    face: At,
    modality: Annotated[str | None, Query(pattern=f"^({'|'.join(MODALITIES)})$")] = None,
    provider: Annotated[str | None, Query(max_length=50)] = None,
    q: Annotated[str | None, Query(max_length=100, description="words to look for in name and summary")] = None,
) -> Response:
    """Every operation a job may ask, with its input schema and an example that runs as it stands."""
    found = showing.chosen(catalogue.all_operations().values(), modality=modality, provider=provider, text=q)
    prices = face.context.prices
    return answer({"data": [showing.view(one, prices) for one in found], "next_cursor": None})


@router.get("/v1/operations/{name}")
async def show(face: At, name: str) -> Response:
    """One operation."""
    operation = catalogue.find(name)
    if operation is None:
        raise not_found("there is no such operation; GET /v1/operations lists them")
    return answer(showing.view(operation, face.context.prices))

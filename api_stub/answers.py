"""Answers as they go out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse


def answer(
    content: Any, status: int = 200, *, headers: Mapping[str, str] | None = None, then: BackgroundTask | None = None
) -> JSONResponse:
    """JSON as it stands: it was built by jobs.view, and is not checked or converted once more."""
    return JSONResponse(content, status, headers=headers, background=then)


def made(
    content: Mapping[str, Any],
    status: int,
    place: str,
    *,
    headers: Mapping[str, str] | None = None,
    then: BackgroundTask | None = None,
) -> JSONResponse:
    """Something new, with the address it has from now on."""
    return answer(content, status, headers={"Location": f"{place}/{content['id']}"} | dict(headers or {}), then=then)

"""The kinds of router."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute

from api_stub.auth import admin_of_request, tenant_of_request
from api_stub.documents import PROBLEMS
from api_stub.params import known_parameters


class _Route(APIRoute):
    """A route that the docs page names by the first sentence of its docstring, not by the name of its function."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        sentence, _, _ = (inspect.getdoc(endpoint) or "").partition(".")
        if sentence and not options.get("summary"):
            options["summary"] = " ".join(sentence.split())
        super().__init__(path, endpoint, **options)


def for_tenants(tag: str) -> APIRouter:
    """Routes that need a key, asked for before anything else of the request is looked at."""
    guards = [Depends(tenant_of_request), Depends(known_parameters)]
    return APIRouter(tags=[tag], dependencies=guards, responses=PROBLEMS, route_class=_Route)


def for_admins(tag: str) -> APIRouter:
    """Routes that need an admin's key."""
    guards = [Depends(admin_of_request), Depends(known_parameters)]
    return APIRouter(tags=[tag], dependencies=guards, responses=PROBLEMS, route_class=_Route)


def for_everyone(tag: str) -> APIRouter:
    return APIRouter(tags=[tag], route_class=_Route)

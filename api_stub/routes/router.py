"""The two kinds of router."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from api_stub.auth import tenant_of_request
from api_stub.documents import PROBLEMS
from api_stub.params import known_parameters


def for_tenants(tag: str) -> APIRouter:
    """Routes that need a key, asked for before anything else of the request is looked at."""
    return APIRouter(tags=[tag], dependencies=[Depends(tenant_of_request), Depends(known_parameters)], responses=PROBLEMS)


def for_everyone(tag: str) -> APIRouter:
    return APIRouter(tags=[tag])

"""Errors as RFC 9457 problem documents: `{type, title, status, code, detail, errors?, request_id}`.

`code` is stable and meant for programs, `detail` for people. Everything that goes wrong on the way to an answer leaves by one of
the handlers here, so no traceback, no HTML and no half sentence of a library reaches a client.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from api_stub.strict_json import JsonRefused
from jobs.db import is_disconnect
from jobs.validation import Refused
from storage import StorageError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "5"}


class ApiProblem(Exception):
    """An answer other than success. `errors`: the single things that are wrong, each with `loc`, `code` and `msg`."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = errors
        self.headers = headers


def not_found(what: str = "there is nothing at this address") -> ApiProblem:
    """The same answer for what never was, what is gone, and what is somebody else's."""
    return ApiProblem(404, "not_found", what)


def invalid(errors: list[dict[str, Any]], *, otherwise: str = "invalid_request") -> ApiProblem:
    """422 with every problem found. `code` is the problems' own where they all share one."""
    codes = {error["code"] for error in errors}
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return ApiProblem(422, codes.pop() if len(codes) == 1 else otherwise, f"{first['loc']}: {first['msg']}{more}", errors=errors)


def refused(error: Refused) -> ApiProblem:
    return invalid([problem.as_json() for problem in error.problems])


_SHAPE_CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "string_too_long": "too_long",
    "string_too_short": "too_short",
    "too_long": "too_many",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "enum": "not_one_of",
    "literal_error": "not_one_of",
}


def shape_errors(details: Iterable[Any]) -> list[dict[str, Any]]:
    """Pydantic's findings in our words, without the values that were sent."""
    return [
        {
            "loc": ".".join(str(part) for part in detail["loc"]) or "body",
            "code": _SHAPE_CODES.get(detail["type"], "wrong_type" if detail["type"].endswith("_type") else "invalid"),
            "msg": detail["msg"][:1].lower() + detail["msg"][1:],
        }
        for detail in details
    ]


def misshapen(error: ValidationError) -> ApiProblem:
    return invalid(shape_errors(error.errors(include_url=False, include_input=False, include_context=False)))


def response(request: Request, problem: ApiProblem) -> Response:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.errors is not None:
        document["errors"] = problem.errors
    document["request_id"] = getattr(request.state, "request_id", None)
    return JSONResponse(document, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def unexpected(request: Request, error: Exception) -> Response:
    """The last resort: what happened goes to the log, the client gets the number under which it stands there."""
    log.error(
        "unexpected",
        request_id=getattr(request.state, "request_id", None),
        method=request.method,
        # As it was declared: what stands in the braces may be the token that a provider's callback shows.
        route=getattr(request.scope.get("route"), "path", "unmatched"),
        error=f"{type(error).__name__}: {error}"[:500],
        # As text of our own making: a pretty renderer would print every local variable, keys and prompts among them.
        traceback="".join(traceback.format_exception(error))[-8000:],
    )
    return response(request, ApiProblem(500, "internal_error", "something went wrong here; the log knows it by the request_id"))


def install(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Every kind of error that may leave a route, and its answer. `routes` tell which methods an address takes."""

    async def ours(request: Request, error: ApiProblem) -> Response:
        return response(request, error)

    async def job_refused(request: Request, error: Refused) -> Response:
        return response(request, refused(error))

    async def json_refused(request: Request, error: JsonRefused) -> Response:
        return response(request, ApiProblem(error.status, error.code, error.detail))

    async def http(request: Request, error: HTTPException) -> Response:
        problem = _of_http(error)
        if problem.status == 405:
            problem.headers = {"Allow": ", ".join(sorted(_methods(request.url.path, routes)))}
        return response(request, problem)

    async def parameters(request: Request, error: RequestValidationError) -> Response:
        return response(request, invalid(shape_errors(error.errors()), otherwise="invalid_parameter"))

    async def database(request: Request, error: SQLAlchemyError) -> Response:
        if not is_disconnect(error):
            return unexpected(request, error)
        log.error("database_unavailable", error=f"{type(error).__name__}: {error}"[:300])
        detail = "the database cannot be reached at the moment; nothing was changed"
        return response(request, ApiProblem(503, "database_unavailable", detail, headers=_RETRY_AFTER))

    async def storage(request: Request, error: StorageError) -> Response:
        log.error("storage_unavailable", error=f"{type(error).__name__}: {error}"[:300])
        detail = "storage cannot be used at the moment"
        return response(request, ApiProblem(503, "storage_unavailable", detail, headers=_RETRY_AFTER))

    handlers: dict[Any, Any] = {
        ApiProblem: ours,
        Refused: job_refused,
        JsonRefused: json_refused,
        HTTPException: http,
        RequestValidationError: parameters,
        SQLAlchemyError: database,
        StorageError: storage,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _methods(path: str, routes: Sequence[BaseRoute]) -> set[str]:
    """Every method that any route takes at this address; the router itself names only the first route's."""
    found: set[str] = set()
    for route in routes:
        if isinstance(route, Route) and route.path_regex.match(path):
            found |= route.methods or set()
    return found


_HTTP_CODES = {
    400: ("malformed_request", "the request cannot be read"),
    404: ("not_found", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
    413: ("body_too_large", "the body is larger than allowed"),
}


def _of_http(error: HTTPException) -> ApiProblem:
    code, detail = _HTTP_CODES.get(error.status_code, ("http_error", str(error.detail)))
    return ApiProblem(error.status_code, code, detail, headers=error.headers)

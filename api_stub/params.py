"""Query parameters and path ids: only what is declared, only what can be meant."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Query
from fastapi import params as fastapi_params
from fastapi.dependencies.utils import get_flat_params
from starlette.requests import Request

from api_stub.problems import ApiProblem, invalid, not_found

Word = TypeVar("Word")

#: Query parameters under this prefix carry metadata, on the routes that declare it in `openapi_extra`.
METADATA_PREFIX = "metadata."

Limit = Annotated[int, Query(ge=1, le=200, description="how many to answer at most")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of the page before")]

_ID = re.compile(r"[a-z]{2,8}_[0-9A-Za-z]{1,64}")


async def known_parameters(request: Request) -> None:
    """422 for a query parameter nobody reads: a misspelt filter must not answer with everything."""
    route = request.scope["route"]
    problems = []
    if not request.query_params:
        return
    declared = _declared(route)
    names = [name for name, _ in request.query_params.multi_items()]
    for name, value in request.query_params.multi_items():
        loc = f"query.{name[:64]}"
        if name not in declared and not (name.startswith(METADATA_PREFIX) and takes_metadata(route)):
            problems.append({"loc": loc, "code": "unknown_parameter", "msg": "is not a parameter here"})
        elif names.count(name) > 1:
            problems.append({"loc": loc, "code": "repeated_parameter", "msg": "is given more than once"})
        elif "\0" in name + value:
            problems.append({"loc": loc, "code": "invalid_parameter", "msg": "may not hold NUL"})
    if problems:
        raise invalid(problems[:100], otherwise="invalid_parameter")


def takes_metadata(route: Any) -> bool:
    return any(parameter["name"].startswith(METADATA_PREFIX) for parameter in (route.openapi_extra or {}).get("parameters", ()))


#: For `openapi_extra` of a route that takes `metadata.KEY=value`.
METADATA_PARAMETER = {
    "name": "metadata.KEY",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "the value of metadata KEY; may be given for several keys",
}


def metadata(request: Request) -> dict[str, str]:
    """The `metadata.KEY=value` parameters."""
    found = {
        name.removeprefix(METADATA_PREFIX): value
        for name, value in request.query_params.items()
        if name.startswith(METADATA_PREFIX)
    }
    wrong = [key for key in found if not 1 <= len(key) <= 64 or '"' in key or "\\" in key]
    if wrong:
        # A quote ends the name in SQLite's JSON paths; nothing sensible is called that.
        msg = "a metadata key has 1 to 64 characters, no quotes or backslashes"
        raise invalid([{"loc": f"query.{METADATA_PREFIX}{key[:64]}", "code": "invalid_parameter", "msg": msg} for key in wrong])
    return found


def words(name: str, given: str | None, known: Mapping[str, Collection[Word]]) -> frozenset[Word] | None:
    """A parameter of words with commas between them, each standing for what `known` says; None where it is not given."""
    if given is None:
        return None
    asked = [word.strip() for word in given.split(",")]
    if any(word not in known for word in asked):
        msg = f"takes {', '.join(known)}, with commas between them"
        raise invalid([{"loc": f"query.{name}", "code": "not_one_of", "msg": msg}])
    return frozenset(meant for word in asked for meant in known[word])


def cursor(last: str) -> str:
    """Opaque on purpose: what it holds may change."""
    return base64.urlsafe_b64encode(last.encode()).decode().rstrip("=")


def behind(given: str) -> str:
    """What a cursor was made of. 422 for what no list has given."""
    try:
        return base64.b64decode(given + "=" * (-len(given) % 4), altchars=b"-_", validate=True).decode("utf-8")
    except ValueError:
        raise invalid_cursor() from None


def invalid_cursor() -> ApiProblem:
    return invalid([{"loc": "query.cursor", "code": "invalid_cursor", "msg": "is not a next_cursor of this list"}])


def before(given: str | None) -> str | None:
    """The id a cursor stands for."""
    if given is None:
        return None
    last_id = behind(given)
    if not _ID.fullmatch(last_id):
        raise invalid_cursor()
    return last_id


def page(items: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """A list's answer. There may be more exactly when the page is full."""
    return {"data": items, "next_cursor": cursor(items[-1]["id"]) if len(items) == limit else None}


def plausible_id(given: str, what: str) -> str:
    """An id from a path, before any database sees it: 404 for what cannot be one."""
    if not _ID.fullmatch(given):
        raise not_found(f"there is no such {what}")
    return given


def _declared(route: Any) -> frozenset[str]:
    fields = get_flat_params(route.dependant)
    return frozenset(field.alias for field in fields if isinstance(field.field_info, fastapi_params.Query))

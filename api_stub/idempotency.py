"""`Idempotency-Key`: a client whose answer was lost asks again and gets what the first call made, never a second job."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, NamedTuple

from fastapi import Depends, Header
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session
from starlette.requests import Request

from api_stub.problems import ApiProblem
from jobs.db import Database
from jobs.queries import idempotency

_KEY = re.compile(r"[\x20-\x7e]{1,255}")

#: Said of an answer that a key made before.
REPLAYED = {"Idempotent-Replayed": "true"}


class Claim(NamedTuple):
    """A key, and the digest of the request it stands for."""

    tenant_id: str
    key: str
    request_hash: str


async def key_of_request(
    request: Request,
    _documented: Annotated[str | None, Header(alias="Idempotency-Key", description="1 to 255 printable characters")] = None,
) -> str | None:
    given = request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise ApiProblem(400, "idempotency_key_invalid", "an Idempotency-Key is one header of 1 to 255 printable ASCII characters")
    return given[0]


#: The request's `Idempotency-Key`, or None.
Key = Annotated[str | None, Depends(key_of_request)]


def earlier(database: Database, claim: Claim | None) -> str | None:
    """What this request made when it came before. 422 if the key came with another request."""
    if claim is None:
        return None
    try:
        with database.read() as session:
            return idempotency.earlier(session, *claim)
    except idempotency.KeyReused:
        detail = "this Idempotency-Key was used before with another request; use a new key for a new request"
        raise ApiProblem(422, "idempotency_key_reused", detail) from None


def once(database: Database, claim: Claim | None, new_id: str, write: Callable[[Session], None]) -> str:
    """`write` what is to be called `new_id`, in one transaction with the key. Returns the id of whoever was first."""
    try:
        with database.transaction() as session:
            if claim is not None:
                # First of all: of a hundred racing calls the others wait here, and then find the key taken.
                idempotency.remember(session, *claim, new_id)
            write(session)
    except IntegrityError:
        if (first := earlier(database, claim)) is None:
            raise
        return first
    return new_id

"""Whose request this is: `Authorization: Bearer mm_live_…`."""

from __future__ import annotations

import secrets
import threading
import time
from typing import Annotated, NamedTuple

from fastapi import Depends, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api_stub.problems import ApiProblem
from jobs.db import Database
from jobs.queries import keys

_MAX_KEY_CHARS = 256
#: Query parameters under which people put keys. A URL stands in logs, histories and Referer headers.
_KEY_PARAMETERS = frozenset({"api_key", "apikey", "api-key", "key", "token", "access_token", "authorization"})
#: How long a key that was good is believed without asking again: the longest that a revoked key still works.
_BELIEVED_S = 2.0
_MOST_BELIEVED = 10_000


class Caller(NamedTuple):
    """Whose key came with a request, and what it may."""

    tenant_id: str
    key_id: str
    #: May pause, limit, and see what concerns all tenants.
    admin: bool

    @property
    def actor(self) -> str:
        """Who did it, where it matters which key it was."""
        return f"api:{self.key_id}"


class Gate:
    """Tells tenants by their keys. Believes a good key for two seconds, so that a busy client costs one look-up, not thousands."""

    def __init__(self, database: Database, bootstrap_key: SecretStr | None) -> None:
        self._database = database
        self._bootstrap = bootstrap_key.get_secret_value() if bootstrap_key else None
        self._lock = threading.Lock()
        self._believed: dict[str, tuple[Caller, float]] = {}

    def believed(self, key: str) -> Caller | None:
        """Whose key this is, if it was good a moment ago."""
        caller, until = self._believed.get(keys.digest(key), (None, 0.0))
        return caller if time.monotonic() < until else None

    def plausible(self, key: str) -> bool:
        """Whether the key is worth a look into the database."""
        if len(key) > _MAX_KEY_CHARS or not key.isascii():
            return False
        return self._is_bootstrap(key) or keys.well_formed(key)

    def caller_of(self, key: str) -> Caller | None:
        """Whose key this is, asked of the database."""
        with self._database.read() as session:
            row = keys.find(session, key)
        if (row is None or not row.admin) and self._is_bootstrap(key):
            # Made when it is first used, so that it works however the API was started and whenever the database came up.
            keys.ensure_bootstrap(self._database, key)
            with self._database.read() as session:
                row = keys.find(session, key)
        if row is None:
            return None
        caller = Caller(row.tenant_id, row.id, row.admin)
        with self._lock:
            if len(self._believed) >= _MOST_BELIEVED:
                self._believed.clear()
            self._believed[row.digest] = (caller, time.monotonic() + _BELIEVED_S)
        return caller

    def _is_bootstrap(self, key: str) -> bool:
        return self._bootstrap is not None and secrets.compare_digest(self._bootstrap.encode(), key.encode())


#: Only for the documentation; the checks are below.
_BEARER = HTTPBearer(auto_error=False, description="an API key: `mediamill keys create --tenant NAME`")


async def tenant_of_request(
    request: Request, _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> str:
    """The tenant whose key the request carries. 401 otherwise, the same for every wrong key."""
    for name, value in request.query_params.multi_items():
        if name.lower() in _KEY_PARAMETERS or value.startswith("mm_live_"):
            raise _unauthorized(
                "api_key_in_url", "an API key belongs in the Authorization header, never in a URL; replace this key"
            )
    gate: Gate = request.app.state.face.gate
    key = _bearer(request.headers.getlist("authorization"))
    caller = gate.believed(key)
    if caller is None and gate.plausible(key):
        caller = await run_in_threadpool(gate.caller_of, key)
    if caller is None:
        raise _unauthorized("invalid_api_key", "this API key is not valid", error="invalid_token")
    request.state.caller = caller
    return caller.tenant_id


#: The id of the tenant who asks.
TenantId = Annotated[str, Depends(tenant_of_request)]


async def caller_of_request(request: Request, _checked: TenantId) -> Caller:
    """The tenant, and whether the key is an admin's."""
    caller: Caller = request.state.caller
    return caller


#: For routes that show an admin more than others.
AnyCaller = Annotated[Caller, Depends(caller_of_request)]


async def admin_of_request(caller: AnyCaller) -> Caller:
    """403 for everybody else."""
    if not caller.admin:
        detail = "this needs an admin's key: MEDIAMILL_BOOTSTRAP_KEY, or one of `mediamill keys create --admin`"
        raise ApiProblem(403, "admin_only", detail)
    return caller


#: For routes that concern all tenants.
Admin = Annotated[Caller, Depends(admin_of_request)]


def _bearer(headers: list[str]) -> str:
    if len(headers) > 1:
        raise _unauthorized("missing_api_key", "the request has more than one Authorization header")
    scheme, _, key = (headers[0] if headers else "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise _unauthorized("missing_api_key", "send the API key as `Authorization: Bearer …`")
    return key


def _unauthorized(code: str, detail: str, *, error: str | None = None) -> ApiProblem:
    challenge = 'Bearer realm="mediamill"' + (f', error="{error}"' if error else "")
    return ApiProblem(401, code, detail, headers={"WWW-Authenticate": challenge})

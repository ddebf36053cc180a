"""Submit, look, list."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import AwareDatetime
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub import documents, intake, params
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.body import json_document
from api_stub.face import At, Face
from api_stub.idempotency import REPLAYED, Key
from api_stub.intake import Taken
from api_stub.presenting import shown_jobs
from api_stub.problems import invalid
from api_stub.routes.router import for_tenants
from jobs.queries import jobs
from jobs.queries.jobs import JobFilter
from jobs.states import MODALITIES, JobState
from jobs.submission import YEARS, Checked
from jobs.view import amount

router = for_tenants("jobs")

_MAX_WAIT_S = 120
_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)


@router.post("/v1/jobs", status_code=202, openapi_extra=documents.SUBMIT_JOB, responses=documents.JOB_202)
async def submit(
    request: Request,
    face: At,
    tenant_id: TenantId,
    key: Key,
    dry_run: Annotated[bool, Query(description="check the request and price it, store nothing")] = False,
) -> Response:
    """Submit a job. `Prefer: wait=N` answers 200 with the finished job if it ends within N seconds (at most 120)."""
    document = await json_document(request)
    if dry_run:
        checked = await run_in_threadpool(intake.check, face, tenant_id, document)
        return answer({"valid": True, "operation": checked.operation.name, "cost": _cost(checked)})
    taken = await run_in_threadpool(intake.submit, face, tenant_id, document, key=key)
    return await accepted(request, face, tenant_id, taken)


def _cost(checked: Checked) -> dict[str, Any]:
    """What the job would cost; null where nobody says it, which is not zero, and then why."""
    quoted = checked.quote
    return {"estimated_usd": amount(quoted.usd), "kind": quoted.kind and quoted.kind.value, "why": quoted.why}


async def accepted(request: Request, face: Face, tenant_id: str, taken: Taken) -> Response:
    """202 with the job; or, if the caller prefers to wait, 200 as soon as it has ended."""
    headers = REPLAYED if taken.replayed else {}
    wait_s = _preferred_wait_s(request)
    if not wait_s:
        then = None if taken.replayed else BackgroundTask(face.afterwards.nudge)
        return made(taken.view, 202, "/v1/jobs", headers=headers, then=then)
    if not taken.replayed:
        face.afterwards.nudge()
    taken = await _finished(face, tenant_id, taken, wait_s)
    headers = headers | {"Preference-Applied": f"wait={wait_s}"}
    return made(taken.view, 200 if taken.final else 202, "/v1/jobs", headers=headers)


@router.get("/v1/jobs/{job_id}", responses=documents.JOB_200)
def show(face: At, tenant_id: TenantId, job_id: str) -> Response:
    """A job as it is now; while it waits `queue` says where it stands and what it waits for, and is null after that."""
    return answer(intake.look_closely(face, tenant_id, job_id))


@router.get("/v1/jobs", openapi_extra={"parameters": [params.METADATA_PARAMETER]}, responses=documents.JOBS_200)
def index(
    request: Request,
    face: At,
    tenant_id: TenantId,
    status: Annotated[JobState | None, Query()] = None,
    operation: Annotated[str | None, Query(max_length=100)] = None,
    modality: Annotated[str | None, Query(pattern=f"^({'|'.join(MODALITIES)})$")] = None,
    batch_id: Annotated[str | None, Query(max_length=80)] = None,
    custom_id: Annotated[str | None, Query(max_length=200)] = None,
    created_after: Annotated[AwareDatetime | None, Query()] = None,
    created_before: Annotated[AwareDatetime | None, Query()] = None,
    limit: params.Limit = 50,
    cursor: params.Cursor = None,
) -> Response:
    """Your jobs, newest first; every filter given must hold. `metadata.KEY=value` filters by metadata."""
    where = JobFilter(
        status=status,
        operation=operation,
        modality=modality,
        batch_id=batch_id,
        custom_id=custom_id,
        created_after=_moment("created_after", created_after),
        created_before=_moment("created_before", created_before),
        metadata=params.metadata(request),
    )
    with face.context.database.read() as session:
        found = jobs.page(session, tenant_id, where, limit=limit, before=params.before(cursor))
        shown: list[dict[str, Any]] = shown_jobs(face.context, session, found)
    return answer(params.page(shown, limit))


def _moment(name: str, given: datetime | None) -> datetime | None:
    """The moment in UTC. 422 for one that is none there."""
    try:
        return given and given.astimezone(UTC)
    except OverflowError:
        msg = f"must lie between the years {YEARS[0]} and {YEARS[-1]}"
        raise invalid([{"loc": f"query.{name}", "code": "out_of_range", "msg": msg}]) from None


def _preferred_wait_s(request: Request) -> int:
    """Seconds of `Prefer: wait=N`, at most 120. A preference that cannot be read is no preference (RFC 7240)."""
    for header in request.headers.getlist("prefer"):
        for preference in header.split(","):
            if found := _WAIT.fullmatch(preference.partition(";")[0]):
                return min(int(found[1]), _MAX_WAIT_S)
    return 0


async def _finished(face: Face, tenant_id: str, taken: Taken, wait_s: float) -> Taken:
    """The job once it has ended, or as it is when the time is over. Holds neither a thread nor a connection meanwhile."""
    give_up = time.monotonic() + wait_s
    while not taken.final and (left_s := give_up - time.monotonic()) > 0:
        await face.watch.past(taken.view["id"], taken.version, left_s)
        now = await run_in_threadpool(intake.look, face, tenant_id, taken.view["id"])
        taken = now._replace(replayed=taken.replayed)
    return taken

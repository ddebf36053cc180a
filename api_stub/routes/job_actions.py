"""What can be asked of a job that exists: cancel, retry, fetch again, decide."""

from __future__ import annotations

from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub import documents, intake, steering
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.body import json_document
from api_stub.face import At
from api_stub.idempotency import REPLAYED, Key
from api_stub.routes.jobs import accepted
from api_stub.routes.router import for_tenants

router = for_tenants("jobs")


@router.post("/v1/jobs/{job_id}/cancel", status_code=202, responses=documents.JOB_202)
def cancel(face: At, tenant_id: TenantId, job_id: str) -> Response:
    """End a job. What the provider has taken by now may be charged all the same."""
    return answer(steering.cancel(face, tenant_id, job_id), 202)


@router.post("/v1/jobs/{job_id}/retry", status_code=202, responses=documents.JOB_202)
async def retry(request: Request, face: At, tenant_id: TenantId, key: Key, job_id: str) -> Response:
    """A new job that asks the same as a failed, canceled or expired one, and names it as `retry_of`."""
    taken = await run_in_threadpool(intake.retry, face, tenant_id, job_id, key=key)
    return await accepted(request, face, tenant_id, taken)


@router.post("/v1/jobs/{job_id}/retry-download", status_code=202, responses=documents.JOB_202)
def retry_download(face: At, tenant_id: TenantId, key: Key, job_id: str) -> Response:
    """A new job that fetches the outputs of a failed one again. Never generates, never costs."""
    taken = intake.retry_download(face, tenant_id, job_id, key=key)
    then = BackgroundTask(face.afterwards.nudge_outputs, [taken.view["modality"]])
    return made(taken.view, 202, "/v1/jobs", headers=REPLAYED if taken.replayed else {}, then=then)


@router.post("/v1/jobs/{job_id}/resolve", status_code=202, openapi_extra=documents.RESOLVE, responses=documents.JOB_202)
async def resolve(request: Request, face: At, tenant_id: TenantId, job_id: str) -> Response:
    """Decide a job in `unknown`: send it again (`retry`), give it up (`failed`), or name its task (`task`)."""
    document = await json_document(request)
    return answer(await run_in_threadpool(steering.resolve, face, tenant_id, job_id, document), 202)

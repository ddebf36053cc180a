"""Outputs: links to them, and the bytes themselves where storage is a folder of ours."""

from __future__ import annotations

import time

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from api_stub.auth import TenantId
from api_stub.documents import Responses
from api_stub.face import At, Face
from api_stub.presenting import job_of
from api_stub.problems import ApiProblem, not_found
from api_stub.routes.router import for_everyone, for_tenants
from jobs.queries import jobs
from jobs.view import Links
from storage import LinkRefused
from storage.folder import FolderStore
from storage.links import Grant
from storage.names import content_disposition, media_type_of

router = for_tenants("artifacts")
open_router = for_everyone("artifacts")

_REDIRECT: Responses = {302: {"description": "`Location` is a signed, short-lived link"}}


@router.get("/v1/jobs/{job_id}/artifacts/{index}", status_code=302, responses=_REDIRECT)
def artifact(face: At, tenant_id: TenantId, job_id: str, index: str) -> Response:
    """A fresh link to one output."""
    return RedirectResponse(_links(face, tenant_id, job_id, index).url, 302)


@router.get("/v1/jobs/{job_id}/artifacts/{index}/preview", status_code=302, responses=_REDIRECT)
def preview(face: At, tenant_id: TenantId, job_id: str, index: str) -> Response:
    """A fresh link to a small picture of one output."""
    url = _links(face, tenant_id, job_id, index).preview_url
    if url is None:
        raise not_found("this output has no preview")
    return RedirectResponse(url, 302)


@open_router.api_route("/v1/media/{key:path}", methods=["GET", "HEAD"], include_in_schema=False)
async def media(request: Request, face: At, key: str) -> Response:
    """The bytes behind a signed link; the signature is the permission. Serves ranges, so that a browser can seek."""
    store = face.context.store
    if not isinstance(store, FolderStore):
        raise not_found()
    try:
        grant = store.verify(key, request.query_params)
    except LinkRefused as error:
        raise ApiProblem(403, f"link_{error.reason}", f"this link is {error.reason}; ask the API for a fresh one") from None
    path = store.root / grant.key
    if not await run_in_threadpool(path.is_file):
        raise not_found("this file is no longer in storage")
    return FileResponse(path, media_type=media_type_of(grant.key), headers=_headers(grant))


def _headers(grant: Grant) -> dict[str, str]:
    left_s = max(0, grant.expires_at - int(time.time()))
    return {
        "Content-Disposition": content_disposition(grant.filename, attachment=grant.attachment),
        "X-Content-Type-Options": "nosniff",
        # Nothing that came from outside may act as a page of ours, whatever its bytes are.
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": f"private, max-age={left_s}, immutable",
    }


def _links(face: Face, tenant_id: str, job_id: str, index: str) -> Links:
    if not (index.isascii() and index.isdigit() and len(index) < 6):
        raise not_found("there is no such output")
    with face.context.database.read() as session:
        job = job_of(session, tenant_id, job_id)
        found = [one for one in jobs.artifacts_of(session, [job.id])[job.id] if one.index == int(index)]
    if not found:
        raise not_found("there is no such output")
    return face.context.link(found[0], face.context.settings.link_ttl_s)

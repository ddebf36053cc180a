"""Input media: uploaded once, used by as many jobs as like."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from api_stub import documents, uploads
from api_stub.answers import answer, made
from api_stub.auth import TenantId
from api_stub.face import At, Face
from api_stub.params import plausible_id
from api_stub.problems import not_found
from api_stub.routes.router import for_tenants
from jobs import view
from jobs.models import InputFile
from jobs.queries import files

router = for_tenants("files")


@router.post("/v1/files", status_code=201, openapi_extra=documents.UPLOAD, responses=documents.FILE_201)
async def upload(request: Request, face: At, tenant_id: TenantId) -> Response:
    """Upload media (multipart field `file`) to use as `{"file": "file_…"}` in inputs. The bytes say what it is, not its name."""
    row = await uploads.receive(request, face, tenant_id)
    return made(shown(face, row), 201, "/v1/files")


@router.get("/v1/files/{file_id}", responses=documents.FILE_200)
def show(face: At, tenant_id: TenantId, file_id: str) -> Response:
    """A file, with a signed link to its bytes."""
    return answer(shown(face, _file_of(face, tenant_id, file_id)))


@router.delete("/v1/files/{file_id}", status_code=204)
async def remove(face: At, tenant_id: TenantId, file_id: str) -> Response:
    """Delete a file. Jobs that still need it will fail."""
    row = await run_in_threadpool(_file_of, face, tenant_id, file_id)
    await run_in_threadpool(_remove, face, row)
    return Response(status_code=204)


def shown(face: Face, row: InputFile) -> dict[str, Any]:
    ttl_s = face.context.settings.link_ttl_s
    return view.file_view(row) | {
        "url": face.context.store.url(row.key, expires_in_s=ttl_s, filename=row.filename),
        "expires_at": view.instant(datetime.now(UTC) + timedelta(seconds=ttl_s)),
    }


def _file_of(face: Face, tenant_id: str, file_id: str) -> InputFile:
    with face.context.database.read() as session:
        row = files.get(session, tenant_id, plausible_id(file_id, "file"))
    if row is None:
        raise not_found("there is no such file")
    return row


def _remove(face: Face, row: InputFile) -> None:
    # The row first: bytes without a row are rubbish that may be deleted any time, a row without bytes is a lie.
    with face.context.database.transaction() as session:
        removed = files.remove(session, row.tenant_id, row.id)
    if not removed:
        raise not_found("there is no such file")
    face.context.store.delete(row.key)
